"""`maskmill account`: people are let in, changed and listed; passwords never shown."""

import io
import json
from pathlib import Path

import pytest

from maskmill.cli import main
from maskmill.server.access import is_password
from maskmill.store import Project

PASSWORD = "correct horse battery"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Project.create(tmp_path / "p").close()
    return tmp_path / "p"


def run(folder: Path, *words: str, stdin: str = "", monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    return main(["account", *words, "--project", str(folder)])


def test_a_person_is_let_in_and_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("add", "ann", "--role", "admin", "--password-stdin")
    assert run(folder, *words, stdin=PASSWORD + "\n", monkeypatch=monkeypatch) == 0
    assert run(folder, "list", "--json", monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert PASSWORD not in out
    listed = json.loads(out.splitlines()[-1])["accounts"]
    assert listed == [{"name": "ann", "role": "admin", "shut": False}]
    with Project(folder, writes=False) as project:
        account = project.accounts.find("ann")
        assert is_password(account, PASSWORD)
        assert [entry.action for entry in project.audit.page()] == ["member added"]


def test_an_account_is_changed_and_shut(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ann", "bob"):
        words = ("add", name, "--role", "admin", "--password-stdin")
        run(folder, *words, stdin=PASSWORD, monkeypatch=monkeypatch)
    words = ("change", "bob", "--role", "reviewer", "--shut", "--password-stdin")
    assert run(folder, *words, stdin="another long one", monkeypatch=monkeypatch) == 0
    assert "bob is reviewer, and shut out" in capsys.readouterr().out
    assert run(folder, "change", "ann", "--shut", monkeypatch=monkeypatch) == 1
    assert "last admin" in capsys.readouterr().err


def test_short_or_missing_passwords_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("add", "ann", "--role", "admin")
    assert run(folder, *words, monkeypatch=monkeypatch) == 1
    assert "--password-stdin" in capsys.readouterr().err
    assert run(folder, *words, "--password-stdin", stdin="short", monkeypatch=monkeypatch) == 1
    assert "10 characters" in capsys.readouterr().err
    assert run(folder, "list", monkeypatch=monkeypatch) == 0
    assert "no accounts" in capsys.readouterr().out


def test_a_password_is_asked_for_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    typed = iter([PASSWORD, "something else", PASSWORD, PASSWORD])
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))
    monkeypatch.setattr("sys.stdin", Terminal())
    words = ["account", "add", "ann", "--role", "annotator", "--project", str(folder)]
    assert main(words) == 1
    assert "differ" in capsys.readouterr().err
    assert main(words) == 0

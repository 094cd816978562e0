"""If a person can type it, it stands in the manual; and what the manual shows, runs."""

import re
import runpy
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from maskmill.engine.oracle import OracleConfig
from maskmill.engine.time_model import TimeModel

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
REFERENCE: dict[str, Any] = runpy.run_path(str(DOCS / "write_reference.py"))


def known_commands() -> dict[str, Any]:
    from maskmill.cli import build_app

    return dict(REFERENCE["commands"](build_app()))


def section(command: str) -> str:
    """The part of cli.md from a command's heading to the next heading."""
    text = (DOCS / "cli.md").read_text("utf-8")
    found = re.search(rf"^##+ maskmill {command}\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"docs/cli.md has no heading `maskmill {command}`"
    return found[1]


@pytest.mark.parametrize("command", sorted(known_commands()))
def test_every_command_and_option_is_in_the_reference(command: str) -> None:
    text = section(command)
    for argument in known_commands()[command].assemble_argument_collection(parse_docstring=True):
        for name in argument.names:
            if argument.show:
                assert f"`{name}`" in text, f"docs/cli.md lacks {name} of maskmill {command}"
                assert argument.parameter.help, f"{name} of maskmill {command} has no help"


@pytest.mark.parametrize("settings", [TimeModel, OracleConfig])
def test_every_name_that_simulate_takes_is_in_the_reference(settings: type) -> None:
    for field in fields(settings):
        assert re.search(rf"\b{field.name}\b", section("simulate")), field.name


def test_the_reference_has_no_option_that_does_not_exist() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")
    assert REFERENCE["updated"](page) == page, "run `python docs/write_reference.py`"


def test_a_missing_option_would_be_noticed() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")
    assert REFERENCE["updated"](page.replace("| `--box` |", "| `--bax` |")) == page


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}, which does not exist"
        if anchor:
            assert anchor in anchors(file), f"{page.name} links to {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_shown_in_the_manual_are_commands(page: Path) -> None:
    known = known_commands()
    for line in re.findall(r"^\$ .*?maskmill (.+)$", page.read_text("utf-8"), re.MULTILINE):
        words = line.split()
        name = next((c for c in (" ".join(words[:2]), words[0]) if c in known), None)
        assert name or words[0].startswith("-"), f"{page.name} shows `maskmill {line}`"
        if name:
            arguments = known[name].assemble_argument_collection()
            options = {name for argument in arguments for name in argument.names}
            for word in re.findall(r"(?<=\s)--?[a-z][a-z0-9-]*", line):
                assert word in options, f"{page.name} shows {word} for maskmill {name}"


def torchrun_lines() -> list[str]:
    texts = [page.read_text("utf-8") for page in PAGES]
    return [line for text in texts for line in re.findall(r"torchrun (.*maskmill [^`\n]+)", text)]


def as_torchrun_starts_it(line: str) -> list[str]:
    """The words that each process gets after Python's own, by torchrun's own parser."""
    run = pytest.importorskip("torch.distributed.run")
    arguments = run.get_args_parser().parse_args(shlex.split(line))
    _, _, words = run.config_from_args(arguments)
    return list(words)


@pytest.mark.parametrize("line", torchrun_lines())
def test_torchrun_starts_the_commands_that_the_manual_shows(line: str) -> None:
    words = line.split("maskmill ", 1)[1].split()
    assert as_torchrun_starts_it(line)[-len(words) - 2 :] == ["-m", "maskmill", *words]


def test_the_manual_shows_torchrun_and_a_wrong_line_would_be_noticed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(torchrun_lines()) >= 2
    with pytest.raises(SystemExit):
        as_torchrun_starts_it(torchrun_lines()[0].replace("-m -- ", "-m "))
    assert "ambiguous option: --run" in capsys.readouterr().err


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "tutorial.md"], ids=lambda p: p.name)
def test_python_shown_in_the_manual_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skimage import data

    snippets = re.findall(
        r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert snippets, f"{page.name} shows no Python"
    Image.fromarray(data.coffee()).save(tmp_path / "coffee.jpg")
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "snippet"}
    for snippet in snippets:  # one after the other, as a reader would type them
        exec(compile(snippet, page.name, "exec"), space)


def test_the_readmes_picture_is_the_shipped_models_and_small() -> None:
    from maskmill.weights import model_folder, model_id_of, read_card

    path = DOCS / "picture.jpg"
    assert path.stat().st_size < 300_000
    with Image.open(path) as picture:
        made_by = picture.info["comment"].decode()
    assert made_by == model_id_of(read_card(model_folder("tiny"))), "run docs/make_picture.py"


def test_every_decision_is_in_the_index() -> None:
    index = (DOCS / "decisions" / "README.md").read_text("utf-8")
    for page in (DOCS / "decisions").glob("*.md"):
        if page.name != "README.md":
            assert f"({page.name})" in index, f"docs/decisions/README.md does not list {page.name}"

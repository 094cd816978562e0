"""`maskmill up`: the project beside the photographs, its own port, a link for one browser."""

import json
import os
import stat
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from maskmill.cli import main
from maskmill.cli.up import OPENING_FILE, PORTS, open_project, serve_project
from maskmill.errors import DatasetError, NotFound
from maskmill.store import Project, is_project


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (40, 30), "red").save(folder / "a.png")
    return folder


def test_the_project_is_made_beside_the_folder_and_opened_again(photos: Path) -> None:
    project, images = open_project(photos, None)
    with project:
        assert (project.folder, project.name) == (photos.with_name("photos.maskmill"), "photos")
        uid = project.uid
    assert images == photos
    again, _ = open_project(photos, None)
    with again:
        assert again.uid == uid
    assert [path.name for path in photos.iterdir()] == ["a.png"]


def test_a_project_is_opened_as_it_is_and_another_place_can_be_named(
    photos: Path, tmp_path: Path
) -> None:
    project, images = open_project(photos, tmp_path / "else where")
    project.close()
    assert images == photos
    again, images = open_project(tmp_path / "else where", None)
    again.close()
    assert images is None
    assert not is_project(photos.with_name("photos.maskmill"))


def test_what_holds_no_image_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError):
        open_project(tmp_path / "empty", None)
    with pytest.raises(NotFound, match="name a folder"):
        open_project(tmp_path / "nothing", None)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_the_browser_gets_the_link_in_a_file_that_only_its_owner_reads(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda target: opened.append(target) or True)
    monkeypatch.setenv("DISPLAY", ":9")
    seen: dict[str, object] = {}

    def visit(address: str) -> None:
        end = time.monotonic() + 60
        while not opened:
            assert time.monotonic() < end
            time.sleep(0.01)
        file = Path(opened[0].removeprefix("file://"))
        seen["leads on"] = address in file.read_text()
        seen["mode"] = stat.S_IMODE(file.stat().st_mode)
        base, _, token = address.partition("/#token=")
        seen["token in target"] = token in opened[0]
        with httpx.Client(base_url=base, headers={"origin": base}, timeout=60) as client:
            assert client.post("/api/session", json={"token": token}).status_code == 200

    project, images = open_project(photos, None)
    with project:
        port = PORTS[int(project.uid[:8], 16) % len(PORTS)]
        serve_project(project, images=images, options={}, until=visit)
        assert not (project.folder / OPENING_FILE).exists()
    assert seen == {"leads on": True, "mode": 0o600, "token in target": False}
    assert len(opened) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"photos is served at http://127.0.0.1:{port}")
    assert said[1].startswith(f"open once: http://127.0.0.1:{port}/#token=")
    assert said[2] != said[1]  # the next link, for the next browser


def test_as_json_it_is_said_once(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project, images = open_project(photos, None)
    with project:
        serve_project(
            project,
            images=images,
            options={},
            port=0,
            browser=False,
            as_json=True,
            until=lambda _: None,
        )
    said = json.loads(capsys.readouterr().out)
    assert said["link"].startswith(said["url"])


def test_what_keeps_it_from_serving_is_one_line(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["up", str(photos), "--host", "0.0.0.0", "--no-browser"]) == 1
    assert "account add" in capsys.readouterr().err
    with Project(photos.with_name("photos.maskmill")):
        assert main(["up", str(photos), "--no-browser"]) == 1
    assert "another process" in capsys.readouterr().err

    def refuse(*_: str) -> None:
        raise NotFound("no server")

    monkeypatch.setattr(sys.modules["maskmill.cli.up"], "require", refuse)
    assert main(["up", str(photos)]) == 1
    assert "no server" in capsys.readouterr().err


def test_without_a_screen_no_browser_is_opened(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("webbrowser.open", lambda target: pytest.fail("opened"))
    project, images = open_project(photos, None)
    with project:
        serve_project(project, images=images, options={}, port=0, until=lambda _: None)
    assert threading.active_count() >= 1
    assert os.listdir(photos) == ["a.png"]

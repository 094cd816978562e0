"""Fixtures of the browser tests; they need the built pages, Playwright and a Chromium."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driving import CHROMIUM, FLAGS, Annotator, Server

import maskmill

PAGES = Path(maskmill.__file__).parent / "server" / "web" / "index.html"
PHOTOGRAPHS = ("coffee", "astronaut", "rocket")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder, so that it can be left out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists() or not PAGES.exists():
        pytest.skip(f"needs {CHROMIUM} and the built pages")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs that scikit-image ships."""
    import skimage.data
    from PIL import Image

    folder = tmp_path_factory.mktemp("photographs")
    for name in PHOTOGRAPHS:
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.jpg", quality=92)
    return folder


@pytest.fixture
def server(photographs: Path, tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(folder, port).start()
    yield server
    server.kill()


@pytest.fixture
def person(chromium: Any, server: Server) -> Iterator[Annotator]:
    """Somebody who opened the link, on the first image, ready to click."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(server.links[-1])
    yield Annotator(page).ready()
    context.close()

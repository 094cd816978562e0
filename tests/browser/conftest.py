"""Fixtures of the browser tests; they need the built pages, Playwright and a Chromium.

Chromium and Playwright end with each file of tests: Playwright's event loop would be in the way of
every asyncio test that the same process runs afterwards.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import maskmill
from browser.driving import CHROMIUM, FLAGS, Annotator, Opened, Server, Started, free_port

PAGES = Path(maskmill.__file__).parent / "server" / "web" / "index.html"
BASELINE = "--js-flags=--liftoff-only"
"""WebAssembly compiled quickly and run slowly: pages of tests live for seconds."""
PHOTOGRAPHS = ("coffee", "astronaut", "rocket")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test in this folder, so that it can be left out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists() or not PAGES.exists():
        pytest.skip(f"needs {CHROMIUM} and the built pages")
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def chromium(playwright: Any) -> Iterator[Any]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, BASELINE])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs that scikit-image ships; nobody changes them."""
    import skimage.data
    from PIL import Image

    folder = tmp_path_factory.mktemp("photographs")
    for name in PHOTOGRAPHS:
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.jpg", quality=92)
    return folder


@pytest.fixture(scope="session")
def embedded(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the photographs with everything computed, to be copied."""
    project = tmp_path_factory.mktemp("projects") / "embedded"
    server = Server(photographs, free_port(), project=project).start()
    server.wait_for_embeddings(len(PHOTOGRAPHS))
    server.kill()
    return project


@pytest.fixture
def start(photographs: Path, embedded: Path, tmp_path: Path) -> Iterator[Started]:
    """Starts a server over a project of the test's own; `prepare` may change it before."""
    servers: list[Server] = []

    def begin(
        prepare: Callable[[Path], None] = lambda project: None, *, with_accounts: bool = False
    ) -> Server:
        project = Path(shutil.copytree(embedded, tmp_path / "project"))
        prepare(project)
        port = free_port()
        servers.append(Server(photographs, port, project=project, with_accounts=with_accounts))
        return servers[-1].start()

    yield begin
    for server in servers:
        server.kill()


@pytest.fixture
def server(start: Started) -> Server:
    return start()


@pytest.fixture
def browse(chromium: Any) -> Iterator[Opened]:
    """Opens a browser of somebody's own on an address."""
    opened: list[Annotator] = []

    def open_(
        address: str,
        *,
        browser: Any = chromium,
        before: Callable[[Any], None] = lambda page: None,
        **options: Any,
    ) -> Annotator:
        options = {"viewport": {"width": 1280, "height": 720}, "locale": "en-GB", **options}
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(60_000)
        opened.append(Annotator(page))
        before(page)
        page.goto(address)
        return opened[-1]

    yield open_
    for each in opened:
        each.page.context.close()
    errors = [error for each in opened for error in each.errors]
    assert errors == [], "the page threw what nobody caught"


@pytest.fixture
def person(server: Server, browse: Opened) -> Annotator:
    """Somebody who opened the link, on the first image, ready to click."""
    return browse(server.links[-1]).ready()

"""Makes the pictures of docs/annotate.md: real work in a real browser, on scikit-image's photos.

    python docs/make_screenshots.py [--folder FOLDER] [--width 1280 --height 720] [--theme dark]
    python docs/make_screenshots.py --engine PROJECT

The second makes those of docs/engine.md instead, of a copy of a project that has some rounds, such
as `maskmill simulate` leaves; it starts a round there. Needs Playwright and a Chromium.
"""

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import skimage.data
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from driving import CHROMIUM, FLAGS, Annotator, Server, free_port

PHOTOGRAPHS = ("coffee", "chelsea", "astronaut", "rocket")
QUALITY = 80
"""Of each JPEG: readable, and small in the repository."""


class Camera:
    """Takes pictures of a page into a folder."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self.folder = page, folder

    def take(self, name: str) -> None:
        """Wait until everything is drawn, and take a picture."""
        self.page.wait_for_timeout(500)
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        picture.save(self.folder / f"{name}.jpg", quality=QUALITY, optimize=True)


def main() -> None:
    """Start a server over some photographs, and work on them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "screenshots")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--theme", choices=("light", "dark"), default="dark")
    parser.add_argument("--engine", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.engine:
        return _of_the_engine(arguments)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "kitchen"
        folder.mkdir()
        for name in PHOTOGRAPHS:
            photograph = Image.fromarray(getattr(skimage.data, name)())
            photograph.save(folder / f"{name}.jpg", quality=92)
        server = Server(folder, free_port()).start()
        try:
            _work(server, arguments)
        finally:
            server.kill()


def _of_the_engine(arguments: argparse.Namespace) -> None:
    """Look at the engine's page before a round and while it trains."""
    with tempfile.TemporaryDirectory() as home:
        project = Path(shutil.copytree(arguments.engine, Path(home) / "cells.maskmill"))
        server = Server(project, free_port(), project=project).start()
        try:
            with sync_playwright() as playwright:
                page = _page(playwright, server, arguments, height=1100)
                camera, person = Camera(page, arguments.folder), Annotator(page)
                page.goto(f"{server.address}/#/engine")
                page.locator("table").first.wait_for()
                camera.take("engine")
                person.fetch("/api/rounds", "POST", {"masks": "all"})
                person.until("+document.querySelector('[data-step]')?.dataset.step > 20", None, 600)
                page.set_viewport_size({"width": arguments.width, "height": arguments.height})
                camera.take("training")
        finally:
            server.kill()


def _page(
    playwright: Any, server: Server, arguments: argparse.Namespace, *, height: int | None = None
) -> Any:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    context = browser.new_context(
        viewport={"width": arguments.width, "height": height or arguments.height},
        color_scheme=arguments.theme,
        locale="en-GB",
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(server.links[-1])
    return page


def _work(server: Server, arguments: argparse.Namespace) -> None:
    with sync_playwright() as playwright:
        page = _page(playwright, server, arguments)
        person = Annotator(page).ready()
        names = page.evaluate("fetch('/api/images').then(a => a.json())")["images"]
        ids = {Path(each["name"]).stem: each["id"] for each in names}
        camera = Camera(page, arguments.folder)
        _annotate(person, camera, server, ids)
        _look(person, camera, server)


def _annotate(person: Annotator, camera: Camera, server: Server, ids: dict[str, int]) -> None:
    page = person.page
    page.goto(f"{server.address}/#/annotate/{ids['coffee']}")
    person.until(f"maskmill.session?.image.id === {ids['coffee']}")
    person.ready()
    person.until("!!maskmill.session.editor.leading.next")
    camera.take("led")
    person.move(300, 130)
    person.until("!!maskmill.session.editor.prompting.hovered")
    camera.take("hover")
    for category in ("cup", "saucer", "spoon"):
        page.get_by_label("Name of the category").fill(category)
        page.get_by_label("Add a category").click()
        page.get_by_role("radio", name=category).wait_for()
    page.locator("canvas").focus()
    page.evaluate("document.activeElement.blur()")
    person.press("1")
    person.click(270, 60)
    camera.take("click")
    person.press("Tab")
    camera.take("candidates")
    person.press("Escape")
    person.drag((170, 14), (412, 240))
    person.until("!maskmill.session.editor.prompting.isEmpty")
    camera.take("box")
    person.press("Enter")
    person.press("Escape")
    person.press("2")
    person.click(115, 260)
    person.click(364, 275, alt=True)
    camera.take("subtract")
    person.press("Enter")
    person.press("b")
    person.move(150, 300)
    page.mouse.down()
    page.mouse.move(*person.screen(260, 330), steps=8)
    camera.take("brush")
    page.mouse.up()
    person.press("Control+z")
    person.press("Escape")
    person.press("l")
    for x, y in ((420, 90), (520, 60), (560, 110), (470, 150)):
        page.mouse.click(*person.screen(x, y))
    camera.take("lasso")
    person.press("Escape")
    person.press("k")
    person.move(60, 200)
    page.mouse.down()
    page.mouse.move(*person.screen(300, 330), steps=8)
    camera.take("split")
    person.press("Escape")
    page.mouse.up()
    person.press("?")
    camera.take("shortcuts")
    person.press("Escape")
    person.press("v")
    person.saved().press("n")


def _look(person: Annotator, camera: Camera, server: Server) -> None:
    page = person.page
    page.goto(f"{server.address}/#/images")
    page.locator(".cell img").first.wait_for()
    page.wait_for_timeout(1500)
    camera.take("images")
    page.goto(f"{server.address}/#/review")
    page.get_by_test_id("question").wait_for()
    page.wait_for_timeout(1500)
    camera.take("review")
    page.goto(f"{server.address}/#/statistics")
    page.locator("table").first.wait_for()
    camera.take("statistics")
    page.goto(f"{server.address}/#/members")
    page.get_by_label("Name").wait_for()
    camera.take("members")


if __name__ == "__main__":
    main()

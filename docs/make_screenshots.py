"""Makes the pictures of docs/annotate.md: real work in a real browser, on scikit-image's photos.

    python docs/make_screenshots.py [--folder FOLDER] [--width 1280 --height 720] [--theme dark]
    python docs/make_screenshots.py --engine PROJECT
    python docs/make_screenshots.py --scribble

The second makes those of docs/engine.md instead, of a copy of a project that has some rounds, such
as `maskmill simulate` leaves; it starts a round there. The third makes those of
docs/visual-prompting.md, on parts of scikit-image's coins. Needs Playwright and a Chromium.
"""

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import skimage.data
from PIL import Image
from playwright.sync_api import sync_playwright

from maskmill import rle

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from driving import CHROMIUM, FLAGS, Annotator, Server, draw_stroke, free_port

PHOTOGRAPHS = ("coffee", "chelsea", "astronaut", "rocket")
CUT, CUTS = (190, 130), ((0, 0), (190, 0), (95, 60), (0, 170), (190, 170), (120, 110))
"""Size and corners (x, y) of the parts of the coins that are images of their own, pixels."""
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
    parser.add_argument("--scribble", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.engine:
        return _of_the_engine(arguments)
    if arguments.scribble:
        return _of_strokes(arguments)
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


def _of_strokes(arguments: argparse.Namespace) -> None:
    """Two strokes on one image, what they lead to, and rules that count."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "coins"
        folder.mkdir()
        coins = Image.fromarray(skimage.data.coins()).convert("RGB")
        for place, (x, y) in enumerate(CUTS):
            part = coins.crop((x, y, x + CUT[0], y + CUT[1]))
            part.resize((2 * CUT[0], 2 * CUT[1])).save(folder / f"coins{place + 1}.png")
        server = Server(folder, free_port()).start()
        try:
            server.wait_for_embeddings(len(CUTS))
            with sync_playwright() as playwright:
                page = _page(playwright, server, arguments)
                _scribble(Annotator(page).ready(), Camera(page, arguments.folder), server)
        finally:
            server.kill()


def _scribble(person: Annotator, camera: Camera, server: Server) -> None:
    page = person.page
    page.goto(f"{server.address}/#/scribble")
    person.until("!!window.maskmill?.scribble?.board.picture")
    page.get_by_label("Name of the category").fill("coin")
    page.get_by_label("Add a category").click()
    page.get_by_role("radio", name="coin").wait_for()
    draw_stroke(page, (60, 105), (90, 96), (118, 112))
    page.get_by_role("radio", name="Background").click()
    draw_stroke(page, (20, 188), (180, 178), (340, 182))
    draw_stroke(page, (20, 20), (180, 30), (340, 16))
    person.until("maskmill.scribble.board.isSaved")
    page.wait_for_timeout(1500)
    found = "document.querySelector('[data-testid=scribble]').dataset"
    person.until(f"+{found}.run > 0 && {found}.phase === 'idle' && +{found}.found === {len(CUTS)}")
    page.mouse.move(600, 5)
    page.wait_for_timeout(1500)
    camera.take("scribble")
    page.get_by_role("button", name="Doubt", exact=True).click()
    camera.take("scribble-doubt")
    page.get_by_role("button", name="Classes", exact=True).click()
    page.get_by_label("Rule for coin…").select_option("min_area")
    page.locator(".rule[data-rule=min_area] input").fill("400")
    page.get_by_label("Rule for coin…").select_option("fill_holes")
    page.get_by_label("Condition on coin…").select_option("count")
    page.locator(".rule[data-rule=count] input").first.fill("6")
    page.locator(".rule[data-rule=count] input").first.press("Tab")
    page.get_by_test_id("verdict").wait_for()
    page.get_by_role("button", name="Keep, for all images").click()
    page.get_by_text("Keep, for all images").wait_for(state="detached")
    page.wait_for_timeout(2500)
    page.locator("aside").evaluate("aside => aside.scrollTo(0, 160)")
    camera.take("scribble-rules")
    _guide(person, camera, server)


def _guide(person: Annotator, camera: Camera, server: Server) -> None:
    """Draw on a second image, label a third, and go through the guide."""
    page = person.page
    _, second, third = (image["id"] for image in person.fetch("/api/images?limit=3")["images"])
    page.evaluate("id => { location.hash = `#/scribble/${id}` }", second)
    person.until("id => window.maskmill?.scribble?.board.image.id === id", second)
    person.until("!!maskmill.scribble.board.picture")
    page.get_by_role("radio", name="coin").click()
    draw_stroke(page, (150, 98), (172, 104), (195, 112))
    page.get_by_role("radio", name="Background").click()
    draw_stroke(page, (20, 186), (180, 176), (340, 184))
    person.until("maskmill.scribble.board.isSaved")
    page.wait_for_timeout(6000)
    for mask in _coins(server.folder / "coins3.png"):
        body = {"op_id": str(uuid4()), "base_version": 0, "image_id": third, "mask": mask,
                "category_id": 1, "made": {"seconds": 3.0, "clicks": 1, "edits": 0}}  # fmt: skip
        person.fetch(f"/api/annotations/{uuid4()}", "PUT", body)
    page.goto(f"{server.address}/#/guide")
    page.get_by_role("button", name="Check").click()
    page.get_by_test_id("worst").wait_for()
    photograph = server.folder / "coins5.png"
    page.get_by_label("Choose an image").set_input_files(photograph)
    page.get_by_test_id("tried").wait_for()
    page.set_viewport_size({"width": 1280, "height": 1700})
    camera.take("guide")


def _coins(path: Path) -> list[dict[str, Any]]:
    """What is brighter than the ground, as masks: coins lie apart."""
    grey = cv2.GaussianBlur(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (0, 0), 3)
    _, bright = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    count, labels = cv2.connectedComponents(bright)
    coded = [rle.encode(labels == i) for i in range(1, count) if (labels == i).sum() > 1500]
    return [{"size": list(each.size), "counts": each.counts.decode()} for each in coded]


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

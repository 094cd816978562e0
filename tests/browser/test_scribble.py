"""Visual Prompting in the browser: real strokes on drawn photographs, and what they lead to."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from scribble_scene import scene

from browser.driving import Annotator, Opened, Server, draw_stroke, free_port
from maskmill import rle
from maskmill.store import Project

STATE = "({...document.querySelector('[data-testid=scribble]')?.dataset})"
IMAGES = 4


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """Photographs of discs and bars, and where they are: 0 ground, 1 disc, 2 bar."""
    folder, labels = tmp_path_factory.mktemp("parts"), []
    for seed in range(IMAGES):
        pixels, truth = scene(seed + 1)
        Image.fromarray(pixels).save(folder / f"part{seed}.png")
        labels.append(truth)
    return folder, labels


class Drawer:
    """A person in front of the page, spoken to in image pixels."""

    def __init__(self, person: Annotator) -> None:
        self.person, self.page = person, person.page

    def state(self) -> dict[str, str]:
        found: dict[str, str] = self.page.evaluate(STATE)
        return found

    def open(self, place: int = 0) -> None:
        ids = [image["id"] for image in self.person.fetch("/api/images")["images"]]
        self.page.evaluate("id => { location.hash = `#/scribble/${id}` }", ids[place])
        self.person.until("id => window.maskmill?.scribble?.board.image.id === id", ids[place])
        self.person.until("!!maskmill.scribble.board.picture")

    def choose(self, name: str) -> None:
        self.page.get_by_role("radio", name=name).click()

    def on(self, truth: np.ndarray, value: int, reach: int = 6) -> None:
        """Draw a short stroke where a class is deepest."""
        deep = cv2.distanceTransform((truth == value).astype(np.uint8), cv2.DIST_L2, 5)
        deep[:, :20] = deep[:, -20:] = 0
        y, x = (int(v) for v in np.unravel_index(deep.argmax(), deep.shape))
        draw_stroke(self.page, (x - reach, y), (x + reach, y))

    def segmented(self, run: int, images: int = IMAGES) -> None:
        """Wait until all images were looked at by this classifier."""
        self.person.until(
            f"([n, run]) => {{ const s = {STATE}; return +s.run >= run && s.phase === 'idle'"
            " && +s.found === n }",
            [images, run],
        )

    def strokes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate(
            "JSON.parse(JSON.stringify(maskmill.scribble.board.drawing.strokes))"
        )
        return found

    def saved(self) -> None:
        self.person.until("maskmill.scribble.board.isSaved")


@pytest.fixture
def server(drawn: tuple[Path, list[np.ndarray]], tmp_path: Path) -> Any:
    made = Server(drawn[0], free_port(), project=tmp_path / "project").start()
    made.wait_for_embeddings(IMAGES)
    yield made
    made.kill()


@pytest.fixture
def drawer(server: Server, browse: Opened) -> Drawer:
    person = browse(server.links[-1]).ready()
    for name in ("disc", "bar"):
        person.fetch("/api/categories", "POST", {"name": name})
    person.page.goto(f"{server.address}/#/scribble")
    person.page.reload()
    made = Drawer(person)
    made.open()
    return made


def mark(drawer: Drawer, truth: np.ndarray) -> None:
    """One stroke for each class."""
    for name, value in (("disc", 1), ("bar", 2), ("Background", 0)):
        drawer.choose(name)
        drawer.on(truth, value)
    drawer.saved()


def test_three_strokes_segment_every_image_and_become_masks(
    drawer: Drawer, drawn: tuple[Path, list[np.ndarray]], server: Server
) -> None:
    page, (_, labels) = drawer.page, drawn
    mark(drawer, labels[0])
    drawer.segmented(run=1)
    assert [each["category_id"] for each in drawer.strokes()] == [1, 2, 0]
    drawer.person.until(
        "n => document.querySelectorAll('.strip canvas[data-run]').length === n", IMAGES
    )

    # A rule is tried on this image, kept, and every image then passes or fails.
    page.get_by_label("Rule for disc…").select_option("min_area")
    page.locator(".rule[data-rule=min_area] input").fill("150")
    page.get_by_label("Condition on disc…").select_option("count")
    page.locator(".rule[data-rule=count] input").first.fill("3")
    page.locator(".rule[data-rule=count] input").first.press("Tab")
    page.get_by_test_id("verdict").wait_for()
    painted = "document.querySelectorAll('.strip canvas[data-run]')"
    page.evaluate(f"{painted}.forEach(each => delete each.dataset.run)")
    page.get_by_role("button", name="Keep, for all images").click()
    page.get_by_text("Keep, for all images").wait_for(state="detached")
    drawer.person.until(f"n => {painted}.length === n", IMAGES)
    kept = drawer.person.fetch("/api/rules")["rules"]
    assert kept["categories"]["disc"] == [{"rule": "min_area", "area": 150}]
    assert kept["decisions"] == [{"rule": "count", "category": "disc", "least": 3, "most": None}]
    page.get_by_text(f"{IMAGES} pass, 0 fail").wait_for()

    page.get_by_role("button", name=f"Of all {IMAGES}").click()
    page.get_by_test_id("scribble-message").wait_for()
    server.kill()
    with Project(server.project, writes=False) as project:
        names = {category.id: category.name for category in project.categories.all()}
        for image, truth in zip(project.images.page(), labels, strict=True):
            for value, name in ((1, "disc"), (2, "bar")):
                masks = project.annotations.of_image(image.id)
                union = np.zeros(image.size, bool)
                for each in masks:
                    if names[each.category_id or 0] == name:
                        union |= rle.decode(each.rle)
                iou = (union & (truth == value)).sum() / (union | (truth == value)).sum()
                assert iou > 0.6, (image.path, name, iou)


def test_the_opened_image_is_looked_at_in_full_once_everything_rests(
    drawer: Drawer, drawn: tuple[Path, list[np.ndarray]]
) -> None:
    asked: list[str] = []
    drawer.page.on("request", lambda request: asked.append(request.post_data or ""))
    mark(drawer, drawn[1][0])
    drawer.segmented(run=1)
    drawer.person.until("maskmill.scribble.board.isFull")
    drawer.page.get_by_text("this image at full resolution").wait_for()
    full = next(i for i, body in enumerate(asked) if '"full":true' in body)
    assert any('"full":false' in body for body in asked[:full]), "the grid's answer came first"
    size = "(({width, height}) => [width, height])(maskmill.scribble.board.doubt)"
    assert drawer.page.evaluate(size) == [260, 200], "doubt of every pixel"
    drawer.choose("Background")
    drawer.on(drawn[1][0], 0, reach=10)
    drawer.person.until("!maskmill.scribble.board.isFull")
    drawer.person.until("maskmill.scribble.board.isFull")
    assert not drawer.person.errors


def test_coins_on_a_photograph_become_masks(tmp_path: Path, browse: Opened) -> None:
    """Four strokes on scikit-image's coins in uneven light; the truth is that of its tutorial."""
    from skimage import data, filters, segmentation

    pixels = data.coins()
    markers = np.where(pixels < 30, 1, np.where(pixels > 150, 2, 0))
    truth = segmentation.watershed(filters.sobel(pixels), markers) == 2
    folder = tmp_path / "coins"
    folder.mkdir()
    Image.fromarray(pixels).save(folder / "coins.png")
    server = Server(folder, free_port(), project=tmp_path / "project").start()
    try:
        server.wait_for_embeddings(1)
        person = browse(server.links[-1]).ready()
        person.fetch("/api/categories", "POST", {"name": "coin"})
        person.page.goto(f"{server.address}/#/scribble")
        person.page.reload()
        drawer = Drawer(person)
        drawer.open()
        top = np.arange(len(truth))[:, None] < len(truth) / 2
        for half in (top, ~top):
            for name, there in (("coin", truth), ("Background", ~truth)):
                drawer.choose(name)
                drawer.on(there & half, 1, reach=10)
        drawer.saved()
        drawer.segmented(run=1, images=1)
        person.until("maskmill.scribble.board.isFull")
        with person.page.expect_request("**/segmented/masks") as asked:
            person.page.get_by_role("button", name="Masks of this image").click()
        assert asked.value.post_data_json["full"], "what is seen is what is made"
        person.page.get_by_test_id("scribble-message").wait_for()
    finally:
        server.kill()
    with Project(server.project, writes=False) as project:
        (image,) = project.images.page()
        masks = [rle.decode(each.rle) for each in project.annotations.of_image(image.id)]
    found = np.any(masks, axis=0)
    iou = (found & truth).sum() / (found | truth).sum()
    assert iou > 0.85, iou


def test_strokes_survive_a_killed_server_and_a_reload_and_are_undone(
    drawer: Drawer, drawn: tuple[Path, list[np.ndarray]], server: Server
) -> None:
    page, (_, labels) = drawer.page, drawn
    drawer.choose("disc")
    drawer.on(labels[0], 1)
    drawer.saved()
    server.kill()
    drawer.choose("bar")
    drawer.on(labels[0], 2)
    before = drawer.strokes()
    assert len(before) == 2
    server.start()
    page.goto(server.links[-1])  # the single-use link of the server that runs now
    drawer.person.until("location.hash.length > 0 && !location.hash.includes('token')")
    drawer.open()
    assert drawer.strokes() == before, "kept by this browser until the server had it"
    drawer.saved()
    here = page.evaluate("maskmill.scribble.board.image.id")
    assert drawer.person.fetch(f"/api/images/{here}/strokes")["strokes"] == before
    drawer.choose("Background")
    drawer.on(labels[0], 0)
    assert len(drawer.strokes()) == 3
    page.keyboard.press("Control+z")
    assert drawer.strokes() == before
    page.keyboard.press("Control+Shift+z")
    assert len(drawer.strokes()) == 3
    drawer.saved()


def test_an_image_is_opened_once_so_that_nothing_is_swapped_under_who_draws(drawer: Drawer) -> None:
    asked: list[str] = []
    drawer.page.on("request", lambda request: asked.append(request.url))
    drawer.page.reload()
    drawer.person.until("!!window.maskmill?.scribble?.board.picture")
    drawer.person.until(f"{STATE}.phase === 'idle'")
    drawer.page.wait_for_timeout(500)
    assert len([url for url in asked if url.endswith("/strokes")]) == 1


def test_of_two_people_on_one_image_both_keep_their_strokes(
    drawer: Drawer, drawn: tuple[Path, list[np.ndarray]], server: Server, browse: Opened
) -> None:
    labels = drawn[1]
    drawer.choose("disc")
    drawer.page.keyboard.press("Control+a")  # what is selected is dragged, if nobody prevents it
    drawer.on(labels[0], 1)
    drawer.saved()
    assert len(drawer.strokes()) == 1
    here = drawer.page.evaluate("maskmill.scribble.board.image.id")
    other = {"category_id": 0, "width": 4, "points": [[5, 5], [20, 8]]}
    strokes = [*drawer.strokes(), other]
    body = {"op_id": "other", "base_version": 1, "strokes": strokes}
    drawer.person.fetch(f"/api/images/{here}/strokes", "PUT", json.loads(json.dumps(body)))
    drawer.choose("bar")
    drawer.on(labels[0], 2)
    drawer.saved()
    kept = drawer.person.fetch(f"/api/images/{here}/strokes")["strokes"]
    assert [each["category_id"] for each in kept] == [1, 0, 2]
    assert drawer.strokes() == kept
    drawer.page.keyboard.press("Control+z")
    drawer.saved()
    kept = drawer.person.fetch(f"/api/images/{here}/strokes")["strokes"]
    assert [each["category_id"] for each in kept] == [1, 0], "one's own stroke, nobody else's"


def test_the_doubtful_image_is_offered_and_a_lone_class_is_explained(
    drawer: Drawer, drawn: tuple[Path, list[np.ndarray]]
) -> None:
    page, labels = drawer.page, drawn[1]
    drawer.choose("disc")
    drawer.on(labels[0], 1)
    page.get_by_text("only disc is marked").wait_for()
    drawer.choose("Background")
    drawer.on(labels[0], 0)
    drawer.segmented(run=1)
    page.get_by_text("only disc is marked").wait_for(state="detached")
    page.get_by_role("button", name="Doubt", exact=True).click()
    found = drawer.person.fetch("/api/scribbles")
    doubts = {each["image_id"]: each["doubt"] for each in found["found"]}
    unmarked = {key: value for key, value in doubts.items() if key not in found["drawn_on"]}
    page.get_by_role("button", name="Next in doubt").click()
    most = max(unmarked, key=lambda key: unmarked[key])
    drawer.person.until("id => maskmill.scribble.board.image.id === id", most)

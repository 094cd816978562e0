"""The guide in the browser: from too few images to a deployment that says what the page says."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from scribble_scene import CATEGORIES, scene, strokes

from browser.driving import Annotator, Opened, Server, fetch_deployment, free_port
from maskmill import rle

IMAGES = 4
COLOURS = (
    "(() => { const c = document.querySelector('canvas'); return Array.from("
    "c.getContext('2d').getImageData(0, 0, c.width, c.height).data) })()"
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    for seed in range(IMAGES):
        Image.fromarray(scene(seed + 1)[0]).save(folder / f"part{seed}.png")
    return folder


@pytest.fixture
def person(parts: Path, tmp_path: Path, browse: Opened) -> Any:
    server = Server(parts, free_port(), project=tmp_path / "project").start()
    server.wait_for_embeddings(IMAGES)
    found = browse(server.links[-1]).ready()
    for name in ("disc", "bar"):
        found.fetch("/api/categories", "POST", {"name": name})
    found.page.goto(f"{server.address}/#/guide")
    found.page.get_by_test_id("guide").wait_for()
    yield found
    server.kill()


def draw(person: Annotator, image_id: int, seed: int) -> None:
    """One stroke for each class, as the Scribble page sends them."""
    drawn = [
        {"category_id": CATEGORIES.index(s.category), "width": s.width, "points": s.points}
        for s in strokes("", scene(seed)[1])
    ]
    body = {"op_id": str(uuid4()), "base_version": 0, "strokes": drawn}
    person.fetch(f"/api/images/{image_id}/strokes", "PUT", body)


def label(person: Annotator, image_id: int, seed: int) -> None:
    truth = scene(seed)[1]
    for value in (1, 2):
        coded = rle.encode(truth == value)
        mask = {"size": list(coded.size), "counts": coded.counts.decode()}
        made = {"seconds": 1.0, "clicks": 1, "edits": 0}
        body = {"op_id": str(uuid4()), "base_version": 0, "image_id": image_id, "mask": mask,
                "category_id": value, "made": made}  # fmt: skip
        person.fetch(f"/api/annotations/{uuid4()}", "PUT", body)


def test_from_too_few_images_to_a_deployment(person: Annotator, tmp_path: Path) -> None:
    page = person.page
    page.get_by_text(f"{IMAGES} images so far. Add 6 more").wait_for()
    steps = page.locator("li[data-step]")
    assert steps.count() == 6
    assert page.locator("[aria-current=step]").get_attribute("data-step") == "1"
    assert page.get_by_role("button", name="Check").is_disabled(), "there is nothing to judge yet"

    more = []
    for seed in range(IMAGES, 11):
        more.append(tmp_path / f"more{seed}.png")
        Image.fromarray(scene(seed + 1)[0]).save(more[-1])
    (tmp_path / "notes.png").write_text("no image")
    page.get_by_label("Add images").set_input_files([*more, tmp_path / "notes.png"])
    page.get_by_text("notes.png was left out").wait_for()
    page.get_by_text("11 images.").wait_for()
    assert page.locator("[aria-current=step]").get_attribute("data-step") == "2"

    ids = [image["id"] for image in person.fetch("/api/images")["images"]]
    for place in (0, 1):
        draw(person, ids[place], place + 1)
    for place in (2, 3):
        label(person, ids[place], place + 1)
    person.until("+document.querySelector('[data-testid=guide]').dataset.run > 0")
    person.until("document.querySelector('[aria-current=step]').dataset.step === '4'")
    page.get_by_text("it knows background, disc, bar").wait_for()

    page.get_by_role("button", name="Check").click()
    page.get_by_test_id("worst").wait_for()
    tables = page.get_by_test_id("confusion")
    assert tables.count() == 2
    told = person.fetch("/api/scribbles/check", "POST", {})
    ious = [image["iou"] for image in told["images"]]
    assert ious == sorted(ious)
    assert ious[0] > 0.6
    shown = page.locator("[data-testid=worst] button small").first.inner_text()
    assert shown == f"IoU {ious[0]:.2f}"

    fresh = tmp_path / "fresh.png"
    Image.fromarray(scene(40)[0]).save(fresh)
    page.get_by_label("Choose an image").set_input_files(fresh)
    page.get_by_test_id("tried").wait_for()
    assert "fresh.png" in page.get_by_test_id("tried").inner_text()
    assert len(person.fetch("/api/images")["images"]) == 11, "it is not kept"
    painted = np.array(page.evaluate(COLOURS), np.uint8).reshape(200, 260, 4)
    changed = np.abs(painted[..., :3].astype(int) - scene(40)[0]).max(2) > 25

    page.get_by_role("button", name="Make a deployment").click()
    page.get_by_test_id("deployment").wait_for()
    deployed = fetch_deployment(page, "deployment", tmp_path)
    answer = deployed.answer(fresh.read_bytes())
    found = np.zeros((200, 260), bool)
    for mask in answer["masks"]:
        counts = mask["segmentation"]["counts"].encode()
        found |= rle.decode(rle.Rle(size=(200, 260), counts=counts))
    assert (changed == found).mean() > 0.97, "what the page paints is what the deployment finds"
    assert (found == (scene(40)[1] > 0)).mean() > 0.95
    assert not person.errors


def test_rules_are_suggested_beside_the_strokes(person: Annotator) -> None:
    page = person.page
    ids = [image["id"] for image in person.fetch("/api/images")["images"]]
    draw(person, ids[0], 1)
    page.evaluate("id => { location.hash = `#/scribble/${id}` }", ids[0])
    page.get_by_role("button", name="Suggest").click()
    page.get_by_text("label at least two").wait_for()
    for place in (1, 2, 3):
        label(person, ids[place], place + 1)
    page.get_by_role("button", name="Suggest").click()
    person.until(
        "document.querySelector('[data-testid=suggested]')?.innerText.includes('3 labelled images')"
    )
    told = page.get_by_test_id("suggested").inner_text()
    assert "disc 0." in told
    assert not person.errors

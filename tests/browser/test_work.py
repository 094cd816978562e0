"""Real work in a real browser: click, Tab, brush, undo, save, reload, review, export, compare."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from browser.driving import Annotator, Opened, Server, free_port
from maskmill.rle import Rle, decode


def _pixels(rle: dict[str, Any]) -> np.ndarray:
    return decode(Rle((rle["size"][0], rle["size"][1]), rle["counts"].encode()))


def _exported(person: Annotator) -> dict[str, Any]:
    """Export as COCO through the page's own session, and read what comes."""
    answer = person.page.evaluate(
        "(async () => { const made = await (await fetch('/api/exports', {method: 'POST', headers:"
        " {'content-type': 'application/json'}, body: JSON.stringify({format: 'coco'})})).json();"
        " const bytes = new Uint8Array(await (await fetch(made.url)).arrayBuffer());"
        " return Array.from(bytes); })()"
    )
    content = bytes(answer)
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(each for each in archive.namelist() if each.endswith(".json"))
            content = archive.read(name)
    found: dict[str, Any] = json.loads(content)
    return found


def test_a_new_folder_can_be_clicked_at_once_and_stays_as_it_was(
    photographs: Path, tmp_path: Path, browse: Opened
) -> None:
    """One command: no project yet, nothing embedded; the first image first."""
    before = {path.name: path.read_bytes() for path in photographs.iterdir()}
    server = Server(photographs, free_port(), project=tmp_path / "new").start()
    try:
        person = browse(server.links[-1]).ready()
        assert person.page.evaluate("maskmill.session.image.id") == 1
        person.click(250, 120)
        person.press("Enter")
        person.saved()
        server.wait_for_embeddings(len(before))
    finally:
        server.kill()
    assert {path.name: path.read_bytes() for path in photographs.iterdir()} == before


def test_what_is_painted_is_what_is_exported(person: Annotator) -> None:
    person.click(250, 120)
    offered = person.page.evaluate("maskmill.session.editor.prompting.candidates.length")
    assert offered == 3
    taken = person.page.evaluate("maskmill.session.editor.prompting.taken")
    person.press("Tab")
    assert person.page.evaluate("maskmill.session.editor.prompting.taken") == (taken + 1) % 3
    person.press("Enter")
    person.press("b")
    person.drag((60, 400), (180, 440), (240, 400))
    person.press("e")
    person.drag((100, 380), (100, 460))
    painted = person.saved().masks()
    assert len(painted) == 1
    made = painted[0]["made"]
    assert (made["clicks"], made["edits"]) == (1, 2)
    assert made["candidates"]["taken"] == (taken + 1) % 3
    assert made["modelId"].startswith("tiny-")
    assert 0 < made["seconds"] < 120

    person.press("Control+z")
    person.press("Control+Shift+z")
    assert person.saved().masks()[0]["rle"] == painted[0]["rle"]

    person.page.reload()
    person.ready()
    assert person.masks()[0]["rle"] == painted[0]["rle"]

    exported = _exported(person)["annotations"]
    assert len(exported) == 1
    segmentation = exported[0]["segmentation"]
    assert isinstance(segmentation, dict), "a mask must not become polygons"
    np.testing.assert_array_equal(_pixels(segmentation), _pixels(painted[0]["rle"]))


def test_everything_is_undone_also_after_a_reload(person: Annotator) -> None:
    person.press("b")
    person.drag((60, 60), (200, 60))
    first = person.masks()[0]["rle"]
    person.drag((60, 120), (200, 120))
    second = person.masks()[0]["rle"]
    person.press("Delete")
    assert person.saved().masks() == []
    person.page.reload()
    person.ready()
    person.press("Control+z")
    assert person.masks()[0]["rle"] == second
    person.press("Control+z")
    assert person.masks()[0]["rle"] == first
    person.press("Control+z")
    assert person.saved().masks() == []
    person.press("Control+Shift+z")
    assert person.saved().masks()[0]["rle"] == first


def test_the_keyboard_alone_makes_a_mask(person: Annotator) -> None:
    """Focus the canvas, move the crosshair, press Space, confirm, choose, delete."""
    person.page.locator("canvas").focus()
    for key in ("ArrowRight", "ArrowDown", "Shift+ArrowUp", "Space"):
        person.press(key)
    person.until("!maskmill.session.editor.prompting.isEmpty")
    person.press("Enter")
    assert len(person.saved().masks()) == 1
    person.press("PageDown")
    person.press("Delete")
    assert person.saved().masks() == []


def test_turbo_and_oops(person: Annotator) -> None:
    person.press("t")
    person.page.mouse.click(*person.screen(250, 120))
    person.until("maskmill.session.document.annotations.length === 1")
    person.page.mouse.click(*person.screen(420, 150))
    person.until("maskmill.session.document.annotations.length === 2")
    person.press("z")
    assert len(person.saved().masks()) == 1
    person.press("t")


def test_categories_by_digit(person: Annotator) -> None:
    person.page.get_by_label("Name of the category").fill("person")
    person.page.get_by_label("Add a category").click()
    person.page.get_by_role("radio", name="person", checked=True).wait_for()
    person.press("Escape")
    person.press("`")
    person.press("b")
    person.drag((60, 60), (200, 60))
    assert person.masks()[0]["category"] is None
    person.press("1")
    category = person.saved().masks()[0]["category"]
    assert category is not None
    person.press("Control+z")
    assert person.saved().masks()[0]["category"] is None


def test_a_category_is_renamed_recoloured_and_put_away(person: Annotator) -> None:
    page = person.page
    page.get_by_label("Name of the category").fill("persn")
    page.get_by_label("Add a category").click()
    page.get_by_role("radio", name="persn", checked=True).wait_for()
    person.press("b")
    person.drag((60, 60), (200, 60))
    person.saved()
    page.get_by_text("Change persn").click()
    page.get_by_label("New name").fill("person")
    page.get_by_label("Colour").fill("#12ab34")
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("radio", name="person", checked=True).wait_for()
    (row,) = person.fetch("/api/categories")["categories"]
    assert (row["name"], row["colour"]) == ("person", "#12ab34")
    assert person.masks()[0]["category"] == row["id"], "its masks stay its own"
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("alert").filter(has_text="masks").wait_for()
    person.press("Delete")
    assert person.saved().masks() == []
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("radio", name="person").wait_for(state="detached")
    assert person.fetch("/api/categories")["categories"] == []


def test_the_queue_goes_through_all_images_and_says_when_it_is_empty(person: Annotator) -> None:
    seen = []
    for n in range(3):
        seen.append(person.page.evaluate("maskmill.session.image.id"))
        person.press("b")
        person.drag((60, 60), (200, 60))
        person.press("n")
        if n < 2:
            person.until("id => window.maskmill.session.image.id !== id", seen[-1])
            person.ready()
    assert sorted(seen) == [1, 2, 3]
    person.page.get_by_text("Nothing is waiting. Well done.").wait_for()
    # The masks were there before the images were said to be done.
    for image_id in seen:
        image = person.fetch(f"/api/images/{image_id}")
        assert (image["state"], image["mask_count"]) == ("in_review", 1)
    person.fetch("/api/images/2/reopen", "POST", {})
    person.ready()
    assert person.page.evaluate("maskmill.session.image.id") == 2


def test_one_is_led_to_what_stands_out(person: Annotator) -> None:
    person.until("!!maskmill.session.editor.leading.next")
    marked = person.page.evaluate("maskmill.session.editor.leading.next.point")
    person.press("a")
    person.until("!maskmill.session.editor.prompting.isEmpty")
    asked = person.page.evaluate("maskmill.session.editor.prompting.prompt.clicks[0].point")
    assert asked == marked
    person.press("Enter")
    (mask,) = person.saved().masks()
    assert mask["made"]["clicks"] == 1
    following = person.page.evaluate("maskmill.session.editor.leading.next?.point ?? null")
    assert following != marked


def test_every_action_has_a_key_that_can_be_changed(person: Annotator) -> None:
    person.press("?")
    dialog = person.page.get_by_role("dialog")
    dialog.wait_for()
    assert person.page.evaluate(
        "[...document.querySelectorAll('dialog kbd, [role=dialog] kbd')].every(k => k.textContent)"
    )
    dialog.get_by_role("button", name="Brush", exact=False).first.click()
    person.press("p")
    person.press("Escape")
    dialog.wait_for(state="detached")
    person.press("p")
    assert person.page.evaluate("maskmill.session.editor.toolName") == "brush"
    person.page.reload()
    person.ready().press("p")
    assert person.page.evaluate("maskmill.session.editor.toolName") == "brush"

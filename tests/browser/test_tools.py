"""Every tool that edits, with real pointers: the masks that come out, and that each is undone."""

from typing import Any

import numpy as np

from browser.driving import Annotator
from maskmill.rle import Rle, decode


def _pixels(rle: dict[str, Any]) -> np.ndarray:
    return decode(Rle((rle["size"][0], rle["size"][1]), rle["counts"].encode()))


def _square(person: Annotator, x: float, y: float, side: float) -> None:
    """Draw a square with the lasso, corner by corner; a mask of its own."""
    person.press("Escape")
    person.press("l")
    for dx, dy in ((0, 0), (side, 0), (side, side), (0, side)):
        person.point(x + dx, y + dy)
    person.press("Enter")


def _areas(person: Annotator) -> list[int]:
    return sorted(int(_pixels(mask["rle"]).sum()) for mask in person.saved().masks())


def _near(areas: list[int], *wanted: float) -> bool:
    """Screen pixels are not image pixels, so areas agree to some percent."""
    return len(areas) == len(wanted) and bool(np.allclose(areas, sorted(wanted), rtol=0.08))


def test_split_and_merge_and_back(person: Annotator) -> None:
    _square(person, 100, 100, 100)
    assert _near(_areas(person), 10_000)
    whole = _areas(person)
    person.press("k")
    person.drag((150, 80), (150, 220))
    halves = _areas(person)
    assert _near(halves, 5_000, 5_000)
    # Two halves touch and share nothing: together they are what was cut.
    first, second = (_pixels(mask["rle"]) for mask in person.masks())
    assert not (first & second).any()
    person.press("Escape")
    person.press("m")
    person.point(120, 150)
    person.point(180, 150)
    assert _near(_areas(person), 10_000)
    person.press("Control+z")
    assert _areas(person) == halves
    person.press("Control+z")
    assert _areas(person) == whole
    person.press("Control+Shift+z")
    assert _areas(person) == halves


def test_a_hole_is_filled_and_an_island_dropped(person: Annotator) -> None:
    _square(person, 100, 100, 100)
    person.page.keyboard.down("Alt")
    person.drag((130, 130), (170, 130), (170, 170), (130, 170), (130, 132), steps=8)
    person.page.keyboard.up("Alt")
    with_hole = _areas(person)
    assert _near(with_hole, 10_000 - 1_600)
    person.press("h")
    person.point(150, 150)
    assert _near(_areas(person), 10_000)
    person.press("b")
    person.drag((300, 300), (340, 300))
    with_island = _areas(person)
    assert len(with_island) == 1
    assert with_island[0] > 10_000
    person.press("i")
    person.point(320, 300)
    assert _near(_areas(person), 10_000)
    person.press("Control+z")
    assert _areas(person) == with_island


def test_a_stroke_over_selected_text_is_a_stroke(person: Annotator) -> None:
    person.press("Control+a")  # the browser would drag what is selected
    person.press("b")
    person.drag((100, 100), (160, 120))
    assert len(person.masks()) == 1


def test_brush_and_eraser_change_the_selected_mask_alone(person: Annotator) -> None:
    _square(person, 100, 100, 60)
    _square(person, 300, 100, 60)
    person.press("v")
    person.point(130, 130)
    before = person.saved().shapes()
    selected = person.page.evaluate("maskmill.session.editor.selected.id")
    person.press("e")
    person.drag((100, 130), (160, 130))
    after = person.saved().shapes()
    changed = [key for key in before if before[key] != after[key]]
    assert changed == [selected]
    assert _pixels(after[selected]).sum() < _pixels(before[selected]).sum()


def test_a_box_asks_and_a_second_click_mends(person: Annotator) -> None:
    person.press("x")
    person.drag((150, 30), (420, 300))
    person.until("!maskmill.session.editor.prompting.isEmpty")
    person.press("c")
    person.click(250, 120)
    person.press("Enter")
    (mask,) = person.saved().masks()
    prompts = mask["made"]["prompts"]
    assert len(prompts["points"]) == 1
    assert np.allclose(prompts["box"], [150, 30, 420, 300], atol=3)


def test_a_mask_goes_along_to_the_next_image(person: Annotator) -> None:
    """The next photograph has another size here: it says so, and loses nothing."""
    _square(person, 100, 100, 60)
    person.saved()
    first = person.page.evaluate("maskmill.session.image.id")
    person.press("y")
    person.until("id => maskmill.session.image.id !== id", first)
    person.ready()
    person.page.get_by_text("The next image has another size").wait_for()
    person.open(first)
    assert len(person.masks()) == 1


def test_zooming_and_panning_paints_where_the_pointer_is(person: Annotator) -> None:
    person.page.mouse.move(*person.screen(150, 150))
    for _ in range(4):
        person.page.mouse.wheel(0, -240)
    person.until("maskmill.session.editor.camera.view.scale > 3")
    person.page.keyboard.down("Space")
    person.drag((150, 150), (160, 155))
    person.page.keyboard.up("Space")
    person.page.evaluate("maskmill.session.editor.brushRadius = 2")
    person.press("b")
    person.drag((150, 150), (160, 150), steps=20)
    (mask,) = person.saved().masks()
    rows, columns = np.nonzero(_pixels(mask["rle"]))
    assert abs(rows.mean() - 150) < 1.5
    assert abs(columns.mean() - 155) < 1.5
    assert columns.min() >= 146
    assert columns.max() <= 164

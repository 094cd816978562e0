"""What the keys of the view do to the picture itself, and the word after thirty seconds."""

from typing import Any

from browser.driving import Annotator

PIXEL = """([x, y]) => {
  const canvas = document.querySelector('canvas'), ratio = devicePixelRatio;
  const {left, top} = canvas.getBoundingClientRect();
  const at = [Math.round((x - left) * ratio), Math.round((y - top) * ratio)];
  return [...canvas.getContext('2d').getImageData(...at, 1, 1).data].slice(0, 3);
}"""
FIRST, SECOND = (130, 130), (330, 130)


def pixel(person: Annotator, at: tuple[float, float]) -> Any:
    """The colour of the canvas over a point of the image, once nothing waits to be drawn."""
    person.page.wait_for_timeout(300)
    person.until("!maskmill.stage.scheduled")
    return person.page.evaluate(PIXEL, [*person.screen(*at)])


def square(person: Annotator, middle: tuple[float, float]) -> None:
    person.press("Escape")
    person.press("l")
    for dx, dy in ((-30, -30), (30, -30), (30, 30), (-30, 30)):
        person.point(middle[0] + dx, middle[1] + dy)
    person.press("Enter")


def test_others_are_hidden_and_come_back(person: Annotator) -> None:
    bare = [pixel(person, each) for each in (FIRST, SECOND)]
    square(person, FIRST)
    square(person, SECOND)
    person.press("v")
    person.point(*FIRST)
    both = [pixel(person, each) for each in (FIRST, SECOND)]
    assert both[0] != bare[0]
    assert both[1] != bare[1]
    person.press("j")
    assert [pixel(person, each) for each in (FIRST, SECOND)] == [both[0], bare[1]]
    assert len(person.saved().masks()) == 2, "hidden is not gone"
    person.press("j")
    assert [pixel(person, each) for each in (FIRST, SECOND)] == both


def test_opacity_goes_round_and_is_kept(person: Annotator) -> None:
    bare = pixel(person, FIRST)
    square(person, FIRST)
    person.press("Escape")
    person.saved()
    shown = [pixel(person, FIRST)]
    for _ in range(4):
        person.press("o")
        shown.append(pixel(person, FIRST))
    away = [sum(abs(a - b) for a, b in zip(each, bare, strict=True)) for each in shown]
    assert away[0] < away[1] < away[2] < away[3], "40, 60, 80, 100 %"
    assert away[4] == 0, "at 0 % the inside is the photograph"
    person.page.reload()
    assert pixel(person.ready(), FIRST) == bare


def test_after_thirty_seconds_on_one_mask_the_page_offers_to_go_on(person: Annotator) -> None:
    person.click(250, 150)
    words = person.page.get_by_text("30 seconds on this mask")
    assert not words.is_visible()
    # Half a minute of work, without waiting for it.
    person.page.evaluate("maskmill.session.editor.effort.active += 31")
    words.wait_for()
    person.page.get_by_role("button", name="Keep it").click()
    (mask,) = person.saved().masks()
    assert mask["made"]["seconds"] > 30
    words.wait_for(state="detached")

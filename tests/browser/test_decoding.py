"""A browser without WebAssembly: the server decodes, and the work is the same."""

from collections.abc import Iterator
from typing import Any

import pytest

from browser.driving import CHROMIUM, FLAGS, Opened, Server


@pytest.fixture(scope="module")
def without_wasm(playwright: Any) -> Iterator[Any]:
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*FLAGS, "--js-flags=--jitless"]
    )
    yield browser
    browser.close()


def test_the_server_decodes_where_webassembly_does_not_run(
    server: Server, browse: Opened, without_wasm: Any
) -> None:
    person = browse(server.links[-1], browser=without_wasm).ready()
    assert person.page.evaluate("typeof WebAssembly") == "undefined"
    assert person.page.evaluate("maskmill.session.project.decoding") == "server"
    person.page.get_by_text("Masks come from the server").wait_for()
    person.click(250, 120)
    assert person.page.evaluate("maskmill.session.editor.prompting.candidates.length") == 3
    person.press("Tab")
    person.click(300, 300, alt=True)
    person.press("Enter")
    (mask,) = person.saved().masks()
    assert mask["made"]["clicks"] == 2


def test_both_answer_the_same(server: Server, browse: Opened, without_wasm: Any) -> None:
    """One click, decoded in the browser and on the server: the same candidates, to a few pixels."""
    here = browse(server.links[-1]).ready()
    there = browse(server.links[-1], browser=without_wasm).ready()
    there.open(here.page.evaluate("maskmill.session.image.id"))
    told = []
    for person in (here, there):
        person.click(250, 120)
        told.append(person.page.evaluate(CANDIDATES))
    for mine, theirs in zip(*told, strict=True):
        assert abs(mine["iou"] - theirs["iou"]) < 0.02
        assert abs(mine["area"] - theirs["area"]) <= 0.01 * max(mine["area"], theirs["area"])


CANDIDATES = """maskmill.session.editor.prompting.candidates.map(each => ({
  iou: each.predictedIou,
  area: each.mask.pixels.reduce((sum, pixel) => sum + pixel, 0),
}))"""


def test_after_an_image_is_open_a_click_neither_sends_nor_fetches(
    server: Server, browse: Opened
) -> None:
    person = browse(server.links[-1]).ready()
    bytes_of_image = person.page.evaluate(
        "performance.getEntriesByType('resource').filter(e => e.name.includes('/embedding?'))"
        ".map(e => e.encodedBodySize)"
    )
    assert bytes_of_image
    assert max(bytes_of_image) <= 2_200_000
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    person.move(200, 200)
    person.click(250, 120)
    person.click(300, 300, alt=True)
    person.press("Tab")
    assert asked == []
    person.press("Enter")
    person.saved()
    assert [each.split("/api")[-1] for each in asked] == ["/operations"]


def test_a_decoder_that_was_lost_on_its_way_is_fetched_again(
    server: Server, browse: Opened
) -> None:
    """What answers further clicks is a file of its own; a line that failed costs one click."""
    away = True

    def lost(route: Any) -> None:
        if away:
            route.abort()
        else:
            route.continue_()

    person = browse(server.links[-1], before=lambda page: page.route("**/decoder_mask*", lost))
    person.ready().click(250, 120)
    person.point(300, 300, alt=True)
    person.page.get_by_text("the server could not be reached for the decoder").wait_for()
    away = False
    person.click(300, 300, alt=True)

"""The pages beside the annotate page: the grid and its filters, statistics, export, languages."""

import io
import zipfile

import numpy as np
from PIL import Image

from browser.driving import Annotator, Opened, Server

PAGES = ("annotate/1", "images", "review", "engine", "statistics", "members")


def _draw(person: Annotator) -> None:
    person.press("b")
    person.drag((60, 60), (200, 60))
    person.saved()


def _total(person: Annotator) -> str:
    return str(person.page.get_by_test_id("total").inner_text())


def test_the_grid_shows_masks_over_thumbnails_and_filters(
    person: Annotator, server: Server
) -> None:
    _draw(person)
    first = person.page.evaluate("maskmill.session.image.name")
    person.page.goto(f"{server.address}/#/images")
    person.page.get_by_text("3 images").wait_for()
    person.until(
        "[...document.querySelectorAll('.cell img')].length === 4"
        " && [...document.querySelectorAll('.cell img')].every(i => i.complete && i.naturalWidth)"
    )
    bar = person.page.get_by_role("search")
    bar.get_by_role("button", name="Without masks").click()
    person.page.get_by_text("2 images").wait_for()
    assert first not in person.page.locator(".list").inner_text()
    bar.get_by_role("button", name="Without masks").click()
    person.page.get_by_text("3 images").wait_for()
    bar.get_by_label("State").select_option("in_review")
    person.page.get_by_text("No image is like that.").wait_for()
    bar.get_by_label("State").select_option("")
    bar.get_by_label("Category").select_option("0")
    person.page.get_by_text("1 image", exact=True).wait_for()
    person.page.get_by_role("link", name=first).click()
    person.ready()
    assert person.page.evaluate("maskmill.session.image.name") == first


def test_ticked_images_are_assigned(person: Annotator, server: Server) -> None:
    person.page.goto(f"{server.address}/#/images")
    person.page.get_by_label("Select images: astronaut.jpg").check()
    name = person.page.evaluate("fetch('/api/session').then(a => a.json())")["name"]
    person.page.get_by_label("Assign 1 to").select_option(name)
    person.until(
        "(async () => (await (await fetch('/api/images?assigned_to=' + encodeURIComponent("
        "(await (await fetch('/api/session')).json()).name))).json()).total === 1)()"
    )


def test_statistics_are_drawn_and_an_export_comes_down(person: Annotator, server: Server) -> None:
    _draw(person)
    person.page.goto(f"{server.address}/#/statistics")
    charts = person.page.locator(".uplot canvas")
    charts.first.wait_for()
    drawn = np.asarray(Image.open(io.BytesIO(charts.first.screenshot())).convert("L"))
    assert drawn.std() > 1, "the chart is empty"
    person.page.get_by_role("button", name="Export").click()
    with person.page.expect_download(timeout=120_000) as coming:
        person.page.get_by_role("link", name="coco").first.click()
    content = coming.value.path().read_bytes()
    assert content[:1] == b"{" or zipfile.is_zipfile(io.BytesIO(content))


def test_every_page_speaks_chinese(server: Server, browse: Opened) -> None:
    person = browse(server.links[-1], locale="zh-CN").ready()
    assert person.page.evaluate("document.documentElement.lang") == "zh-CN"
    for where, heading in zip(PAGES, ("标注", "图像", "审核", "引擎", "统计", "成员"), strict=True):
        person.page.goto(f"{server.address}/#/{where}")
        person.page.get_by_role("link", name=heading).wait_for()
        person.page.wait_for_timeout(500)
        # Names, keys and numbers stay as they are; everything that is said is said in Chinese.
        left = person.page.evaluate(
            "[...document.querySelectorAll('button, label, h2, th, p')].map(e =>"
            " [...e.querySelectorAll('[translate=no]')].reduce("
            "(text, name) => text.replace(name.innerText, ''), e.innerText))"
            ".filter(t => /[A-Za-z]{4,} [A-Za-z]{3,}/.test(t))"
        )
        assert left == [], where


def test_light_and_dark_and_the_choice_is_kept(person: Annotator) -> None:
    shown = "document.documentElement.dataset.theme"
    before = person.page.evaluate(shown)
    person.press("Alt+t")
    after = person.page.evaluate(shown)
    assert {before, after} == {"light", "dark"}
    person.page.reload()
    person.ready()
    assert person.page.evaluate(shown) == after


def test_nothing_is_said_by_colour_or_picture_alone(person: Annotator, server: Server) -> None:
    """Whatever can be focused has a name that a screen reader says, on every page."""
    for where in PAGES:
        person.page.goto(f"{server.address}/#/{where}")
        person.page.wait_for_timeout(500)
        nameless = person.page.evaluate(
            "[...document.querySelectorAll('button, a, input, select, canvas')].filter(e =>"
            " !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim()"
            " || e.getAttribute('title') || e.closest('.uplot'))).map(e => e.outerHTML)"
        )
        assert nameless == [], where


def test_the_keyboard_reaches_everything_and_shows_where_it_is(person: Annotator) -> None:
    """Tab walks through buttons, canvas and panels; what has the focus is outlined."""
    seen = set()
    for _ in range(60):
        person.press("Tab")
        told = person.page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            " return [e.tagName, e.getAttribute('aria-label') || e.innerText || '',"
            " s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0]; })()"
        )
        if told[0] != "BODY":
            assert told[2], f"{told} has the focus and does not show it"
        seen.add((told[0], told[1].strip()))
    assert "CANVAS" in {tag for tag, _ in seen}
    names = " ".join(name for _, name in seen)
    for wanted in ("Images", "Brush", "Done, next image", "No category"):
        assert wanted in names, names

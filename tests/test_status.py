"""A project's numbers, in lines and on a page."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from maskmill.status import status_text, write_status_page
from maskmill.store.statistics import PLACE_BINS, SIZE_BINS, Statistics

EMPTY = Statistics(
    images=0,
    images_with_masks=0,
    masks=0,
    by_stage={},
    by_review={},
    by_category={},
    by_source={},
    by_split={},
    masks_per_image={},
    sizes=(0,) * SIZE_BINS,
    centres=((0,) * PLACE_BINS,) * PLACE_BINS,
    concavity=(),
)
CENTRES = tuple(
    tuple(3 if (y, x) == (4, 9) else 0 for x in range(PLACE_BINS)) for y in range(PLACE_BINS)
)
SOME = replace(
    EMPTY,
    images=1200,
    images_with_masks=3,
    masks=12,
    by_stage={"assisted": 4, "automatic": 8},
    by_category={"": 2, "<cat>": 10},
    masks_per_image={0: 1197, 2: 2, 8: 1},
    sizes=(0, 5, 7) + (0,) * (SIZE_BINS - 3),
    centres=CENTRES,
    concavity=(0.0, 0.1, 0.5),
)


def test_the_text_says_what_there_is() -> None:
    lines = status_text("parts", SOME).splitlines()
    assert lines[0] == "parts: 1,200 images, 3 of them with masks"
    assert "12; 4.0 an image that has some" in lines[1]
    assert any("automatic: 8, assisted: 4" in line for line in lines), "the most first"
    assert any("<cat>: 10, none: 2" in line for line in lines)
    assert any("below 6% a side" in line for line in lines), "the third of fifty parts"
    assert any("0.10 in the median of 3 masks" in line for line in lines)


def test_an_empty_project_is_told_in_two_lines() -> None:
    assert len(status_text("new", EMPTY).splitlines()) == 2


def test_long_lists_are_cut_short() -> None:
    many = replace(SOME, by_source={f"source {i}": i for i in range(20)})
    line = next(x for x in status_text("parts", many).splitlines() if "sources" in x)
    assert line.endswith("and 12 more")


def test_the_page_draws_every_bar_and_escapes_names(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    write_status_page(page, "parts & pieces", SOME)
    text = page.read_text("utf-8")
    assert "<title>parts &amp; pieces</title>" in text
    assert "&lt;cat&gt;" in text
    assert "<cat>" not in text
    heights = [
        float(h)
        for h in re.findall(r'<rect x="[\d.]+" y="[\d.]+" width="[\d.]+" height="([\d.]+)"', text)
    ]
    # Three numbers of masks an image, two sizes, one place, three concavities.
    assert len(heights) == 9
    assert "http" not in text.replace("http-equiv", ""), "the page needs nothing from elsewhere"


@pytest.mark.parametrize("found", [EMPTY, replace(SOME, concavity=())])
def test_what_cannot_be_drawn_is_said(tmp_path: Path, found: Statistics) -> None:
    page = tmp_path / "page.html"
    write_status_page(page, "parts", found)
    assert "Nothing to draw yet." in page.read_text("utf-8")

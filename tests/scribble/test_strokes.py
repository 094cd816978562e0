"""Strokes: drawn where they were drawn, in order, and refused where they make no sense."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill.errors import PromptError
from maskmill.scribble.strokes import (
    Scribbles,
    Stroke,
    draw,
    problems,
    read_png,
    read_scribbles,
    to_json,
    write_png,
)

CATEGORIES = ("background", "crack", "hole")


def stroke(category: str | None, *points: tuple[float, float], width: float = 3) -> Stroke:
    return Stroke(image="a.jpg", category=category, points=points, width=width, size=(20, 30))


def test_line_is_as_wide_as_it_says():
    labels = draw([stroke("crack", (5, 10), (20, 10))], CATEGORIES, (20, 30))
    assert (labels[:, 12] == 1).nonzero()[0].tolist() == [9, 10, 11]
    assert (labels[10] == 1).sum() >= 16


def test_dot_of_one_pixel_is_one_pixel():
    labels = draw([stroke("hole", (7.9, 3.2), width=1)], CATEGORIES, (20, 30))
    assert np.argwhere(labels >= 0).tolist() == [[3, 7]]


def test_later_stroke_wins_and_the_eraser_takes_away():
    under, over = stroke("crack", (2, 5), (25, 5)), stroke("hole", (10, 5), (12, 5))
    labels = draw([under, over, stroke(None, (20, 5), (28, 5))], CATEGORIES, (20, 30))
    assert (labels[5, 5], labels[5, 11], labels[5, 23]) == (1, 2, -1)


def test_another_size_is_refused_with_both_sizes():
    with pytest.raises(PromptError, match="is 40 x 20 pixels, its strokes were drawn on 30 x 20"):
        draw([stroke("crack", (1, 1))], CATEGORIES, (20, 40))


def test_stroke_outside_is_refused():
    with pytest.raises(PromptError, match="lies outside"):
        draw([stroke("crack", (1e9, 4), (2e9, 4))], CATEGORIES, (20, 30))


def test_stroke_far_to_the_right_lies_where_it_was_drawn():
    wide = Stroke(image="a.jpg", category="crack", points=((20000, 2), (29990, 3)), width=1)
    columns = np.flatnonzero((draw([wide], CATEGORIES, (5, 30000)) == 1).any(axis=0))
    assert (columns.min(), columns.max(), len(columns)) == (20000, 29990, 9991)


def test_json_round_trip(tmp_path: Path):
    drawn = Scribbles(
        categories=CATEGORIES, strokes=(stroke("crack", (1, 2)), stroke(None, (3, 4)))
    )
    path = tmp_path / "strokes.json"
    path.write_bytes(to_json(drawn))
    assert read_scribbles(path) == drawn
    assert drawn.images() == ["a.jpg"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "holds no strokes"),
        ("[]", "docs/visual-prompting.md shows one"),
        ('{"categories": ["a", "a"]}', "named twice"),
        ('{"categories": [], "version": 7}', "version 7"),
        ('{"categories": ["a"], "strokes": [{"image": "i", "category": "b", "points": [[1, 2]]}]}',
         "none of"),
        ('{"categories": ["a"], "strokes": [{"image": "i", "category": "a", "points": []}]}',
         "length >= 1"),
        ('{"categories": ["a"], "strokes": [{"image": "i", "category": "a", "points": [[1, 2]], '
         '"width": 0}]}', ">= 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, reason: str):
    path = tmp_path / "strokes.json"
    path.write_text(text)
    with pytest.raises(PromptError, match=reason):
        read_scribbles(path)


def test_missing_file_is_said(tmp_path: Path):
    with pytest.raises(PromptError, match="cannot read"):
        read_scribbles(tmp_path / "none.json")


def test_png_round_trip(tmp_path: Path):
    labels = draw([stroke("hole", (5, 5), (9, 9))], CATEGORIES, (20, 30))
    write_png(tmp_path / "a.png", labels)
    assert np.array_equal(read_png(tmp_path / "a.png", (20, 30), 3), labels)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (Image.new("RGB", (30, 20)), "of mode RGB"),
        (Image.new("L", (20, 20)), "is 20 x 20 pixels, its image is 30 x 20"),
        (Image.new("L", (30, 20), 9), "holds the value 9"),
        (Image.new("I;16", (30, 20), 700), "holds the value 700"),
    ],
)
def test_foreign_png_is_refused(tmp_path: Path, picture: Image.Image, reason: str):
    picture.save(tmp_path / "a.png")
    with pytest.raises(PromptError, match=reason):
        read_png(tmp_path / "a.png", (20, 30), 3)


def test_file_that_is_no_png_is_refused(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(PromptError, match="cannot be read as a PNG"):
        read_png(tmp_path / "a.png", (20, 30), 3)


def test_problems_are_said():
    few = draw([stroke("crack", (5, 5), width=1), stroke("background", (1, 9), (28, 9))],
               CATEGORIES, (20, 30))  # fmt: skip
    said = problems({"a.jpg": few}, CATEGORIES)
    assert any("only 1 pixels are marked as crack" in line for line in said)
    assert any("no stroke marks hole" in line for line in said)
    assert len(said) == 2

"""What a file may claim: sizes, numbers, text, and objects in objects."""

from typing import Any

import pytest

from maskmill.errors import DatasetError
from maskmill.formats.checks import checked_size, finite, rest_of, scores, short, text_or_none


@pytest.mark.parametrize(
    "side", [0, -3, 1e308, float("nan"), float("inf"), True, "5", None, 10**40, [4], 5.0]
)
def test_a_side_must_be_a_sane_whole_number(side: object) -> None:
    with pytest.raises(DatasetError, match="height is"):
        checked_size(side, 5)
    with pytest.raises(DatasetError, match="width is"):
        checked_size(5, side)


def test_too_many_pixels_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(DatasetError, match="pixels are more"):
        checked_size(60_000, 60_000)
    assert checked_size(3, 5) == (3, 5)


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), -1e300])
def test_a_number_must_be_finite(value: Any) -> None:
    with pytest.raises(DatasetError, match="predicted_iou is"):
        finite(value, "predicted_iou")


def test_scores_are_read_where_they_stand() -> None:
    entry = {"predicted_iou": 1, "point_coords": [[1, 2.5], [3, 4]], "crop_box": [1, 2, 10, 20]}
    assert scores(entry) == {
        "predicted_iou": 1.0,
        "point_coords": ((1.0, 2.5), (3.0, 4.0)),
        "crop_box": (1.0, 2.0, 11.0, 22.0),
    }
    assert scores({"crop_box": None, "stability_score": None}) == {"stability_score": None}


@pytest.mark.parametrize(
    "entry",
    [{"crop_box": [1, 2, 3]}, {"crop_box": "abcd"}, {"point_coords": [1, 2]},
     {"point_coords": [[1, float("nan")]]}, {"stability_score": [1]}, {"point_coords": {}}],
)  # fmt: skip
def test_wrong_scores_are_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(DatasetError):
        scores(entry)


def test_the_rest_is_kept_and_its_bag_is_spread_out() -> None:
    entry = {"id": 1, "z": [1, {"a": None}], "attributes": {"occluded": True}}
    assert rest_of(entry, {"id"}, "attributes") == {"occluded": True, "z": [1, {"a": None}]}


@pytest.mark.parametrize("value", [float("nan"), [[float("inf")]], "\ud800", {"\udfff": 1}])
def test_what_could_not_be_written_again_is_refused(value: Any) -> None:
    with pytest.raises(DatasetError, match="what it says besides"):
        rest_of({"x": value}, frozenset(), "attributes")


def test_lists_in_lists_without_end_are_refused() -> None:
    value: list[Any] = []
    for _ in range(50):
        value = [value]
    with pytest.raises(DatasetError, match="deeper than 16"):
        rest_of({"x": value}, frozenset(), "attributes")


def test_text_is_kept_and_half_a_character_refused() -> None:
    assert text_or_none("Zürich") == "Zürich"
    assert text_or_none(5) is None
    with pytest.raises(DatasetError, match="not Unicode"):
        text_or_none("\ud83d", "category")


def test_no_value_fills_the_screen() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in ("x" * 10**6, 10**5000, [10**5000], [[[]]], b"x" * 10**6, deep):
        assert len(short(value)) <= 80

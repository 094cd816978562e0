"""Each rule does to drawn shapes what it says, and tells what it removed."""

import json

import cv2
import numpy as np
import pytest

from maskmill.errors import ConfigError
from maskmill.scribble.rules import parse_rules
from maskmill.scribble.shaping import describe, shape

CATEGORIES = ("background", "a", "b")


def canvas() -> np.ndarray:
    return np.zeros((80, 120), np.uint8)


def disc(image: np.ndarray, x: int, y: int, radius: int, value: int = 1) -> np.ndarray:
    return cv2.circle(image, (x, y), radius, value, -1)


def run(labels: np.ndarray, *rules: dict, decided: float = 0.9):
    probabilities = np.full((3, *labels.shape), (1 - decided) / 2, np.float32)
    for k in range(3):
        probabilities[k][labels == k] = decided
    text = json.dumps({"categories": {"a": rules}}).encode()
    return shape(probabilities, CATEGORIES, parse_rules(text))


def areas(shaped) -> list[int]:
    return sorted(np.bincount(shaped.regions["a"].ravel())[1:].tolist())


def test_regions_without_rules_are_connected_pixels():
    image = disc(disc(disc(canvas(), 20, 20, 5), 60, 40, 9), 100, 60, 4, 2)
    shaped = run(image)
    assert shaped.regions["a"].max() == 2
    assert shaped.regions["b"].max() == 1
    assert "background" not in shaped.regions
    assert np.array_equal(shaped.labels(CATEGORIES), image)


def test_areas_and_keep_largest():
    image = disc(disc(disc(canvas(), 15, 20, 3), 50, 40, 9), 90, 40, 14)
    all_three = areas(run(image))
    assert areas(run(image, {"rule": "min_area", "area": all_three[1]})) == all_three[1:]
    assert areas(run(image, {"rule": "max_area", "area": all_three[1]})) == all_three[:2]
    assert areas(run(image, {"rule": "keep_largest", "number": 1})) == all_three[2:]


def test_holes_are_filled_up_to_an_area_and_never_the_outside():
    image = disc(disc(disc(canvas(), 50, 40, 30), 40, 40, 4, 0), 65, 40, 9, 0)
    small, large = (disc(canvas(), 0 + 50, 40, r).sum() for r in (4, 9))
    before = areas(run(image))[0]
    assert areas(run(image, {"rule": "fill_holes", "area": int(small)})) == [before + small]
    assert areas(run(image, {"rule": "fill_holes", "area": 10**6})) == [before + small + large]


def test_closing_joins_and_opening_parts():
    image = canvas()
    image[30:50, 10:50] = 1
    image[30:50, 53:90] = 1
    assert run(image, {"rule": "close", "radius": 3}).regions["a"].max() == 1
    bridge = image.copy()
    bridge[39:41, 50:53] = 1
    assert run(bridge).regions["a"].max() == 1
    assert run(bridge, {"rule": "open", "radius": 3}).regions["a"].max() == 2


def test_smoothing_takes_teeth_and_keeps_area():
    image = canvas()
    image[20:60, 20:80] = 1
    image[18:20, 20:80:4] = 1
    shaped = run(image, {"rule": "smooth", "radius": 3})
    assert not (shaped.regions["a"][:18] > 0).any()
    assert abs(areas(shaped)[0] / image.sum() - 1) < 0.03


def test_elongation_and_solidity_choose_by_form():
    image = canvas()
    image[10:14, 10:70] = 1  # a bar, 15 times as long as wide
    disc(image, 90, 50, 10)
    image[40:70, 10:14] = image[66:70, 10:50] = 1  # an L
    bars = run(image, {"rule": "elongation", "least": 5})
    assert areas(bars) == [4 * 60]
    round_ones = run(image, {"rule": "elongation", "most": 1.2})
    assert round_ones.regions["a"][50, 90] == 1
    assert round_ones.regions["a"].max() == 1
    dented = run(image, {"rule": "solidity", "most": 0.7})
    assert dented.regions["a"].max() == 1
    assert dented.regions["a"][68, 30] == 1


def test_elongation_of_a_slanted_bar():
    image = cv2.line(canvas(), (10, 10), (60, 60), 1, 3)
    assert run(image, {"rule": "elongation", "least": 8}).regions["a"].max() == 1


@pytest.mark.parametrize("method", ["distance", "watershed"])
def test_touching_discs_are_split_midway(method: str):
    image = disc(disc(canvas(), 40, 40, 15), 66, 40, 15)
    assert run(image).regions["a"].max() == 1
    split = run(image, {"rule": "split", "method": method, "apart": 8})
    assert split.regions["a"].max() == 2
    assert abs(areas(split)[0] - areas(split)[1]) < 40
    assert sum(areas(split)) == (image == 1).sum()


def test_split_loses_no_crumb():
    image = disc(disc(canvas(), 40, 40, 15), 66, 40, 15)
    image[2, 3] = 1
    assert sum(areas(run(image, {"rule": "split", "apart": 8}))) == (image == 1).sum()


def test_fragments_that_are_near_become_one():
    image = canvas()
    for x in (10, 20, 30, 80):
        image[40:44, x : x + 6] = 1  # gaps of 4 pixels, and one of 44
    merged = run(image, {"rule": "merge", "nearer": 6}, {"rule": "min_area", "area": 60})
    assert areas(merged) == [72]
    assert run(image, {"rule": "merge", "nearer": 2}).regions["a"].max() == 4


def test_place_looks_at_another_category_and_the_border():
    image = disc(canvas(), 30, 40, 20, 2)
    disc(image, 30, 40, 5)  # inside b
    image[38:42, 50:56] = 1  # touches b from outside
    disc(image, 90, 40, 5)  # away from b
    disc(image, 119, 10, 5)  # at the border

    def at(relation: str, of: str, keep: bool = True) -> set[tuple[int, int]]:
        rule = {"rule": "place", "relation": relation, "of": of, "keep": keep}
        shaped = run(image, rule)
        spots = {"in": (40, 30), "touch": (40, 55), "away": (40, 90), "edge": (10, 118)}
        return {name for name, spot in spots.items() if shaped.regions["a"][spot]}

    assert at("inside", "b") == {"in"}
    assert at("touching", "b") == {"in", "touch"}
    assert at("outside", "b") == {"away", "edge"}
    assert at("touching", "border") == {"edge"}
    assert at("touching", "border", keep=False) == {"in", "touch", "away"}


def test_confidence_takes_doubtful_pixels():
    image = disc(canvas(), 30, 40, 10)
    assert areas(run(image, {"rule": "confidence", "threshold": 0.8}, decided=0.85))
    assert not areas(run(image, {"rule": "confidence", "threshold": 0.8}, decided=0.7))


def test_steps_say_what_went_and_a_rule_that_empties_is_named():
    image = disc(disc(canvas(), 15, 20, 3), 50, 40, 9)
    shaped = run(image, {"rule": "min_area", "area": 100}, {"rule": "min_area", "area": 10**6})
    told = [describe(step) for step in shaped.steps]
    assert [t["rule"] for t in told] == ["min_area", "min_area"]
    assert told[0]["removed"] == disc(canvas(), 15, 20, 3).sum()
    assert shaped.steps[0].removed[20, 15]
    assert not shaped.steps[0].removed[40, 50]
    assert len(shaped.warnings) == 1
    assert "min_area leaves nothing of a" in shaped.warnings[0]


def test_unknown_category_is_refused():
    rules = parse_rules(b'{"categories": {"crack": []}}')
    with pytest.raises(ConfigError, match="crack"):
        shape(np.ones((3, 4, 5), np.float32), CATEGORIES, rules)

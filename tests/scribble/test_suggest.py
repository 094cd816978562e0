"""Suggested rules help on images that the search did not see, or there are none."""

import cv2
import numpy as np
import pytest

from maskmill.errors import ConfigError
from maskmill.scribble.rules import Close, Confidence, FillHoles, MinArea, Open
from maskmill.scribble.suggest import Labelled, as_rules, suggest

CATEGORIES = ("background", "spot")


def case(seed: int, *, crumbs: int = 0, holes: int = 0, doubtful: int = 0) -> Labelled:
    """Draw true discs, and what a classifier might add or leave out."""
    random = np.random.default_rng(seed)
    labels = np.zeros((100, 140), np.uint8)
    for _ in range(3):
        cv2.circle(labels, tuple(int(v) for v in random.integers(20, 80, 2)), 12, 1, -1)
    found = labels.astype(np.float32) * 0.9 + 0.05
    for _ in range(crumbs):
        x, y = (int(v) for v in random.integers(5, 95, 2))
        cv2.circle(found, (x, y), 1, 0.9, -1)
    for _ in range(holes):
        y, x = random.permutation(np.argwhere(labels))[0]
        cv2.circle(found, (int(x), int(y)), 2, 0.1, -1)
    for _ in range(doubtful):
        cv2.circle(found, (int(random.integers(100, 135)), 50), 9, 0.6, -1)
    return Labelled(probabilities=np.stack([1 - found, found]), labels=labels.astype(np.int16))


def test_crumbs_ask_for_a_least_area():
    (found,) = suggest([case(i, crumbs=25) for i in range(6)], CATEGORIES)
    assert any(isinstance(rule, MinArea | Open) for rule in found.rules)
    assert found.after > found.before + 0.02


def test_holes_ask_to_be_filled():
    (found,) = suggest([case(i, holes=12) for i in range(6)], CATEGORIES)
    assert any(isinstance(rule, FillHoles | Close) for rule in found.rules)
    assert found.after > found.before + 0.02
    assert as_rules([found]).categories["spot"] == found.rules


def test_doubtful_regions_ask_for_confidence():
    (found,) = suggest([case(i, doubtful=1) for i in range(6)], CATEGORIES)
    assert any(isinstance(rule, Confidence) for rule in found.rules)


def test_nothing_is_suggested_where_nothing_helps():
    (found,) = suggest([case(i) for i in range(6)], CATEGORIES)
    assert found.rules == ()
    assert found.before == found.after == 1.0
    assert as_rules([found]).categories == {}


def test_what_helps_only_where_it_was_found_is_not_suggested():
    # One image in which a rule would help very much, and is the only judge of itself.
    cases = [case(0, crumbs=60), *(case(i) for i in range(1, 3))]
    (found,) = suggest(cases, CATEGORIES)
    assert found.after >= found.before


def test_what_helps_on_the_sum_because_of_two_images_is_not_suggested():
    # Whoever draws 24 of these anew sees neither of the two with crumbs in one draw of eight.
    cases = [case(0, crumbs=60), case(1, crumbs=60), *(case(i) for i in range(2, 24))]
    (found,) = suggest(cases, CATEGORIES)
    assert found.rules == ()
    (found,) = suggest([case(i, crumbs=60) for i in range(12)], CATEGORIES)
    assert found.rules


def test_one_image_is_no_judge():
    with pytest.raises(ConfigError, match="1 labelled images; label at least two"):
        suggest([case(0)], CATEGORIES)

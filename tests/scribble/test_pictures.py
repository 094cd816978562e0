"""Pictures: a colour per category, red for what rules took."""

import numpy as np

from maskmill.scribble.pictures import REMOVED, doubt_map, overlay
from maskmill.scribble.rules import MinArea
from maskmill.scribble.shaping import Step


def test_regions_are_coloured_and_the_rest_is_the_image():
    image = np.full((20, 30, 3), 100, np.uint8)
    first, second = np.zeros((20, 30), np.int32), np.zeros((20, 30), np.int32)
    first[2:10, 2:10], second[12:18, 12:18] = 1, 1
    gone = np.zeros((20, 30), bool)
    gone[0, 29] = True
    step = Step(category="a", rule=MinArea(area=2), removed=gone, added=gone & False)
    drawn = overlay(image, {"a": first, "b": second}, [step])
    assert (drawn[0, 0] == 100).all()
    assert tuple(drawn[0, 29]) == REMOVED
    assert len({tuple(drawn[5, 5]), tuple(drawn[15, 15]), tuple(drawn[0, 0])}) == 3
    assert tuple(drawn[2, 2]) != tuple(drawn[5, 5])  # the outline is stronger than the area


def test_doubt_is_brighter():
    heat = doubt_map(np.array([[0.0, 1.0]], np.float32))
    assert heat[0, 0].sum() < 30
    assert heat[0, 1].sum() > 500

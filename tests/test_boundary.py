"""Outlines move to the image's edges where there are any, and stay where there are none."""

import cv2
import numpy as np
import pytest

from maskmill.boundary import as_colours, follow_edges

SIDE = 80


def disc(x: int, y: int, radius: int) -> np.ndarray:
    drawn = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (x, y), radius, 1, -1)
    return drawn.astype(bool)


def image(truth: np.ndarray, inside: int, outside: int, noise: float = 6.0) -> np.ndarray:
    random = np.random.default_rng(0)
    light = np.where(truth, inside, outside)[..., None] + random.normal(0, noise, (SIDE, SIDE, 3))
    return np.clip(light, 0, 255).astype(np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize(("inside", "outside"), [(190, 60), (60, 190)], ids=["bright", "dark"])
@pytest.mark.parametrize(
    "drawn",
    [disc(40, 40, 10), disc(40, 40, 14), disc(43, 38, 12)],
    ids=["small", "large", "beside"],
)
def test_an_outline_goes_where_the_image_changes(
    inside: int, outside: int, drawn: np.ndarray
) -> None:
    truth = disc(40, 40, 12)
    moved = follow_edges(as_colours(image(truth, inside, outside)), drawn)
    assert iou(drawn, truth) < 0.8
    assert iou(moved, truth) > 0.93


def test_an_object_like_its_ground_keeps_its_mask() -> None:
    drawn = disc(40, 40, 12)
    moved = follow_edges(as_colours(image(drawn, 120, 120)), drawn)
    assert iou(moved, drawn) > 0.9


def test_colours_move_an_outline_and_do_not_reach_for_another_object() -> None:
    truth, other = disc(24, 40, 10), disc(60, 40, 10)
    moved = follow_edges(as_colours(image(truth | other, 200, 50)), disc(24, 40, 12))
    assert iou(moved, truth) > 0.93
    assert not (moved & other).any()


def test_the_part_that_was_meant_stays_where_a_mask_reached_over_a_gap() -> None:
    truth, crumb = disc(30, 40, 12), disc(47, 40, 2)
    drawn = disc(32, 40, 15)
    moved = follow_edges(as_colours(image(truth | crumb, 200, 50)), drawn)
    assert iou(moved, truth) > 0.85 > iou(drawn, truth)
    assert not (moved & crumb).any()


@pytest.mark.parametrize("drawn", [disc(0, 0, 12), disc(79, 40, 9)], ids=["corner", "border"])
def test_an_object_at_the_border_stays_in_the_image(drawn: np.ndarray) -> None:
    truth = cv2.erode(drawn.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    moved = follow_edges(as_colours(image(truth, 200, 50)), drawn)
    assert moved.shape == drawn.shape
    assert iou(moved, truth) > iou(drawn, truth)


def test_nothing_stays_nothing_and_a_whole_image_stays_whole() -> None:
    colours = as_colours(image(disc(40, 40, 12), 200, 50))
    nothing = np.zeros((SIDE, SIDE), bool)
    assert not follow_edges(colours, nothing).any()
    assert follow_edges(colours, ~nothing).mean() > 0.9
    dot = nothing.copy()
    dot[3, 3] = True
    assert follow_edges(colours, dot).any()

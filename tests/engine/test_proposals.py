"""Pre-filling: only above a threshold whose precision was measured, and never twice."""

from dataclasses import replace

import numpy as np
import pytest

from maskmill import rle
from maskmill.config import AutomaskConfig
from maskmill.engine.heads import Heads
from maskmill.engine.proposals import (
    Calibration,
    Proposal,
    along_edges,
    best_way,
    calibrate,
    calibrate_together,
    candidates,
    found_by,
    nearly_open,
    propose,
    without_overlaps,
)
from maskmill.predict import Predictor

SIDE = 40


def square(x: int, y: int, side: int = 10) -> rle.Rle:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + side, x : x + side] = True
    return rle.encode(mask)


def found(mask: rle.Rle, score: float) -> Proposal:
    return Proposal(
        rle=mask, box=(0, 0, 1, 1), area=rle.area(mask), predicted_iou=0.5, stability_score=1.0,
        point=(0.0, 0.0), crop_box=(0, 0, SIDE, SIDE), score=score, by="everything mode",
    )  # fmt: skip


TRUTH = [square(0, 0), square(20, 0)]
WRONG = square(0, 25)


def test_masks_along_edges_are_new_masks_of_the_same_score() -> None:
    pixels = np.full((SIDE, SIDE, 3), 40, np.uint8)
    pixels[:12, :12] = 200
    first, second = along_edges([found(square(0, 0), 0.9), found(WRONG, 0.4)], pixels)
    truth = np.zeros((SIDE, SIDE), bool)
    truth[:12, :12] = True
    assert rle.iou([first.rle], [rle.encode(truth)])[0, 0] > 0.9 > 100 / 144
    assert (first.area, first.score) == (rle.area(first.rle), 0.9)
    left, top, right, bottom = first.box
    assert (left, top) == (0, 0)
    assert right >= 12 <= bottom
    assert first.by == second.by == "detector along edges"
    assert rle.iou([second.rle], [WRONG])[0, 0] > 0.8, "there is no edge to follow"


def test_two_masks_that_become_one_are_proposed_once() -> None:
    pixels = np.full((SIDE, SIDE, 3), 40, np.uint8)
    pixels[4:16, 4:16] = 200
    both = [found(square(3, 3, 11), 0.9), found(square(7, 7, 10), 0.8)]
    assert rle.iou([both[0].rle], [both[1].rle])[0, 0] < 0.5
    assert [mask.score for mask in along_edges(both, pixels)] == [0.9]


def image(right: float, wrong: float) -> list[Proposal]:
    """One image: both objects at one score, a mask of nothing at another."""
    return [found(TRUTH[0], right), found(TRUTH[1], right), found(WRONG, wrong)]


def test_the_threshold_lies_where_the_precision_ends() -> None:
    images = [image(0.9 - i / 100, 0.5) for i in range(10)]
    calibration = calibrate(images, [TRUTH] * 10)
    assert calibration.threshold == pytest.approx(0.81)
    assert (calibration.precision, calibration.kept, calibration.found) == (1.0, 20, 1.0)


def test_a_lower_precision_keeps_more() -> None:
    images = [image(0.9, 0.5) for _ in range(10)]
    calibration = calibrate(images, [TRUTH] * 10, precision=0.6)
    assert calibration.threshold == 0.5
    assert calibration.precision == pytest.approx(2 / 3)


def test_where_nothing_is_precise_nothing_is_prefilled() -> None:
    images = [image(0.5, 0.9) for _ in range(10)]
    calibration = calibrate(images, [TRUTH] * 10)
    assert calibration.threshold is None
    assert propose(images[0], calibration) == []


def test_few_right_masks_prove_nothing() -> None:
    assert calibrate([image(0.9, 0.1)], [TRUTH]).threshold is None


def test_a_second_mask_of_one_object_is_wrong() -> None:
    images = [[found(TRUTH[0], 0.9), found(TRUTH[0], 0.8)] for _ in range(20)]
    assert calibrate(images, [TRUTH] * 20).threshold == 0.9


def test_no_candidates_and_no_images_are_no_threshold() -> None:
    assert calibrate([], []).threshold is None
    assert calibrate([[]], [TRUTH]).threshold is None


def test_only_sure_masks_that_overlap_nothing_are_proposed() -> None:
    calibration = Calibration(threshold=0.6, precision=0.95, kept=20, found=0.5)
    masks = [found(TRUTH[0], 0.9), found(square(1, 0), 0.8), *image(0.7, 0.5)[1:]]
    assert propose(masks, calibration) == [masks[0], masks[2]]
    assert propose(masks, calibration, taken=[TRUTH[0]]) == [masks[2]]


def test_the_way_that_finds_more_at_the_precision_is_taken() -> None:
    none = Calibration(threshold=None, precision=0.9, kept=0, found=0.0, way="detector")
    few = Calibration(threshold=0.8, precision=0.95, kept=20, found=0.1)
    many = Calibration(threshold=0.4, precision=0.95, kept=40, found=0.3, way="detector")
    assert best_way({"everything mode": few, "detector": many}) is many
    assert best_way({"everything mode": few, "detector": none}) is few
    assert best_way({"detector": none}).threshold is None


def test_a_further_way_is_held_to_what_the_ways_before_left() -> None:
    """Alone each has 95 of 100 right, together 102 of 112; with only the sure ones, 115 of 120."""
    first, second = TRUTH
    wrong = square(20, 25)
    surest = [[found(first, 0.9)]] * 95 + [[found(WRONG, 0.9)]] * 5
    others = [[found(first, 0.9)]] * 88 + [[found(wrong, 0.9)]] * 5 + [[found(second, 0.9)]] * 7
    truths = [TRUTH] * 100
    assert calibrate(others, truths).kept == 100
    alone, left = calibrate_together({"detector": surest, "regions": others}, truths).values()
    assert alone == replace(calibrate(surest, truths), way="detector")
    assert (left.threshold, left.way) == (None, "regions")
    assert left.precision == pytest.approx(7 / 12)

    others = [[found(first, 0.9)]] * 75 + [[found(second, 0.8)]] * 20 + [[found(wrong, 0.7)]] * 5
    assert calibrate(others, truths).threshold == 0.7
    _, left = calibrate_together({"detector": surest, "regions": others}, truths).values()
    assert (left.threshold, left.kept, left.found) == (0.8, 20, 20 / 200)


def test_of_what_overlaps_by_half_the_better_stays() -> None:
    masks = [found(TRUTH[0], 0.9), found(square(1, 0), 0.8), found(square(8, 0), 0.7)]
    assert without_overlaps(masks) == [masks[0], masks[2]]
    assert without_overlaps(masks, [square(8, 0)]) == [masks[0]]


def test_everything_mode_offers_its_masks_best_first_and_none_over_another() -> None:
    y, x = np.mgrid[:96, :128]
    image = np.full((96, 128, 3), 90, np.uint8)
    image[(y - 48) ** 2 + (x - 36) ** 2 < 24**2] = (220, 40, 40)
    grid = nearly_open(AutomaskConfig(points_per_side=6))
    offered = candidates(Predictor.load("tiny", threads=1), image, grid)
    assert offered
    scores = [mask.score for mask in offered]
    assert scores == sorted(scores, reverse=True) == [mask.predicted_iou for mask in offered]
    iou = rle.iou([m.rle for m in offered], [m.rle for m in offered]) - np.eye(len(offered))
    assert iou.max() < 0.5


def test_a_way_without_its_head_finds_nothing() -> None:
    predictor, image = Predictor.load("tiny", threads=1), np.zeros((48, 64, 3), np.uint8)
    for way in ("detector", "detector along edges", "regions"):
        assert found_by(way, predictor, image, Heads(), AutomaskConfig()) == []

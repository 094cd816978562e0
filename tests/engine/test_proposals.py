"""Pre-filling: only above a threshold whose precision was measured, and never twice."""

import numpy as np
import pytest

from maskmill import rle
from maskmill.automask import AutoMask
from maskmill.engine.proposals import Calibration, calibrate, propose

SIDE = 40


def square(x: int, y: int, side: int = 10) -> rle.Rle:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + side, x : x + side] = True
    return rle.encode(mask)


def found(mask: rle.Rle, score: float) -> AutoMask:
    return AutoMask(
        rle=mask, box=(0, 0, 1, 1), area=rle.area(mask), predicted_iou=score,
        stability_score=1.0, point=(0.0, 0.0), crop_box=(0, 0, SIDE, SIDE),
    )  # fmt: skip


TRUTH = [square(0, 0), square(20, 0)]
WRONG = square(0, 25)


def image(right: float, wrong: float) -> list[AutoMask]:
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

"""Made-up shapes: every kind, where they lie and what they are like."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from maskmill.scribble.pretrain.shapes import (
    CHANCES,
    KINDS,
    Kind,
    cut_square,
    draw_shapes,
    noise,
    some_shapes,
)

SIDE = 96


def photo() -> tuple[np.ndarray, np.ndarray]:
    """Every pixel tells where it was: red the column, green the row; labels the quarter."""
    y, x = np.mgrid[:120, :200].astype(np.uint8)
    labels = (1 + (y >= 60) + 2 * (x >= 100)).astype(np.int16)
    return np.dstack([x, y, np.zeros_like(x)]), labels


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_something_that_is_not_everything(kind: Kind):
    drawn = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        shapes = replace(some_shapes(rng), kind=kind)
        drawn.append(draw_shapes(shapes, rng, SIDE, [photo()]))
    assert all(each.shape == (SIDE, SIDE) and each.dtype == bool for each in drawn)
    shares = np.array([each.mean() for each in drawn])
    assert np.median(shares) > 0.0005
    assert shares.min() < 0.9
    assert any(not np.array_equal(drawn[0], each) for each in drawn[1:])


def test_chances_are_of_all_kinds():
    assert sum(CHANCES) == pytest.approx(1)
    assert len(CHANCES) == len(KINDS)
    rng = np.random.default_rng(0)
    assert {some_shapes(rng).kind for _ in range(300)} == set(KINDS)


def test_ellipses_are_as_large_as_their_kind_says():
    rng = np.random.default_rng(1)
    shapes = replace(
        some_shapes(rng), kind="ellipses", number=3, radius=10.0, spread=0.0, flatness=1.0
    )
    _, _, stats, _ = cv2.connectedComponentsWithStats(
        draw_shapes(shapes, rng, 400, []).astype(np.uint8)
    )
    assert np.pi * 9**2 < np.median(stats[1:, cv2.CC_STAT_AREA]) < np.pi * 11.5**2


def test_labels_are_cut_out_where_pixels_are():
    for seed in range(20):
        pixels, labels = cut_square(photo(), np.random.default_rng(seed), 64, (0.5, 3.0))
        assert pixels.shape == (64, 64, 3)
        expected = 1 + (pixels[..., 1] >= 60) + 2 * (pixels[..., 0] >= 100)
        assert (labels == expected).mean() > 0.95, seed


def test_noise_changes_over_its_scale():
    fine, coarse = (noise(np.random.default_rng(0), scale, 200) for scale in (2.0, 40.0))
    for each in (fine, coarse):
        assert abs(each.mean()) < 1e-3
        assert each.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(coarse)).mean() < np.abs(np.diff(fine)).mean() / 5

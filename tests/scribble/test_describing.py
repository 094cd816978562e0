"""Descriptors: of every image, the same every time, and of what is where it is."""

import numpy as np
import pytest

from maskmill.scribble.describing import DESCRIPTORS, describe
from maskmill.scribble.features import grid_size


@pytest.mark.parametrize("size", [(1, 1), (1, 600), (90, 40), (200, 260), (700, 500)])
def test_every_size_is_described_at_its_own_grid(size: tuple[int, int]):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    found = describe(image, grid_size(size))
    assert found.shape == (DESCRIPTORS, *grid_size(size))
    assert np.isfinite(found).all()
    assert np.array_equal(found, describe(image, grid_size(size)))


def test_a_flat_image_is_described_and_nothing_divided_by_nothing():
    found = describe(np.full((64, 64, 3), 200, np.uint8), (64, 64))
    assert np.isfinite(found).all()
    middle = found[:, 24:40, 24:40]
    assert np.ptp(middle, axis=(1, 2)).max() < 0.2 * np.abs(found).max() + 1e-3


def test_what_stands_out_is_described_otherwise_where_it_stands():
    image = np.full((200, 320, 3), 90, np.uint8)
    image[40:90, 200:280] = (230, 60, 40)
    rows, columns = grid_size((200, 320))
    found = describe(image, (rows, columns))
    y, x = np.mgrid[:rows, :columns]
    inside = (y >= 14) & (y < 29) & (x >= 67) & (x < 92)  # cells of three pixels
    ground = (y > 45) | (x < 45)
    away = np.linalg.norm(found - np.median(found[:, ground], axis=1)[:, None, None], axis=0)
    assert np.median(away[inside]) > 3 * np.median(away[ground])

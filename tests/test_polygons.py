"""Polygon filling: exact cases, properties, and agreement with pycocotools up to the outline."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as reference

from maskmill.errors import DatasetError
from maskmill.formats.polygons import parse_polygons, rasterise


def test_a_square_has_its_own_area_and_neighbours_share_no_pixel() -> None:
    left = np.array([[0.0, 0], [4, 0], [4, 10], [0, 10]])
    right = np.array([[4.0, 0], [10, 0], [10, 10], [4, 10]])
    a, b = rasterise([left], (12, 15)), rasterise([right], (12, 15))
    assert (a.sum(), b.sum()) == (40, 60)
    assert not (a & b).any()
    assert (a | b)[:10, :10].all()


def test_a_triangle_is_cut_at_pixel_centres() -> None:
    # The slanted side x = y keeps centres with x + 0.5 < y + 0.5 strictly; ties fall outside.
    mask = rasterise([np.array([[0.0, 0], [4, 4], [0, 4]])], (4, 6))
    np.testing.assert_array_equal(mask[:, :4], np.tri(4, dtype=bool, k=-1))


def test_a_loop_in_itself_follows_the_even_odd_rule() -> None:
    twice = np.array([[0.0, 0], [6, 0], [6, 6], [0, 6]])
    assert not rasterise([np.concatenate([twice, twice])], (8, 9)).any()
    assert rasterise([twice, twice], (8, 9)).sum() == 36


def test_a_polygon_beyond_the_image_is_cut_off() -> None:
    mask = rasterise([np.array([[-1e6, -1e6], [1e6, -1e6], [1e6, 1e6], [-1e6, 1e6]])], (5, 7))
    assert mask.all()
    assert not rasterise([np.array([[8.0, 1], [20, 1], [20, 4]])], (5, 7)).any()


corner = st.tuples(st.integers(0, 60), st.integers(0, 40))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools sets shapes
@given(centre=corner, radii=st.lists(st.integers(6, 30), min_size=3, max_size=12))
def test_masks_agree_with_pycocotools_up_to_the_outline(
    centre: tuple[int, int], radii: list[int]
) -> None:
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    corners = directions * np.array(radii)[:, None] + centre
    ours = rasterise([corners], (44, 67))
    theirs = reference.decode(reference.frPyObjects([corners.ravel().tolist()], 44, 67))[..., 0]
    band = np.zeros((44, 67), np.uint8)
    cv2.polylines(band, [np.floor(corners).astype(np.int32)], True, 1, thickness=5)
    assert not (ours != (theirs == 1))[band == 0].any()


@given(corners=st.lists(corner, min_size=3, max_size=9), shift=st.integers(1, 20))
def test_a_shifted_polygon_gives_the_shifted_mask(
    corners: list[tuple[int, int]], shift: int
) -> None:
    points = np.array(corners, np.float64)
    here = rasterise([points], (41, 61))
    there = rasterise([points + np.array([shift, 2 * shift])], (90, 90))
    np.testing.assert_array_equal(here, there[2 * shift : 2 * shift + 41, shift : shift + 61])


def test_numbers_are_checked_before_any_memory_is_taken() -> None:
    assert parse_polygons([[1, 2, 3.5, 4, 5, 6]])[0].tolist() == [[1, 2], [3.5, 4], [5, 6]]
    with pytest.raises(DatasetError, match="corners"):
        parse_polygons([[0.0] * 400_000])
    zigzag = np.stack([np.arange(9000.0) % 7, np.arange(9000) % 2 * 9000.0], 1)
    with pytest.raises(DatasetError, match="crosses rows"):
        rasterise([zigzag], (9000, 9))

"""Masks to polygons: every pixel comes back, whatever the mask's holes, parts and corners."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskmill.formats.contours import one_ring, outlines
from maskmill.formats.polygons import rasterise

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 15)))


def filled(mask: np.ndarray) -> np.ndarray:
    """Fill every outline and cut its holes out, as a form with holes is read."""
    out = np.zeros(mask.shape, bool)
    for outline in outlines(mask):
        part = rasterise([outline.exterior.astype(float)], mask.shape)
        for hole in outline.holes:
            part &= ~rasterise([hole.astype(float)], mask.shape)
        out |= part
    return out


@given(MASKS)
def test_filling_gives_the_mask_again(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(filled(mask), mask)


@given(MASKS)
def test_one_ring_of_all_parts_and_holes_gives_the_mask_again(mask: np.ndarray) -> None:
    rings = [ring for outline in outlines(mask) for ring in (outline.exterior, *outline.holes)]
    if rings:
        ring = one_ring(rings).astype(float)
        np.testing.assert_array_equal(rasterise([ring], mask.shape), mask)


@given(MASKS)
def test_parts_are_those_of_connected_pixels(mask: np.ndarray) -> None:
    import cv2

    found = outlines(mask)
    assert len(found) == cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    background = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    holes = sum(len(outline.holes) for outline in found)
    assert holes == cv2.connectedComponents(background, connectivity=8)[0] - 2
    for outline in found:
        for ring in (outline.exterior, *outline.holes):
            steps = np.diff(ring, axis=0, append=ring[:1])
            # Every step is along one axis, and the axis changes at every corner.
            assert (np.count_nonzero(steps, axis=1) == 1).all()
            assert (steps[:, 0] != 0).tolist() == [i % 2 == 0 for i in range(len(steps))]


def test_crosswise_pixels_are_two_parts_and_two_holes_that_meet_are_one() -> None:
    assert len(outlines(np.eye(2, dtype=bool))) == 2
    assert len(outlines(np.eye(2, dtype=bool)[::-1])) == 2
    ring = np.ones((4, 4), bool)
    ring[1, 1] = ring[2, 2] = False
    (outline,) = outlines(ring)
    assert len(outline.holes) == 1


def test_an_empty_mask_has_no_outline_and_a_full_one_four_corners() -> None:
    assert outlines(np.zeros((3, 5), bool)) == []
    (outline,) = outlines(np.ones((3, 5), bool))
    assert outline.exterior.tolist() == [[0, 0], [5, 0], [5, 3], [0, 3]]


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_a_ragged_mask_comes_back_as_pycocotools_fills_it() -> None:
    """A stranger's filling agrees: COCO's own takes coordinates as continuous, too."""
    from pycocotools import mask as peer

    size = (300, 500)
    y, x = np.mgrid[: size[0], : size[1]]
    ragged = np.hypot(y - 140, x - 220) + 12 * np.sin(x / 7) + 9 * np.cos(y / 5) < 110
    ragged &= ~(np.hypot(y - 120, x - 200) < 20)
    parts = outlines(ragged)
    polygons = [part.exterior.ravel().tolist() for part in parts]
    theirs = peer.decode(peer.merge(peer.frPyObjects(polygons, *size))).astype(bool)
    holes = [hole.ravel().tolist() for part in parts for hole in part.holes]
    theirs &= ~peer.decode(peer.merge(peer.frPyObjects(holes, *size))).astype(bool)
    assert (theirs & ragged).sum() / (theirs | ragged).sum() > 0.99

"""The fast mode's short cut: ask a coarse grid first, and leave out points that are answered.

Neighbouring points mostly find the same masks again. A point inside a mask that is already sure
is left out, unless that mask is so large that it may well hold parts which deserve masks of
their own. What this loses is measured by `benchmarks/automask.py`.
"""

import math

import numpy as np
from jaxtyping import Bool, Float, Int

from maskmill.automask.upsampling import Patch
from maskmill.geometry import to_input_frame
from maskmill.values import Embedding

LARGEST_SHARE = 0.05
"""Masks above this share of the image answer for no point inside them."""


def coarse_to_fine(n_points: int) -> list[Int[np.ndarray, " _n"]]:
    """Split a square grid, given row by row, into every fourth, every second and all other points.

    Returns:
        Indices of the points; three lists that share none and leave none out.

    Example:
        >>> [len(indices) for indices in coarse_to_fine(64)]
        [4, 12, 48]
    """
    side = math.isqrt(n_points)
    y, x = np.divmod(np.arange(n_points), side)
    fourth = (y % 4 == 2) & (x % 4 == 2)
    second = (y % 2 == 0) & (x % 2 == 0) & ~fourth
    return [np.flatnonzero(part) for part in (fourth, second, ~fourth & ~second)]


class Covered:
    """Where sure masks lie, in the low-res frame of one embedding.

    Args:
        embedding: Gives the sizes.
        low_res_side: Side of the low-res frame, pixels.
    """

    def __init__(self, embedding: Embedding, low_res_side: int) -> None:
        self._embedding = embedding
        self._scale = low_res_side / embedding.input_side
        h, w = embedding.input_size
        self._largest = LARGEST_SHARE * h * w * self._scale**2
        self._map = np.zeros((low_res_side, low_res_side), bool)

    def add(self, patch: Patch, stability_score_thresh: float) -> None:
        """Remember a mask, if it is stable enough to be sure of and not too large."""
        stable = patch.stability_score >= stability_score_thresh
        if stable and np.count_nonzero(patch.mask) <= self._largest:
            y0, y1, x0, x1 = patch.tight
            self._map[y0:y1, x0:x1] |= patch.mask

    def at(self, points: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
        """Tell which points, (x, y) in the embedded image's frame, lie in a remembered mask."""
        sizes = self._embedding.original_size, self._embedding.input_size
        x, y = (to_input_frame(points, *sizes) * self._scale).astype(np.int64).T
        last = len(self._map) - 1
        covered: Bool[np.ndarray, " n"] = self._map[np.minimum(y, last), np.minimum(x, last)]
        return covered

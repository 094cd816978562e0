"""The fast mode's short cut: ask a coarse grid first, and leave out points that are answered.

Neighbouring points mostly find the same masks again. A point is left out where several sure masks
lie already, unless they are so large that they may well hold parts which deserve masks of their
own. Several, because of an object's masks the best is kept, and one point's need not be it. What
this loses is measured by `benchmarks/automask.py`.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from maskmill.automask.upsampling import Patch
from maskmill.config import SettledAutomaskConfig
from maskmill.geometry import to_input_frame
from maskmill.values import Embedding

LARGEST_SHARE = 0.05
"""Masks above this share of the image answer for no point inside them."""
ENOUGH = 3
"""Sure masks that must lie over a point before it is left out."""


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
        self._count = np.zeros((low_res_side, low_res_side), np.int32)

    def add(self, patches: Sequence[Patch], config: SettledAutomaskConfig) -> None:
        """Remember the smallest sure mask of one point, if it is not too large."""
        sure = [p for p in patches if p.stability_score >= config.stability_score_thresh]
        if not sure:
            return
        smallest = min(sure, key=lambda patch: np.count_nonzero(patch.mask))
        if np.count_nonzero(smallest.mask) <= self._largest:
            y0, y1, x0, x1 = smallest.tight
            self._count[y0:y1, x0:x1] += smallest.mask

    def at(self, points: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
        """Tell which points, (x, y) in the embedded image's frame, lie in enough such masks."""
        sizes = self._embedding.original_size, self._embedding.input_size
        x, y = (to_input_frame(points, *sizes) * self._scale).astype(np.int64).T
        last = len(self._count) - 1
        count = self._count[np.minimum(y, last), np.minimum(x, last)]
        covered: Bool[np.ndarray, " n"] = count >= ENOUGH
        return covered

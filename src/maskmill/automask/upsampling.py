"""Low-res mask logits at the full resolution of the image, only where there is a mask.

The reference upsamples every candidate whole, twice: to the padded input frame, then to the image.
Both steps are bilinear and separable, so together they are one small matrix per axis, of which a
mask needs only the rows and columns that see it. Logits here live in the padded low-res frame,
masks in the frame of the image (or crop) that was embedded.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float32, Int

from maskmill.values import Embedding

STRIP_ROWS = 128
"""Rows upsampled at once: such a strip of a photograph stays within a core's cache."""
TAP_REACH = 3
"""Rim of low-res pixels around what an image pixel sees besides a mask: 2, and one to spare."""


Box = tuple[float, float, float, float]
"""A half-open XYXY box."""


@dataclass(frozen=True, eq=False)
class AxisWeights:
    """The share of every low-res pixel in every image pixel, along one axis.

    Attributes:
        weights: Each row adds up to 1; only a few neighbours in it are not 0.
        first: The first low-res pixel with a share in each image pixel; ascending.
        last: The last one; ascending.
    """

    weights: Float32[np.ndarray, "size low"]
    first: Int[np.ndarray, " size"]
    last: Int[np.ndarray, " size"]

    @classmethod
    def between(cls, low: int, input_side: int, input_size: int, original_size: int) -> Self:
        """Compose the reference's steps: `low` to `input_side`, cut, then to `original_size`."""
        below, above, share = _neighbours(low, input_side)
        to_input = np.zeros((input_side, low), np.float32)
        rows = np.arange(input_side)
        to_input[rows, below] = 1 - share
        to_input[rows, above] += share
        below, above, share = _neighbours(input_size, original_size)
        weights = to_input[below] * (1 - share)[:, None] + to_input[above] * share[:, None]
        touched = weights > 0
        return cls(weights, touched.argmax(axis=1), low - 1 - touched[:, ::-1].argmax(axis=1))

    def seeing(self, start: int, stop: int) -> tuple[int, int]:
        """Return the half-open range of image pixels in which low-res [start, stop) has a share."""
        begin = int(np.searchsorted(self.last, start))
        return begin, max(begin, int(np.searchsorted(self.first, stop)))

    def within(self, start: int, stop: int) -> tuple[int, int]:
        """Return the half-open range of image pixels that see nothing but low-res [start, stop)."""
        return int(np.searchsorted(self.first, start)), int(np.searchsorted(self.last, stop))


def _neighbours(
    size: int, target: int
) -> tuple[Int[np.ndarray, " t"], Int[np.ndarray, " t"], Float32[np.ndarray, " t"]]:
    """Return, per target pixel, its two source pixels and the second one's share."""
    centre = np.maximum((np.arange(target) + 0.5) * (size / target) - 0.5, 0)
    below = np.minimum(centre.astype(np.int64), size - 1)
    return below, np.minimum(below + 1, size - 1), (centre - below).astype(np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class Patch:
    """The part of one candidate's low-res logits that any of its cuts can touch.

    Extents are half-open low-res rows and columns (y0, y1, x0, x1).

    Attributes:
        logits: Copied out of the decoder's answer, with a rim for interpolation.
        corner: Row and column of its first pixel in the low-res frame.
        tight: Extent of what is above the loosest cut.
        mask: The low-res mask inside `tight`.
        mask_extent: Extent of that mask; never empty.
        stability_score: At low resolution.
    """

    logits: Float32[np.ndarray, "h w"]
    corner: tuple[int, int]
    tight: tuple[int, int, int, int]
    mask: Bool[np.ndarray, "tight_h tight_w"]
    mask_extent: tuple[int, int, int, int]
    stability_score: float


class FullMask(NamedTuple):
    """A candidate at full resolution.

    `region` is the mask inside `rows` and `columns`, half-open ranges of the frame; outside them it
    is background.
    """

    region: Bool[np.ndarray, "h w"]
    rows: tuple[int, int]
    columns: tuple[int, int]
    stability_score: float


class Upsampling:
    """The way from one embedding's low-res frame to its image.

    Args:
        embedding: Gives the sizes.
        low_res_side: Side of the low-res frame, pixels.
    """

    def __init__(self, embedding: Embedding, low_res_side: int) -> None:
        side, (h, w), (in_h, in_w) = (
            embedding.input_side,
            embedding.original_size,
            embedding.input_size,
        )
        self.original_size = embedding.original_size
        self.rows = AxisWeights.between(low_res_side, side, in_h, h)
        self.columns = AxisWeights.between(low_res_side, side, in_w, w)
        # The low-res pixels that the image sees; those further on hold nothing but padding.
        self.valid = int(self.rows.last[-1]) + 1, int(self.columns.last[-1]) + 1

    def box_bounds(self, patch: Patch) -> tuple[Box, Box]:
        """Return boxes within and around the one that the mask will have at full resolution.

        No pixel of the image is in the mask without seeing a low-res pixel that is, so the outer
        box is certain. The inner one gives up one low-res pixel per side, because a low-res peak
        between two columns of the image may not reach the cut in either.

        Returns:
            Half-open XYXY boxes; the inner one may be inside out.
        """
        y0, y1, x0, x1 = patch.mask_extent
        top, bottom = self.rows.seeing(y0, y1)
        left, right = self.columns.seeing(x0, x1)
        in_top, in_bottom = self.rows.within(y0 + 1, y1 - 1)
        in_left, in_right = self.columns.within(x0 + 1, x1 - 1)
        return (in_left, in_top, in_right, in_bottom), (left, top, right, bottom)

    def full_mask(self, patch: Patch, *, mask_threshold: float, offset: float) -> FullMask:
        """Upsample one candidate, cut it, and count what its stability score needs.

        Args:
            patch: The candidate's low-res logits.
            mask_threshold: Cut-off in logits.
            offset: Distance of the stability score's two cuts from it, logits.

        Returns:
            The mask and its stability score in [0, 1], 0 where nothing is above the lower cut.
        """
        (r, c), (h, w) = patch.corner, patch.logits.shape
        y0, y1 = self.rows.seeing(*patch.tight[:2])
        x0, x1 = self.columns.seeing(*patch.tight[2:])
        tall = self.rows.weights[y0:y1, r : r + h] @ patch.logits
        across = self.columns.weights[x0:x1, c : c + w].T
        region = np.empty((y1 - y0, x1 - x0), bool)
        inner = outer = 0
        for start in range(0, len(tall), STRIP_ROWS):
            strip = tall[start : start + STRIP_ROWS] @ across
            inner += int(np.count_nonzero(strip > mask_threshold + offset))
            outer += int(np.count_nonzero(strip > mask_threshold - offset))
            np.greater(strip, mask_threshold, out=region[start : start + STRIP_ROWS])
        return FullMask(region, (y0, y1), (x0, x1), inner / outer if outer else 0.0)

"""Low-res mask logits at the full resolution of the image, only where there is a mask.

The reference upsamples every candidate whole, twice: to the padded input frame, then to the image.
Both steps are bilinear and separable, so together they blend a few neighbours per axis, and a
mask needs only the rows and columns that see it. Logits live in the padded low-res frame, masks
in the frame of the image (or crop) that was embedded. Nothing here multiplies matrices: NumPy's
threads would wait for each other longer than these small sums take.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int

from maskmill.geometry import CropBox
from maskmill.values import Embedding

STRIP_ROWS = 64
"""Rows upsampled at once: such a strip of a photograph stays within a core's cache."""
TAP_REACH = 3
"""Rim of low-res pixels around what an image pixel sees besides a mask: 2, and one to spare."""
TAPS = 4
"""Low-res neighbours that one image pixel can see along an axis: 3, and one to spare."""


@dataclass(frozen=True, eq=False)
class AxisTaps:
    """What low-res pixels each image pixel sees along one axis.

    Attributes:
        first: The first low-res pixel with a share in each image pixel; ascending.
        last: The last one; ascending.
        shares: Of the low-res pixels from the first on; each row adds up to 1.
        spacing: Image pixels between the centres of two low-res pixels, rounded up, and one more.
    """

    first: Int[np.ndarray, " size"]
    last: Int[np.ndarray, " size"]
    shares: Float32[np.ndarray, "size taps"]
    spacing: int

    @classmethod
    def between(cls, low: int, input_side: int, input_size: int, original_size: int) -> "AxisTaps":
        """Compose the reference's steps: `low` to `input_side`, cut, then to `original_size`."""
        to_input = _neighbours(low, input_side)
        below, above, share = _neighbours(input_size, original_size)
        first = to_input[0][below]
        shares = np.zeros((original_size, TAPS), np.float32)
        pixels = np.arange(original_size)
        for middle, weight in ((below, 1 - share), (above, share)):
            near, far, far_share = (part[middle] for part in to_input)
            shares[pixels, near - first] += weight * (1 - far_share)
            shares[pixels, far - first] += weight * far_share
        last = first + TAPS - 1 - (shares[:, ::-1] > 0).argmax(axis=1)
        spacing = math.ceil(input_side / low * original_size / input_size) + 1
        return cls(first, last, shares, spacing)

    def seeing(self, start: Any, stop: Any) -> tuple[Any, Any]:
        """Return the half-open range of image pixels in which low-res [start, stop) has a share.

        Args:
            start: A low-res pixel, or many.
            stop: As many.
        """
        begin = np.searchsorted(self.last, start)
        return begin, np.maximum(begin, np.searchsorted(self.first, stop))

    def within(self, start: Any, stop: Any) -> tuple[Any, Any]:
        """Return the half-open range of image pixels that see nothing but low-res [start, stop)."""
        return np.searchsorted(self.first, start), np.searchsorted(self.last, stop)

    def blend(
        self, pixels: Int[np.ndarray, " n"], values: Float32[np.ndarray, "low m"], corner: int
    ) -> Float32[np.ndarray, "n m"]:
        """Upsample along the first dimension.

        Args:
            pixels: The image pixels wanted; all they see must lie in `values`.
            values: Low-res values.
            corner: Which low-res pixel the first of them is.
        """
        seen, shares = self.first[pixels] - corner, self.shares[pixels]
        blended: Float32[np.ndarray, "n m"] = shares[:, :1] * values[seen]
        for tap in range(1, TAPS):
            share = shares[:, tap : tap + 1]
            if share.any():
                blended += share * values[np.minimum(seen + tap, len(values) - 1)]
        return blended


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
        solid_extent: Extent of the 3x3 blocks that lie within that mask; zeros if none does.
        stability_score: At low resolution.
    """

    logits: Float32[np.ndarray, "h w"]
    corner: tuple[int, int]
    tight: tuple[int, int, int, int]
    mask: Bool[np.ndarray, "tight_h tight_w"]
    mask_extent: tuple[int, int, int, int]
    solid_extent: tuple[int, int, int, int]
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
        mask_threshold: Cut-off between background and object, logits.
    """

    def __init__(self, embedding: Embedding, low_res_side: int, mask_threshold: float) -> None:
        side, (in_h, in_w) = embedding.input_side, embedding.input_size
        h, w = self.original_size = embedding.original_size
        self.mask_threshold, self.low_res_side = mask_threshold, low_res_side
        self.rows = AxisTaps.between(low_res_side, side, in_h, h)
        self.columns = AxisTaps.between(low_res_side, side, in_w, w)
        # Where the image is finer than low-res pixels, every 3x3 block has a pixel all its own.
        self.sees_blocks = min(h / in_h, w / in_w) * side >= 2 * low_res_side
        # The low-res pixels that the image sees; those further on hold nothing but padding.
        self.valid = int(self.rows.last[-1]) + 1, int(self.columns.last[-1]) + 1

    def box_bounds(
        self, patches: Sequence[Patch]
    ) -> tuple[Int[np.ndarray, "n 4"], Int[np.ndarray, "n 4"]]:
        """Return boxes surely within and around masks at full resolution, at next to no cost.

        Around: no pixel of the image is in the mask without seeing a low-res pixel that is. Within:
        one that sees only low-res pixels of the mask is in it, and of a 3x3 block of those it sees
        no others.

        Returns:
            Half-open XYXY boxes; an inner one may be empty or inside out.
        """
        y0, y1, x0, x1 = np.array([p.mask_extent for p in patches], int).reshape(-1, 4).T
        (top, bottom), (left, right) = self.rows.seeing(y0, y1), self.columns.seeing(x0, x1)
        outer = np.stack([left, top, right, bottom], axis=1)
        y0, y1, x0, x1 = np.array([p.solid_extent for p in patches], int).reshape(-1, 4).T
        solid = (y0 < y1)[:, None] & self.sees_blocks
        (top, bottom), (left, right) = self.rows.within(y0, y1), self.columns.within(x0, x1)
        inner = np.stack([left, top, right, bottom], axis=1)
        return np.where(solid, inner, outer[:, [0, 1, 0, 1]]), outer

    def box(self, patch: Patch) -> CropBox | None:
        """Return the half-open XYXY box around a mask at full resolution; None if it is empty.

        Only the strips in which an edge lies are upsampled.
        """
        left, top, right, bottom = self.box_bounds([patch])[1][0].tolist()

        def rows(start: int, stop: int) -> Bool[np.ndarray, " n"]:
            met: Bool[np.ndarray, " n"]
            met = np.any(self._mask(patch, (start, stop), (left, right)), axis=1)
            return met

        def columns(start: int, stop: int) -> Bool[np.ndarray, " n"]:
            met: Bool[np.ndarray, " n"]
            met = np.any(self._mask(patch, (top, bottom), (start, stop)), axis=0)
            return met

        down, across = self.rows.spacing, self.columns.spacing
        first = _first(rows, top, bottom, down)
        if left == right or first is None:
            return None
        top, bottom = first, _last(rows, first, bottom, down)
        first = _first(columns, left, right, across)
        assert first is not None  # some row holds a pixel of the mask, so some column does
        return first, top, _last(columns, first, right, across), bottom

    def _mask(
        self, patch: Patch, rows: tuple[int, int], columns: tuple[int, int]
    ) -> Bool[np.ndarray, "h w"]:
        """Upsample and cut a window of the image; numbers as in `full_mask`."""
        (top, left), first = patch.corner, int(self.rows.first[rows[0]])
        seen = patch.logits[first - top : self.rows.last[rows[1] - 1] + 1 - top]
        wide = self.columns.blend(np.arange(*columns), seen.T, left).T
        strip = self.rows.blend(np.arange(*rows), wide, first)
        above: Bool[np.ndarray, "h w"] = strip > self.mask_threshold
        return above

    def full_mask(self, patch: Patch, offset: float) -> FullMask:
        """Upsample one candidate, cut it, and count what its stability score needs.

        Args:
            patch: The candidate's low-res logits.
            offset: Distance of the stability score's two cuts from the mask threshold, logits.

        Returns:
            The mask and its stability score in [0, 1], 0 where nothing is above the lower cut.
        """
        y0, y1 = self.rows.seeing(*patch.tight[:2])
        x0, x1 = self.columns.seeing(*patch.tight[2:])
        wide = self.columns.blend(np.arange(x0, x1), patch.logits.T, patch.corner[1])
        wide = np.ascontiguousarray(wide.T)
        region = np.empty((y1 - y0, x1 - x0), bool)
        inner = outer = 0
        for start in range(y0, y1, STRIP_ROWS):
            stop = min(start + STRIP_ROWS, y1)
            strip = self.rows.blend(np.arange(start, stop), wide, patch.corner[0])
            inner += int(np.count_nonzero(strip > self.mask_threshold + offset))
            outer += int(np.count_nonzero(strip > self.mask_threshold - offset))
            np.greater(strip, self.mask_threshold, out=region[start - y0 : stop - y0])
        return FullMask(region, (y0, y1), (x0, x1), inner / outer if outer else 0.0)


def _first(
    met: Callable[[int, int], Bool[np.ndarray, " n"]], start: int, stop: int, strip: int
) -> int | None:
    """Return the first line that meets the mask, looking at a strip of lines at a time."""
    for at in range(start, stop, strip):
        found = met(at, min(at + strip, stop))
        if found.any():
            return at + int(found.argmax())
    return None


def _last(
    met: Callable[[int, int], Bool[np.ndarray, " n"]], start: int, stop: int, strip: int
) -> int:
    """Return the line after the last one that meets the mask; line `start` does."""
    for at in range(stop, start, -strip):
        found = met(max(start, at - strip), at)
        if found.any():
            return at - int(found[::-1].argmax())
    return start + 1

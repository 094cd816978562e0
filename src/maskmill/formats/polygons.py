"""Polygons, as labelling tools draw them, to masks.

The frame is continuous: pixel (0, 0) covers the square from (0, 0) to (1, 1). A pixel belongs to a
polygon if its centre lies inside by the even-odd rule, so two polygons that share an edge share no
pixel and leave none between them, and a 10 x 10 square has 100 pixels. (`cv2.fillPoly` also takes
every pixel that the outline touches and gives 121; pycocotools draws on a grid five times finer and
differs from us by part of the outline.) Several parts of one object are united, as in COCO.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from maskmill.errors import DatasetError

MAX_CORNERS = 100_000
"""Most corners of one part; a longer outline is damage or an attack."""
MAX_CROSSINGS = 1 << 22
"""Most rows that the edges of one part may cross together; it bounds memory and time."""
MAX_COORDINATE = 1e6
"""Furthest that a corner may lie from the origin, pixels."""


def parse_polygons(parts: Any) -> list[Float[np.ndarray, "n 2"]]:
    """Check polygons that a file claims.

    Args:
        parts: A list of parts, each `[x0, y0, x1, y1, ...]`.

    Returns:
        The corners (x, y) of each part.

    Raises:
        DatasetError: If a part is not a flat list of at least three finite points, or lies absurdly
            far away.
    """
    if not isinstance(parts, list) or not parts:
        raise DatasetError("no polygon; expected lists [x0, y0, x1, y1, ...]")
    return [_corners(part) for part in parts]


def _corners(part: Any) -> Float[np.ndarray, "n 2"]:
    if not isinstance(part, list) or len(part) < 6 or len(part) % 2:
        raise DatasetError("a polygon is not a list [x0, y0, x1, y1, ...] of three points or more")
    if len(part) > 2 * MAX_CORNERS:
        raise DatasetError(f"a polygon has more than {MAX_CORNERS} corners")
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in part):
        raise DatasetError("a polygon holds something that is not a number")
    # `not (<=)` is also true of NaN; compared as Python numbers, for an int may exceed any float.
    if any(not abs(v) <= MAX_COORDINATE for v in part):
        raise DatasetError(f"a polygon's corner is not within {MAX_COORDINATE:.0f} pixels")
    return np.array(part, np.float64).reshape(-1, 2)


def rasterise(
    polygons: Sequence[Float[np.ndarray, "_n 2"]], size: tuple[int, int]
) -> Bool[np.ndarray, "h w"]:
    """Fill polygons: a pixel is set if its centre lies inside any of them.

    Args:
        polygons: Corners (x, y) of each part, pixels; parts beyond the image are cut off.
        size: (H, W) of the mask, pixels.

    Returns:
        The mask; empty if no pixel's centre is inside, as for slivers.

    Raises:
        DatasetError: If an outline runs up and down absurdly often.

    Example:
        >>> corners = np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 2.0], [1.0, 2.0]])
        >>> rasterise([corners], (3, 4)).astype(int)
        array([[0, 1, 1, 0],
               [0, 1, 1, 0],
               [0, 0, 0, 0]])
    """
    mask = np.zeros(size, bool)
    for corners in polygons:
        # Most objects are small: only the part of the image that holds this one is worked on.
        low = np.clip(np.floor(corners.min(axis=0)), 0, size[::-1]).astype(np.int64)
        high = np.clip(np.ceil(corners.max(axis=0)), 0, size[::-1]).astype(np.int64)
        window = mask[low[1] : high[1], low[0] : high[0]]
        window |= _fill(corners - low, window.shape)
    return mask


def _fill(corners: Float[np.ndarray, "n 2"], size: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    height, width = size
    # Every edge runs downwards, so that a side shared by two polygons is rounded alike in both.
    following = np.roll(corners, -1, axis=0)
    falls = (corners[:, 1] > following[:, 1])[:, None]
    start, end = np.where(falls, following, corners), np.where(falls, corners, following)
    # An edge crosses row y if the centre line y + 0.5 lies in its half-open range of y; half-open
    # so that a corner exactly on a centre line counts once for the two edges that meet there.
    first = np.clip(np.ceil(start[:, 1] - 0.5), 0, height).astype(np.int64)
    rows = np.clip(np.ceil(end[:, 1] - 0.5), 0, height).astype(np.int64) - first
    if rows.sum() > MAX_CROSSINGS:
        raise DatasetError(f"a polygon's outline crosses rows more than {MAX_CROSSINGS} times")
    edge = np.repeat(np.arange(len(corners)), rows)
    y = np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows) + first[edge]
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    x = x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    # Each crossing flips all pixels to its right; column `width` takes those beyond the image.
    flips = np.zeros((height, width + 1), bool)
    np.logical_xor.at(flips, (y, column), True)
    return np.asarray(np.logical_xor.accumulate(flips, axis=1)[:, :width])

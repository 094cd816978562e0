"""Masks to polygons that run along the edges of pixels, so that filling them gives the mask again.

`cv2.findContours` walks through the centres of border pixels: its polygons lose half a pixel all
around and have no area for a line of pixels. Here each corner of the outline lies on the corner of
a pixel (frame: pixel (0, 0) from (0, 0) to (1, 1)), so `polygons.rasterise`, and every tool that
takes coordinates as continuous, gives back each pixel. Pixels that meet at a corner only are apart;
a hole reaches across such a corner.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

Ring = Int[np.ndarray, "_n 2"]


@dataclass(frozen=True, eq=False)
class Outline:
    """One part of a mask.

    Attributes:
        exterior: Its corners (x, y), pixels; clockwise as seen on a screen, not closed.
        holes: The corners of each hole, the other way round.
    """

    exterior: Ring
    holes: tuple[Ring, ...]


def outlines(mask: Bool[np.ndarray, "h w"]) -> list[Outline]:
    """Trace a mask's parts.

    Args:
        mask: True where the object is.

    Returns:
        One outline per part, from the top down; none for an empty mask.

    Example:
        >>> outlines(np.array([[False, True, True]]))[0].exterior.tolist()
        [[1, 0], [3, 0], [3, 1], [1, 1]]
    """
    import cv2

    parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1]
    exteriors: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for ring, inside in _rings(mask):
        x, y = inside
        part = int(parts[y, x])
        if _area2(ring) > 0:
            exteriors[part] = ring
        else:
            holes.setdefault(part, []).append(ring)
    return [Outline(ring, tuple(holes.get(part, ()))) for part, ring in sorted(exteriors.items())]


def one_ring(rings: list[Ring]) -> Ring:
    """Join rings into one by bridges of no width, for forms that know neither holes nor parts.

    Each bridge is walked there and back, so by the even-odd rule it covers nothing.
    """
    first = rings[0]
    walk = [first] if len(rings) == 1 else [first, first[:1]]
    for ring in rings[1:]:
        walk += [ring, ring[:1], first[:1]]
    return np.concatenate(walk)


def _area2(ring: Ring) -> int:
    x, y = ring.astype(np.int64).T
    return int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def _rings(mask: Bool[np.ndarray, "h w"]) -> list[tuple[Ring, tuple[int, int]]]:
    """Trace all rings, the mask to their right; with each a pixel (x, y) of the mask beside it."""
    around = np.pad(mask, 1)
    top_left, top_right = around[:-1, :-1], around[:-1, 1:]
    low_left, low_right = around[1:, :-1], around[1:, 1:]
    # The outline turns where one or three of four pixels are set; where two meet crosswise, two
    # turns touch. The first of these has the edge to the left, the second the one to the right.
    single = top_left ^ top_right ^ low_left ^ low_right
    saddle = (top_left == low_right) & (top_right == low_left) & (top_left != top_right)
    y, x = np.nonzero(single | saddle)
    twice = saddle[y, x]
    y, x = np.repeat(y, 1 + twice), np.repeat(x, 1 + twice)
    if not len(y):
        return []
    second = np.append(False, (y[1:] == y[:-1]) & (x[1:] == x[:-1]))
    # Along each row of corners, and along each column, neighbours pair up to edges.
    along_rows = np.arange(len(y)).reshape(-1, 2)
    # Crosswise pixels stay apart: the turn around the upper left one has the edges to the left and
    # above, that around the lower left one those to the left and below.
    below = np.where(top_left[y, x], second, ~second) & saddle[y, x]
    along_columns = np.lexsort((below, y, x)).reshape(-1, 2)
    across = np.empty(len(y), np.int64)
    across[along_rows], upright = along_rows[:, ::-1], np.empty(len(y), np.int64)
    upright[along_columns] = along_columns[:, ::-1]
    # An edge runs to the right if the mask is below it, to the left if it is above.
    left_end, right_end = along_rows.T
    is_below = low_right[y[left_end], x[left_end]]
    starts = np.where(is_below, left_end, right_end)
    following = np.full(len(y), -1, np.int64)
    following[starts] = upright[across[starts]]
    return [
        (np.stack([x[ring], y[ring]], axis=1), inside)
        for ring, inside in _walks(starts, following, across, x, y)
    ]


def _walks(
    starts: Int[np.ndarray, " m"],
    following: Int[np.ndarray, " n"],
    across: Int[np.ndarray, " n"],
    x: Int[np.ndarray, " n"],
    y: Int[np.ndarray, " n"],
) -> list[tuple[Int[np.ndarray, " k"], tuple[int, int]]]:
    """Follow the corners around each ring, beginning at its topmost, leftmost one."""
    steps, walks = following.tolist(), []
    left = dict.fromkeys(sorted(starts.tolist()))
    while left:
        begin = at = next(iter(left))
        ring = []
        while at in left:
            del left[at]
            ring.append(at)
            at = steps[at]
        assert at == begin
        corners = np.stack([np.array(ring), across[ring]], axis=1).ravel()
        u, v = corners[:2]
        # To the right, the mask is below the edge; to the left, above it.
        inside = (x[u], y[u]) if x[v] > x[u] else (x[u] - 1, y[u] - 1)
        walks.append((corners, (int(inside[0]), int(inside[1]))))
    return walks

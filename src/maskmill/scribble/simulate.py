"""Strokes as a person might draw them, from masks: for benchmarks and tests.

One stroke per category and image: a line inside one region of the category that keeps off its
edge, 10 to 30 % of the region's diagonal long. It never shows more of the mask than that.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int
from numpy.random import Generator
from skimage.graph import MCP_Geometric

from maskmill.scribble.strokes import Stroke

WIDTH = 3
"""Pixels across."""
LENGTH = (0.10, 0.30)
"""Shortest and longest stroke, share of the region's diagonal."""
WORK_SIDE = 160
"""Regions are walked on a grid of at most so many cells a side: a hand is no finer."""


def simulate_strokes(
    name: str, masks: Mapping[str, Bool[np.ndarray, "h w"]], seed: int
) -> list[Stroke]:
    """Draw one stroke for every category that an image shows.

    Args:
        name: The image's name; with `seed` it decides what is drawn.
        masks: Where each category is.
        seed: Other numbers draw other strokes.

    Returns:
        Strokes in the order of `masks`; none for a mask that is empty.
    """
    strokes = []
    for place, (category, mask) in enumerate(masks.items()):
        if not mask.any():
            continue
        random = np.random.default_rng([seed, place, *name.encode()])
        points = _line(_region(mask, random), random)
        size = (mask.shape[0], mask.shape[1])
        strokes.append(Stroke(image=name, category=category, points=points, width=WIDTH, size=size))
    return strokes


def choose_images(shown: Sequence[frozenset[str]], number: int, seed: int) -> list[int]:
    """Choose the images to draw on as a person does: first those that show what is still missing.

    Args:
        shown: Categories of each image.
        number: How many to choose.
        seed: Decides between images that are alike.

    Returns:
        Places in `shown`; fewer choices are the first of more.
    """
    order = np.random.default_rng(seed).permutation(len(shown)).tolist()
    chosen: list[int] = []
    count: dict[str, int] = {}
    while order and len(chosen) < number:
        # What was drawn least often so far counts most.
        best = max(order, key=lambda i: sum(8.0 ** -count.get(c, 0) for c in shown[i]))
        order.remove(best)
        chosen.append(best)
        for category in shown[best]:
            count[category] = count.get(category, 0) + 1
    return chosen


def _region(mask: Bool[np.ndarray, "h w"], random: Generator) -> Bool[np.ndarray, "h w"]:
    """Take one connected region, the likelier the larger."""
    number, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA].astype(float)
    region: Bool[np.ndarray, "h w"] = labels == 1 + random.choice(number - 1, p=areas / areas.sum())
    return region


def _line(region: Bool[np.ndarray, "h w"], random: Generator) -> tuple[tuple[float, float], ...]:
    ys, xs = np.nonzero(region)
    y0, y1, x0, x1 = ys.min(), ys.max() + 1, xs.min(), xs.max() + 1
    crop = np.pad(region[y0:y1, x0:x1], 1)
    step = max(1, -(-max(crop.shape) // WORK_SIDE))
    deep = cv2.distanceTransform(crop.astype(np.uint8), cv2.DIST_L2, 3)
    coarse = deep[step // 2 :: step, step // 2 :: step]
    if not coarse.any():  # thinner than the grid
        step, coarse = 1, deep
    length = float(np.hypot(y1 - y0, x1 - x0)) * random.uniform(*LENGTH)
    path = max(
        (_path(coarse, length / step, random) for _ in range(4)), key=lambda cells: len(cells)
    )
    offset = np.array([x0 - 1, y0 - 1]) + step // 2
    return tuple((float(x), float(y)) for x, y in path[:, ::-1] * step + offset)


def _path(
    deep: Float32[np.ndarray, "h w"], length: float, random: Generator
) -> Int[np.ndarray, "n 2"]:
    """Walk from one cell of a region towards another, off the edge, until the line is so long."""
    inside = np.argwhere(deep > 0)
    depth = np.minimum(deep[deep > 0], 4.0)
    start = inside[random.choice(len(inside), p=depth / depth.sum())]
    costs = np.where(deep > 0, 1 / np.minimum(np.maximum(deep, 0.25), 4.0), -1)
    walker = MCP_Geometric(costs)
    reached, _ = walker.find_costs([tuple(start)])
    far = inside[np.hypot(*(inside - start).T) >= length]
    far = far[np.isfinite(reached[far[:, 0], far[:, 1]])]
    if not len(far):
        far = inside[np.isfinite(reached[inside[:, 0], inside[:, 1]])]
    path = np.array(walker.traceback(tuple(far[random.integers(len(far))])))
    walked = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    cut: Int[np.ndarray, "n 2"] = path[walked <= length]
    return cut

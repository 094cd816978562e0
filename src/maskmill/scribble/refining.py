"""Regions drawn again by the promptable model: each as a box and points, kept only if it agrees.

A classifier of pixels knows no objects: its outlines are those of texture. The promptable model
knows objects and is asked for each region; where its mask is another thing, the region stays.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Int32

from maskmill.predict import Predictor
from maskmill.scribble.shaping import boxes
from maskmill.values import Embedding, Prompt

AGREE = 0.6
"""Least IoU of the model's mask with its region."""
POINTS = 2
"""Points inside the region beside its box: the deepest, and the deepest away from that one."""


def refine(
    predictor: Predictor, embedding: Embedding, regions: Int32[np.ndarray, "h w"]
) -> tuple[Int32[np.ndarray, "h w"], int]:
    """Let the promptable model draw every region of a category again.

    Args:
        predictor: Made `embedding`.
        embedding: Of the image.
        regions: Numbers from 1, 0 where there is none.

    Returns:
        Regions with the same numbers, and how many of them the model drew.
    """
    windows = boxes(regions)
    prompts = [_prompt(regions, number, window) for number, window in windows.items()]
    if not prompts:
        return regions, 0
    found = predictor.predict(embedding, prompts, multimask_output=False)
    refined, drawn = regions.copy(), 0
    for place, number in enumerate(windows):
        old = regions == number
        new = found.mask_logits(place, 0) > found.mask_threshold
        if (old & new).sum() < AGREE * (old | new).sum():
            continue
        drawn += 1
        refined[old & (refined == number)] = 0
        # Nothing is taken from another region.
        refined[new & (refined == 0) & ((regions == 0) | old)] = number
    return refined, drawn


def _prompt(regions: Int32[np.ndarray, "h w"], number: int, window: tuple[slice, slice]) -> Prompt:
    rows, columns = window
    points = _deepest(np.pad(regions[window] == number, 1))
    corner = np.array([columns.start - 1, rows.start - 1])
    return Prompt(
        box=np.array([columns.start, rows.start, columns.stop, rows.stop], np.float32),
        point_coords=(points + corner).astype(np.float32),
        point_labels=np.ones(len(points), np.int64),
    )


def _deepest(mask: Bool[np.ndarray, "h w"]) -> Int32[np.ndarray, "n 2"]:
    deep = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    points: list[tuple[int, int]] = []
    ys, xs = np.indices(mask.shape)
    while len(points) < POINTS and deep.max() > 0:
        y, x = (int(v) for v in np.unravel_index(int(deep.argmax()), deep.shape))
        points.append((x, y))
        near = np.hypot(ys - y, xs - x) < 2 * deep[y, x]
        deep = np.where(near, 0, deep)
    return np.array(points, np.int32)

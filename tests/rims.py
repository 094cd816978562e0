"""Bright discs with a pale rim: whether the rim belongs to them is what people differ in."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from maskmill import rle

SIZE = (140, 180)
PLACES = [(x, y) for y in (25, 70, 115) for x in (25, 70, 115, 155)]


def disc(x: int, y: int, radius: float) -> Bool[np.ndarray, "h w"]:
    """A disc's pixels, of the whole picture."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    inside: np.ndarray = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return inside


def picture() -> UInt8[np.ndarray, "h w 3"]:
    """The discs, on dark and noisy ground."""
    light = np.full(SIZE, 60.0)
    for x, y in PLACES:
        light[disc(x, y, 14)] = 110
        light[disc(x, y, 9)] = 200
    light += np.random.default_rng(0).normal(0, 4, SIZE)
    grey = np.asarray(cv2.GaussianBlur(light.clip(0, 255).astype(np.uint8), (0, 0), 0.8))
    return np.repeat(grey[..., None], 3, -1)


NARROW = [rle.encode(disc(x, y, 9)) for x, y in PLACES]
"""Without their rims."""
WIDE = [rle.encode(disc(x, y, 14)) for x, y in PLACES]
"""With them."""


def near(masks: dict[int, rle.Rle], truths: list[rle.Rle]) -> float:
    """The mean IoU of masks with those of the same places."""
    return float(np.mean([rle.iou([mask], [truths[i]])[0, 0] for i, mask in masks.items()]))

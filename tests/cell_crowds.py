"""Images of many small bright cells, some of them touching: what a region head is for."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.formats.labelled import LabelledImage, LabelledMask

SIDE = 96


def cell_crowd(folder: Path, name: str, seed: int, cells: int = 12) -> LabelledImage:
    """Write an image of ellipses in noise that touch, but do not cover, each other."""
    rng = np.random.default_rng(seed)
    taken = np.zeros((SIDE, SIDE), bool)
    image = rng.normal(40, 6, (SIDE, SIDE))
    masks: list[LabelledMask] = []
    for _ in range(200):
        centre = tuple(int(each) for each in rng.integers(6, SIDE - 6, 2))
        axes = tuple(int(each) for each in rng.integers(6, 10, 2))
        drawn = np.zeros((SIDE, SIDE), np.uint8)
        cv2.ellipse(drawn, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        shape = drawn > 0
        if len(masks) == cells or (shape & taken).any():
            continue
        taken |= shape
        image[shape] = rng.normal(rng.uniform(110, 200), 8, int(shape.sum()))
        masks.append(LabelledMask(rle=rle.encode(shape)))
    path = folder / f"{name}.png"
    smooth = cv2.GaussianBlur(image, (0, 0), 0.7).clip(0, 255).astype(np.uint8)
    Image.fromarray(smooth).convert("RGB").save(path)
    return LabelledImage(
        image_id=name, path=path, size=(SIDE, SIDE), source="cells", annotations=tuple(masks)
    )

"""Images of many small bright cells, some touching, and a region head that outlines them."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.engine.detecting import write_regions
from maskmill.formats.labelled import LabelledImage, LabelledMask
from maskmill.predict import Predictor
from maskmill.train.regions import RegionConfig, train_regions

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


def cell_crowds(folder: Path, count: int = 8) -> list[LabelledImage]:
    """Write some of them."""
    return [cell_crowd(folder, f"{i:02d}", i) for i in range(count)]


def head_of_crowds(predictor: Predictor, images: Sequence[LabelledImage], out: Path) -> Path:
    """Train a region head on all crowds but the last two, which say when it is offered."""
    config = RegionConfig(steps=60, batch_images=2, crop=96, zoom=1.2, learning_rate=4e-3)
    head, side = train_regions(predictor, images[:-2], config)
    card = {"model": predictor.model_id, "round": 1}
    return write_regions(head, side, predictor, out, card, images=images[:-2], held_out=images[-2:])

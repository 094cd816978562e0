"""Images of three kinds of things that differ in colour: what a category head can tell apart."""

from pathlib import Path

import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.formats import LabelledImage, LabelledMask

COLOURS = {"berry": (190, 40, 50), "leaf": (50, 150, 60), "stone": (120, 120, 125)}


def garden(folder: Path, name: str, seed: int) -> LabelledImage:
    """Write nine discs of three kinds on earth, each kind of about one colour."""
    rng = np.random.default_rng(seed)
    image = rng.normal((110, 85, 60), 8, (144, 144, 3))
    y, x = np.mgrid[:144, :144]
    masks = []
    for place in range(9):
        kind = list(COLOURS)[int(rng.integers(3))]
        cy, cx = 24 + 48 * (place // 3), 24 + 48 * (place % 3)
        disc = (y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(12, 19) ** 2
        image[disc] = rng.normal(COLOURS[kind], 14, (int(disc.sum()), 3)) + rng.normal(0, 12)
        masks.append(LabelledMask(rle=rle.encode(disc), category=kind))
    path = folder / f"{name}.png"
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)
    return LabelledImage(
        image_id=name, path=path, size=(144, 144), source="garden", annotations=tuple(masks)
    )

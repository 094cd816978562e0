"""Images of what photographs do not show, from which a model can learn quickly."""

from pathlib import Path

import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.formats.labelled import LabelledImage, LabelledMask


def faint_cells(folder: Path, name: str, seed: int) -> LabelledImage:
    """Write an image of four discs of coarse noise in fine noise."""
    rng = np.random.default_rng(seed)
    side = 128
    coarse = np.kron(rng.normal(90, 45, (side // 4, side // 4)), np.ones((4, 4)))
    image = rng.normal(90, 45, (side, side))
    y, x = np.mgrid[:side, :side]
    masks = []
    for cy, cx in ((34, 32), (36, 94), (92, 30), (94, 96)):
        r = rng.uniform(16, 25)
        disc = (y - cy - rng.integers(-5, 6)) ** 2 + (x - cx - rng.integers(-5, 6)) ** 2 < r * r
        image[disc] = coarse[disc]
        masks.append(LabelledMask(rle=rle.encode(disc)))
    path = folder / f"{name}.png"
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).convert("RGB").save(path)
    return LabelledImage(
        image_id=name, path=path, size=(side, side), source="cells", annotations=tuple(masks)
    )

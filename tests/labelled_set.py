"""Photographs with masks for the tests of imports and exports."""

from pathlib import Path

import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.exchange.provenance import PROVENANCE
from maskmill.formats import LabelledImage, LabelledMask

SIZE = (24, 36)


def photograph(folder: Path, name: str, seed: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mask(seed: int, **more: object) -> LabelledMask:
    rng = np.random.default_rng(seed)
    pixels = rng.random(SIZE) < 0.3
    return LabelledMask(rle=rle.encode(pixels), **more)  # type: ignore[arg-type]


def some_images(folder: Path, count: int = 3) -> list[LabelledImage]:
    return [
        LabelledImage(
            image_id=f"id {i}",
            path=photograph(folder, f"{i % 2}/{i // 2}.png", i),  # names repeat in two folders
            size=SIZE,
            source=f"set {i % 2}",
            split="train",
            group=f"scene {i // 2}",
            licence="CC BY 4.0",
            metadata={"country": "NP"},
            annotations=(
                mask(10 * i, category="cat"),
                mask(10 * i + 1, category="dog", is_crowd=True, attributes={"truncated": True}),
                mask(
                    10 * i + 2,
                    predicted_iou=0.9,
                    stability_score=0.95,
                    point_coords=((3.0, 4.0),),
                    crop_box=(0.0, 0.0, 36.0, 24.0),
                ),
            ),
        )
        for i in range(count)
    ]


def as_values(images: list[LabelledImage]) -> list[object]:
    """What a round trip must keep; our own word on how a mask came to be is added on the way."""
    values: list[object] = []
    for image in images:
        values.append((image.image_id, image.path, image.size, image.source, image.split))
        values.append((image.group, image.licence, dict(image.metadata)))
        for each in image.annotations:
            attributes = {k: v for k, v in each.attributes.items() if k != PROVENANCE}
            values.append((each.rle, each.category, each.is_crowd, attributes))
            values.append((each.predicted_iou, each.stability_score, each.point_coords))
            values.append(each.crop_box)
    return values

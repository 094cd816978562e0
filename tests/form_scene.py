"""Records to write in every form, and what must come back: masks of all awkward kinds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from maskmill import rle
from maskmill.formats import LabelledImage, LabelledMask

SIZE = (11, 14)

AWKWARD = hnp.arrays(bool, SIZE).filter(np.any) | st.sampled_from(["full", "pixel", "frame"]).map(
    lambda kind: awkward(kind)
)
"""Noise (holes, many parts, border-touching), and the kinds below."""


def awkward(kind: str) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    if kind == "full":
        mask[:] = True
    elif kind == "pixel":
        mask[7, 3] = True
    elif kind == "frame":
        mask[:] = True
        mask[2:-2, 3:-3] = False
    elif kind == "two parts":
        mask[1:3, 1:4] = mask[5:9, 6:12] = True
    return mask


def labelled(mask: np.ndarray, **said: Any) -> LabelledMask:
    return LabelledMask(rle=rle.encode(mask), **said)


RICH = labelled(
    awkward("frame"),
    category="Zürich: a, b",
    is_crowd=True,
    annotation_id="left wing",
    predicted_iou=0.1 + 0.2,
    stability_score=1 / 3,
    point_coords=((1.5, 2.25), (3.0, 4.0)),
    crop_box=(1.0, 2.0, 9.0, 10.0),
    attributes={"occluded": True, "notes": ["é", 1, 2.5, None], "deep": {"a": {"b": 1}}},
)
"""A mask with everything that a mask may carry."""


def image(folder: Path, name: str, masks: Iterable[LabelledMask], **said: Any) -> LabelledImage:
    """Write a photograph and return its record."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        shade = sum(name.encode()) % 256
        Image.new("RGB", SIZE[::-1], (shade, 90, 200)).save(path)
    return LabelledImage(
        image_id=said.pop("image_id", path.stem),
        path=path,
        size=SIZE,
        source=said.pop("source", "scene"),
        annotations=tuple(masks),
        **said,
    )


def rich_images(folder: Path) -> list[LabelledImage]:
    """Three images: two of one file name, one without a mask, and everything that can be said."""
    plain = labelled(awkward("two parts"), category="cat", annotation_id=7)
    bare = labelled(awkward("pixel"), annotation_id=8)
    return [
        image(
            folder, "a/photo.jpg", [RICH, plain], image_id="17", split="train", group="tram",
            licence="CC BY 4.0", metadata={"country": "CH", "tags": ["x"]},
        ),
        image(folder, "b/photo.jpg", [bare], image_id="photo of b", split="val"),
        image(folder, "c/Photo.PNG", [], image_id="18", split="val"),
    ]  # fmt: skip


def by_id(images: Iterable[LabelledImage]) -> dict[str, LabelledImage]:
    return {one.image_id: one for one in images}


def pixels(image: LabelledImage) -> list[np.ndarray]:
    return [rle.decode(mask.rle) for mask in image.annotations]


def same_masks(ours: LabelledImage, theirs: LabelledImage) -> bool:
    return len(ours.annotations) == len(theirs.annotations) and all(
        np.array_equal(a, b) for a, b in zip(pixels(ours), pixels(theirs), strict=True)
    )

"""Writes LabelMe: one JSON beside each photograph, with polygons along the edges of pixels.

Parts of one mask share a `group_id`. A hole is joined to its outline by a bridge of no width, so
that LabelMe, which knows no holes, shows it and every converter keeps it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from maskmill import rle
from maskmill.formats.contours import one_ring, outlines
from maskmill.formats.labelled import LabelledImage, LabelledMask
from maskmill.formats.writing import (
    Names,
    Tally,
    Written,
    copy_photograph,
    note_orientation,
    to_json,
    write_text,
)

NO_CATEGORY = "object"
"""The label of masks without a category."""
_HELD = frozenset({"category"})
_VERSION = "5.5.0"  # LabelMe warns of files whose first number is not its own


def write_labelme(
    out: Path,
    images: Iterable[LabelledImage],
    *,
    copy_images: bool = True,
    image_folder: Path | None = None,
) -> Written:
    """Write a folder with one JSON per photograph.

    Args:
        out: The folder; files of the same names are replaced.
        images: What to write.
        copy_images: Copy the photographs beside their JSON, where LabelMe looks.
        image_folder: Where not copied, file names start from this folder; None is `out`.

    Returns:
        How much was written.

    Raises:
        DatasetError: If a photograph is gone, or not in `image_folder`.
        MaskError: If a mask is malformed.
    """
    tally = Tally()
    names = Names(tally)
    for image in images:
        name = flat = names.flat(image)
        if copy_images:
            copy_photograph(image, out / name)
        else:
            name = names.inside(image, image_folder or out)
        shapes: list[dict[str, Any]] = []
        for i, mask in enumerate(image.annotations):
            shapes += _shapes(mask, i, tally)
        height, width = image.size
        record: dict[str, Any] = {
            "version": _VERSION, "flags": {}, "shapes": shapes, "imagePath": name,
            "imageData": None, "imageHeight": height, "imageWidth": width,
        }  # fmt: skip
        write_text((out / flat).with_suffix(".json"), to_json(record))
        note_orientation(image, tally)
        tally.note_missing(image, _HELD)
        tally.images += 1
        tally.masks += len(image.annotations)
    return tally.written()


def _shapes(mask: LabelledMask, group: int, tally: Tally) -> list[dict[str, Any]]:
    if mask.category is None:
        tally.note(f"no category: written as {NO_CATEGORY!r}")
    parts = outlines(rle.decode(mask.rle))
    tally.note(
        "holes joined to the outline by bridges of no width",
        int(any(part.holes for part in parts)),
    )
    tally.note("several parts written as polygons of one group", int(len(parts) > 1))
    return [
        {
            "label": mask.category or NO_CATEGORY,
            "points": one_ring([part.exterior, *part.holes]).tolist(),
            "group_id": group if len(parts) > 1 else None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for part in parts
    ]

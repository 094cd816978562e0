"""Writes COCO: one JSON with run lengths, bit for bit the masks that came in.

Annotations are written as they come and the list of images after them, so memory holds one image's
masks and the names. Keys beyond COCO's carry what COCO cannot say; COCO's own readers pass over
them. Masks without a category get the category `object`, marked `no_category`, because COCO's
evaluation wants one.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO

from maskmill.formats.labelled import LabelledImage, LabelledMask
from maskmill.formats.writing import (
    Names,
    Tally,
    Written,
    copy_photograph,
    note_orientation,
    own_number,
    replacing,
    said_besides,
    to_json,
)
from maskmill.rle_batch import areas, boxes

_SPOOL = 1 << 26


def write_coco(
    out: Path,
    images: Iterable[LabelledImage],
    *,
    copy_images: bool = False,
    image_folder: Path | None = None,
    categories: Sequence[str] = (),
) -> Written:
    """Write one COCO JSON.

    Args:
        out: The JSON; an existing one is replaced when the new one is whole.
        images: What to write.
        copy_images: Copy the photographs into `images` beside the JSON, or, where the JSON is in a
            folder `annotations`, beside that folder, as COCO's own release is laid out.
        image_folder: Where not copied, file names start from this folder; None is the JSON's own.
        categories: Names that get the ids 1, 2 and so on, in this order, whether they occur or
            not; others follow as they come.

    Returns:
        How much was written.

    Raises:
        DatasetError: If a photograph is gone, or not in `image_folder`.
        MaskError: If a mask is malformed.
        ValueError: If a number is not finite.
    """
    tally = Tally()
    names = Names(tally)
    root = out.parent.parent if out.parent.name == "annotations" else out.parent
    with replacing(out) as file, tempfile.SpooledTemporaryFile(_SPOOL) as later:
        writer = _Writer(file, later, tally)
        for name in categories:
            writer.category(name)
        file.write(b'{"info":{"description":"written by maskmill"},"annotations":[')
        for image in images:
            if copy_images:
                name = names.flat(image)
                copy_photograph(image, root / "images" / name)
            else:
                name = names.inside(image, image_folder or out.parent)
            note_orientation(image, tally)
            writer.image(image, name)
        file.write(b'\n],"images":[')
        later.seek(0)
        while block := later.read(1 << 20):
            file.write(block)
        file.write(b"\n]," + writer.ending().encode() + b"}\n")
    return tally.written()


@dataclass
class _Writer:
    file: BinaryIO
    later: IO[bytes]
    tally: Tally
    categories: dict[str | None, int] = field(default_factory=dict)
    licences: dict[str, int] = field(default_factory=dict)
    image_ids: set[int] = field(default_factory=set)
    next_image: int = 1

    def category(self, name: str | None) -> int:
        return self.categories.setdefault(name, len(self.categories) + 1)

    def image(self, image: LabelledImage, name: str) -> None:
        number = self.number(image.image_id)
        height, width = image.size
        entry: dict[str, Any] = {
            "id": number, "file_name": name, "width": width, "height": height,
        }  # fmt: skip
        if image.image_id != str(number):
            entry["image_id"] = image.image_id
        for key in ("split", "source", "group"):
            if getattr(image, key) is not None:
                entry[key] = getattr(image, key)
        if image.licence is not None:
            entry["license"] = self.licences.setdefault(image.licence, len(self.licences) + 1)
        if image.metadata:
            entry["metadata"] = dict(image.metadata)
        self.later.write((",\n" * (self.tally.images > 0) + to_json(entry)).encode())
        self.tally.images += 1
        self.annotations(image.annotations, number)

    def number(self, identity: str) -> int:
        """Keep a number that the image has had, if it is free; COCO's other files refer to it."""
        number = own_number(identity)
        if number is None or number in self.image_ids:
            while self.next_image in self.image_ids:
                self.next_image += 1
            number = self.next_image
        self.image_ids.add(number)
        return number

    def annotations(self, masks: Sequence[LabelledMask], image: int) -> None:
        rles = [mask.rle for mask in masks]
        measured = zip(masks, areas(rles).tolist(), boxes(rles).tolist(), strict=True)
        for mask, area, (x0, y0, x1, y1) in measured:
            number = self.tally.masks + 1
            entry: dict[str, Any] = {
                "id": number,
                "image_id": image,
                "category_id": self.category(mask.category),
                "segmentation": {"size": list(mask.rle.size), "counts": mask.rle.counts.decode()},
                "area": area,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": int(mask.is_crowd),
            }
            if mask.annotation_id != number:
                entry["annotation_id"] = mask.annotation_id
            entry |= said_besides(mask)
            self.file.write(((",\n" if number > 1 else "\n") + to_json(entry)).encode())
            self.tally.masks += 1

    def ending(self) -> str:
        # The stand-in must not take the name of a category that is there.
        free = "object" if "object" not in self.categories else "object without category"
        categories = [
            {"id": number, "name": free if name is None else name, "supercategory": ""}
            | ({"no_category": True} if name is None else {})
            for name, number in self.categories.items()
        ]
        licences = [
            {"id": number, "name": name, "url": ""} for name, number in self.licences.items()
        ]
        return f'"categories":{to_json(categories)},"licenses":{to_json(licences)}'

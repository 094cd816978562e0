"""SA-1B: beside each `<id>.jpg` a `<id>.json` with that image's masks, in one folder or many.

Of what a file claims only the run lengths are believed. `bbox` and `area` are recomputed where they
are needed: the published files count a box's last pixel in its corner but not in its width, others
use half-open boxes, and the mask itself cannot be in doubt. Written boxes are COCO's XYWH of the
half-open box, so that a mask of one pixel is 1 wide.

Source: the README of github.com/facebookresearch/segment-anything, section "Dataset".
"""

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.labelled import (
    Dataset,
    LabelledImage,
    LabelledMask,
    Refused,
    checked_mask,
    checked_size,
    find_json,
    keep_source,
    load_json,
    photograph_in,
)
from maskmill.rle import Rle

MAX_JSON_BYTES = 1 << 28
"""Largest JSON of one image that is read; the largest published one is below 2 MiB."""
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
"""Where a file does not name its photograph, the one with its stem and one of these is taken."""


def read_sa1b(
    folder: Path, *, split: str | None = None, sources: Collection[str] | None = None
) -> Dataset:
    """Read every image of a folder in SA-1B form, subfolders included.

    Args:
        folder: The folder; the name of the folder that holds a JSON is that image's source.
        split: Keep only images whose file says so; None keeps all.
        sources: Keep only these sources; None keeps all.

    Returns:
        The images with at least a readable file, sorted by path, and what was refused: whole files
        (not JSON, no photograph) and single annotations (damaged or empty masks).

    Raises:
        DatasetError: If the folder does not exist.
    """
    images: list[LabelledImage] = []
    refused: list[Refused] = []
    for path in find_json(folder):
        if not keep_source(path.absolute().parent.name, sources):
            continue
        try:
            image = read_sa1b_file(path, split=split, refused=refused)
        except DatasetError as error:
            refused.append(Refused(path, str(error)))
        else:
            images += [image] if image else []
    return Dataset(tuple(images), tuple(refused))


def read_sa1b_file(
    path: Path, *, split: str | None = None, refused: list[Refused] | None = None
) -> LabelledImage | None:
    """Read the JSON of one image.

    Args:
        path: The JSON; its photograph lies in the same folder.
        split: Where the file names another split, nothing is read.
        refused: Damaged annotations are added to this list, if it is given.

    Returns:
        The image, or None if it belongs to another split.

    Raises:
        DatasetError: If the file is not in SA-1B form or its photograph is missing.
    """
    record = load_json(path, MAX_JSON_BYTES)
    info = record.get("image") if isinstance(record, dict) else None
    entries = record.get("annotations") if isinstance(record, dict) else None
    if not isinstance(info, dict) or not isinstance(entries, list):
        raise DatasetError('not in SA-1B form: no "image" and "annotations" at its top')
    if split is not None and info.get("split") != split:
        return None
    size = checked_size(info.get("height"), info.get("width"))
    identity = info.get("image_id")
    annotations = []
    for entry in entries:
        try:
            annotations.append(_mask(entry, size))
        except DatasetError as error:
            if refused is not None:
                refused.append(Refused(path, str(error)))
    return LabelledImage(
        image_id=path.stem if identity is None else str(identity),
        path=_photograph(path, info),
        size=size,
        source=path.absolute().parent.name,
        split=_text(info.get("split")),
        group=_text(info.get("group")),
        annotations=tuple(annotations),
    )


def _mask(entry: Any, size: tuple[int, int]) -> LabelledMask:
    if not isinstance(entry, dict):
        raise DatasetError("an annotation is not an object")
    identity = entry.get("id")
    try:
        mask = checked_mask(entry.get("segmentation"), size)
    except DatasetError as error:
        raise DatasetError(f"annotation {str(identity)[:40]}: {error}") from error
    return LabelledMask(
        rle=mask,
        category=_text(entry.get("category_name")),
        is_crowd=entry.get("iscrowd") in (1, True),
        annotation_id=identity if isinstance(identity, int | str) else None,
    )


def _photograph(path: Path, info: dict[str, Any]) -> Path:
    named = info.get("file_name")
    if named is not None:
        return photograph_in(path.parent, named)
    for suffix in PHOTO_SUFFIXES:
        if path.with_suffix(suffix).is_file():
            return path.with_suffix(suffix)
    raise DatasetError("names no photograph, and none has its stem")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


@runtime_checkable
class Sa1bMask(Protocol):
    """What a mask must have to be written; everything mode's records do."""

    @property
    def rle(self) -> Rle:
        """The mask."""

    @property
    def predicted_iou(self) -> float:
        """The model's own estimate of its quality."""

    @property
    def stability_score(self) -> float:
        """How little it changes when the mask threshold is shifted, [0, 1]."""

    @property
    def point(self) -> Any:
        """The prompt (x, y) that it came from, pixels of the original image."""

    @property
    def crop_box(self) -> Any:
        """The half-open XYXY crop that it came from, pixels of the original image."""


def sa1b_record(
    *, image_id: str, file_name: str, size: tuple[int, int], masks: Sequence[Sa1bMask]
) -> dict[str, Any]:
    """Build the JSON object of one image.

    Args:
        image_id: The image's name.
        file_name: Its photograph, as it lies beside the JSON.
        size: (H, W), pixels.
        masks: Its masks.

    Returns:
        The object; `bbox` and `crop_box` are XYWH, `id` counts from 1 in the given order.
    """
    height, width = size
    return {
        "image": {"image_id": image_id, "file_name": file_name, "width": width, "height": height},
        "annotations": [_entry(i, mask) for i, mask in enumerate(masks, start=1)],
    }


def _entry(identity: int, mask: Sa1bMask) -> dict[str, Any]:
    return {
        "id": identity,
        "segmentation": mask.rle.to_json(),
        "area": int(rle.area(mask.rle)),
        "bbox": _xywh(rle.box(mask.rle)),
        "predicted_iou": float(mask.predicted_iou),
        "stability_score": float(mask.stability_score),
        "point_coords": [[float(mask.point[0]), float(mask.point[1])]],
        "crop_box": _xywh(mask.crop_box),
    }


def _xywh(box: Any) -> list[float]:
    x0, y0, x1, y1 = (float(edge) for edge in box)
    return [x0, y0, x1 - x0, y1 - y0]


def write_sa1b(
    path: Path, *, image_id: str, file_name: str, size: tuple[int, int], masks: Sequence[Sa1bMask]
) -> None:
    """Write the JSON of one image, so that a reader sees the whole file or none.

    Args:
        path: Where to write; an existing file is replaced.
        image_id: The image's name.
        file_name: Its photograph, as it lies beside the JSON.
        size: (H, W), pixels.
        masks: Its masks.

    Raises:
        OSError: If the folder cannot be written to.
    """
    record = sa1b_record(image_id=image_id, file_name=file_name, size=size, masks=masks)
    # NaN is no JSON: better to fail here than to write what other readers refuse.
    text = json.dumps(record, allow_nan=False, separators=(",", ":"))
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

"""SA-1B: beside each `<id>.jpg` a `<id>.json` with that image's masks, in one folder or many.

Of what a file claims only the run lengths are believed. `bbox` and `area` are recomputed where they
are needed: the published files count a box's last pixel in its corner but not in its width, others
use half-open boxes, and the mask itself cannot be in doubt. Written boxes are COCO's XYWH of the
half-open box, so that a mask of one pixel is 1 wide.

Source: the README of github.com/facebookresearch/segment-anything, section "Dataset".
"""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.checks import (
    Checked,
    checked_masks,
    checked_size,
    is_crowd,
    rest_of,
    scores,
    short,
    text_or_none,
)
from maskmill.formats.files import find_json, keep_source, load_json, photograph_in
from maskmill.formats.labelled import Dataset, LabelledImage, LabelledMask, Refused, collected
from maskmill.formats.photograph import upright
from maskmill.rle import Rle

MAX_JSON_BYTES = 1 << 28
"""Largest JSON of one image that is read; the largest published one is below 2 MiB."""
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
"""Where a file does not name its photograph, the one with its stem and one of these is taken."""


_IMAGE_KEYS = frozenset(
    [
        "image_id",
        "image_name",
        "file_name",
        "width",
        "height",
        "licence",
        "split",
        "source",
        "group",
    ]
)
_ANNOTATION_KEYS = frozenset(
    [
        "id",
        "annotation_id",
        "segmentation",
        "area",
        "bbox",
        "category_name",
        "iscrowd",
        "predicted_iou",
        "stability_score",
        "point_coords",
        "crop_box",
    ]
)


def read_sa1b(
    folder: Path, *, split: str | None = None, sources: Collection[str] | None = None
) -> Dataset:
    """Read every image of a folder in SA-1B form; `stream_sa1b` as a whole."""
    return collected(stream_sa1b(folder, split=split, sources=sources))


def stream_sa1b(
    folder: Path,
    images: Path | None = None,
    *,
    split: str | None = None,
    sources: Collection[str] | None = None,
) -> Iterator[LabelledImage | Refused]:
    """Read a folder in SA-1B form image by image, subfolders included.

    Args:
        folder: The folder; the name of the folder that holds a JSON is that image's source.
        images: The folder that holds the photographs; None looks beside each JSON.
        split: Keep only images whose file says so; None keeps all.
        sources: Keep only these sources; None keeps all.

    Yields:
        The images with at least a readable file, sorted by the path of the JSON, and what was
        refused: whole files (not JSON, no photograph) and annotations (damaged or empty masks).

    Raises:
        DatasetError: If the folder does not exist.
    """
    for path in find_json(folder):
        if not keep_source(path.absolute().parent.name, sources):
            continue
        refused: list[Refused] = []
        try:
            image = read_sa1b_file(path, images, split=split, refused=refused)
        except DatasetError as error:
            yield Refused(path, str(error))
        else:
            yield from refused
            if image:
                yield image


def read_sa1b_file(
    path: Path,
    images: Path | None = None,
    *,
    split: str | None = None,
    refused: list[Refused] | None = None,
) -> LabelledImage | None:
    """Read the JSON of one image.

    Args:
        path: The JSON.
        images: The folder of its photograph; None is the JSON's own.
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
    identity = info.get("image_name", info.get("image_id"))
    masks, wrong = _masks(entries, size)
    if refused is not None:
        refused += [Refused(path, reason) for reason in wrong]
    image = LabelledImage(
        image_id=path.stem if identity is None else text_or_none(str(identity), "image_id") or "",
        path=_photograph(path, info, images or path.parent),
        size=size,
        source=text_or_none(info.get("source"), "source") or path.absolute().parent.name,
        split=text_or_none(info.get("split"), "split"),
        group=text_or_none(info.get("group"), "group"),
        annotations=masks,
        licence=text_or_none(info.get("licence"), "licence"),
        metadata=rest_of(info, _IMAGE_KEYS, "metadata"),
    )
    return upright(image)


def _masks(entries: list[Any], size: tuple[int, int]) -> tuple[tuple[LabelledMask, ...], list[str]]:
    """Return the masks that are sound, and what is wrong with the others."""
    objects = [entry for entry in entries if isinstance(entry, dict)]
    wrong = ["an annotation is not an object"] * (len(entries) - len(objects))
    claimed = checked_masks([o.get("segmentation") for o in objects], [size] * len(objects))
    masks = []
    seen: set[int | str] = set()
    for entry, run in zip(objects, claimed, strict=True):
        identity = entry.get("id")
        try:
            if isinstance(run, DatasetError):
                raise run
            masks.append(_mask(entry, run))
            if isinstance(identity, int | str):
                if identity in seen:
                    masks.pop()
                    raise DatasetError("its id is taken by an earlier annotation")
                seen.add(identity)
        except DatasetError as error:
            wrong.append(f"annotation {short(identity)}: {error}")
    return tuple(masks), wrong


def _mask(entry: dict[str, Any], run: Checked) -> LabelledMask:
    identity = entry.get("annotation_id", entry.get("id"))
    return LabelledMask(
        rle=run.rle,
        shape=run.shape,
        category=text_or_none(entry.get("category_name"), "category_name"),
        is_crowd=is_crowd(entry),
        annotation_id=identity if isinstance(identity, int | str) else None,
        attributes=rest_of(entry, _ANNOTATION_KEYS, "attributes"),
        **scores(entry),
    )


def _photograph(path: Path, info: dict[str, Any], folder: Path) -> Path:
    named = info.get("file_name")
    if named is not None:
        return photograph_in(folder, named)
    for suffix in PHOTO_SUFFIXES:
        found = (folder / path.name).with_suffix(suffix)
        if found.is_file():
            return found
    raise DatasetError("names no photograph, and none has its stem")


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

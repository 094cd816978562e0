"""COCO: one JSON for many images, with masks as run lengths or polygons.

`bbox` and `area` are not read: the mask says both, and files disagree on what they count. Crowds
are kept and flagged. Whatever is damaged (ids that lead nowhere, numbers that are not finite, names
that climb out of the folder) is refused by itself, with its reason, and the rest is read.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.labelled import (
    Dataset,
    LabelledImage,
    LabelledMask,
    Refused,
    checked_mask,
    checked_size,
    load_json,
    photograph_in,
)
from maskmill.formats.polygons import parse_polygons, rasterise
from maskmill.rle import Rle

SPLITS = ("train", "val", "test")
"""Words in a file's or its folder's name that say which split it is, as in `instances_val2017`."""


def read_coco(
    annotations: Path,
    images: Path | None = None,
    *,
    source: str | None = None,
    split: str | None = None,
) -> Dataset:
    """Read a COCO JSON.

    Args:
        annotations: The JSON.
        images: The folder that the file names start from; None looks beside the JSON and in the
            usual places (`images`, `val2017` for `instances_val2017.json`).
        source: What to call the source; None takes the name of the JSON's folder.
        split: What split the images belong to; None reads it off the names of file and folder.

    Returns:
        The images sorted by path, those without any annotation included, and what was refused.

    Raises:
        DatasetError: If the file is not COCO or no folder holds its photographs.
    """
    record = load_json(annotations)
    if not is_coco(record):
        raise DatasetError(
            f'{annotations} is not COCO: expected lists "images" and "annotations" at its top'
        )
    folder = images or _photograph_folder(annotations, record["images"])
    refused: list[Refused] = []
    infos = _infos(record["images"], folder, annotations, refused)
    masks = _masks(record, infos, annotations, refused)
    read = [
        LabelledImage(
            image_id=str(key),
            path=folder / info["file_name"],
            size=(info["height"], info["width"]),
            source=source or annotations.absolute().parent.name,
            split=split or split_of(annotations),
            annotations=tuple(masks[key]),
        )
        for key, info in infos.items()
    ]
    return Dataset(tuple(sorted(read, key=lambda image: image.path)), tuple(refused))


def is_coco(record: Any) -> bool:
    """Tell whether parsed JSON has COCO's form: lists of images and of annotations."""
    return isinstance(record, dict) and all(
        isinstance(record.get(key), list) for key in ("images", "annotations")
    )


def split_of(annotations: Path) -> str | None:
    """Read the split off a COCO file's name, or its folder's; None if neither says."""
    for name in (annotations.stem, annotations.absolute().parent.name):
        for word in SPLITS:
            if word in name.lower():
                return word
    return None


def _photograph_folder(annotations: Path, images: list[Any]) -> Path:
    beside = annotations.parent
    stem = annotations.stem.split("_")[-1]
    places = [
        place
        for root in (beside, beside.parent)
        for place in (root, root / "images", root / stem, root / "images" / stem)
    ]
    names = [
        info["file_name"] for info in images[:50] if isinstance(info, dict) and "file_name" in info
    ]
    for place in places:
        for name in names:
            with contextlib.suppress(DatasetError):
                photograph_in(place, name)
                return place
    raise DatasetError(
        f"no photograph of {annotations} found beside it or in `images`; "
        "name the folder that holds them"
    )


def _infos(
    images: list[Any], folder: Path, annotations: Path, refused: list[Refused]
) -> dict[int | str, dict[str, Any]]:
    infos: dict[int | str, dict[str, Any]] = {}
    for info in images:
        try:
            key = _image_key(info)
            if key in infos:
                raise DatasetError("its id is taken by an earlier image")
            checked_size(info.get("height"), info.get("width"))
            photograph_in(folder, info.get("file_name"))
            infos[key] = info
        except DatasetError as error:
            name = info.get("file_name") if isinstance(info, dict) else info
            refused.append(Refused(annotations, f"image {str(name)[:80]!r}: {error}"))
    return infos


def _image_key(info: Any) -> int | str:
    key = info.get("id") if isinstance(info, dict) else None
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise DatasetError("no id that is a whole number or text")
    return key


def _masks(
    record: dict[str, Any],
    infos: dict[int | str, dict[str, Any]],
    annotations: Path,
    refused: list[Refused],
) -> defaultdict[int | str, list[LabelledMask]]:
    names = dict(_categories(record.get("categories")))
    masks: defaultdict[int | str, list[LabelledMask]] = defaultdict(list)
    for entry in record["annotations"]:
        identity = entry.get("id") if isinstance(entry, dict) else None
        try:
            if not isinstance(entry, dict):
                raise DatasetError("not an object")
            key = entry.get("image_id")
            if isinstance(key, float | list | dict) or key not in infos:
                raise DatasetError(f"its image {str(key)[:40]} is not there or was refused")
            size = infos[key]["height"], infos[key]["width"]
            masks[key].append(_mask(entry, size, names))
        except DatasetError as error:
            refused.append(Refused(annotations, f"annotation {str(identity)[:40]}: {error}"))
    return masks


def _categories(entries: Any) -> Iterator[tuple[int | str, str]]:
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("id"), int | str):
            yield entry["id"], str(entry.get("name", entry["id"]))


def _mask(
    entry: dict[str, Any], size: tuple[int, int], names: dict[int | str, str]
) -> LabelledMask:
    category = entry.get("category_id")
    if category is not None and (not isinstance(category, int | str) or category not in names):
        raise DatasetError(f"its category {str(category)[:40]} is not among the file's categories")
    identity = entry.get("id")
    return LabelledMask(
        rle=_segmentation(entry.get("segmentation"), size),
        category=None if category is None else names[category],
        is_crowd=entry.get("iscrowd") in (1, True),
        annotation_id=identity if isinstance(identity, int | str) else None,
    )


def _segmentation(segmentation: Any, size: tuple[int, int]) -> Rle:
    if isinstance(segmentation, dict):
        return checked_mask(segmentation, size)
    mask = rasterise(parse_polygons(segmentation), size)
    if not mask.any():
        raise DatasetError("an empty mask: its polygon holds no pixel's centre")
    return rle.encode(mask)

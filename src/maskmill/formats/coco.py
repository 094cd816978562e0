"""COCO: one JSON for many images, with masks as run lengths or polygons.

`bbox` and `area` are not read: the mask says both, and files disagree on what they count. Crowds
are kept and flagged. Whatever is damaged (ids that lead nowhere, numbers that are not finite, names
that climb out of the folder) is refused by itself, with its reason, and the rest is read. Keys
beyond COCO's are kept; `predicted_iou` and its like are SA-1B's. `coco_writer` writes it.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

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
from maskmill.formats.coco_index import SEEN, CocoIndex, Found, Place, build_index, read_place
from maskmill.formats.files import photograph_in
from maskmill.formats.json_stream import Repeated, decode_element, decode_run
from maskmill.formats.labelled import Dataset, LabelledImage, LabelledMask, Refused, collected
from maskmill.formats.photograph import upright
from maskmill.formats.polygons import parse_polygons, rasterise
from maskmill.rle import Rle

SPLITS = ("train", "val", "test")
"""Words in a file's or its folder's name that say which split it is, as in `instances_val2017`."""
BATCH = 500
"""Annotations whose run lengths are checked together."""

_WIDEST_GAP = 16  # bytes of white space between neighbours, on average
_IMAGE_KEYS = frozenset(
    [
        "id",
        "image_id",
        "file_name",
        "width",
        "height",
        "license",
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
        "image_id",
        "category_id",
        "segmentation",
        "area",
        "bbox",
        "iscrowd",
        "predicted_iou",
        "stability_score",
        "point_coords",
        "crop_box",
    ]
)


def read_coco(
    annotations: Path,
    images: Path | None = None,
    *,
    source: str | None = None,
    split: str | None = None,
) -> Dataset:
    """Read a COCO JSON; `stream_coco` as a whole, the images sorted by path."""
    return collected(stream_coco(annotations, images, source=source, split=split))


def stream_coco(
    annotations: Path,
    images: Path | None = None,
    *,
    source: str | None = None,
    split: str | None = None,
) -> Iterator[LabelledImage | Refused]:
    """Read a COCO JSON image by image; memory grows by some 40 bytes to an annotation.

    Args:
        annotations: The JSON.
        images: The folder that the file names start from; None looks beside the JSON and in the
            usual places (`images`, `val2017` for `instances_val2017.json`).
        source: What to call the source; None takes what an image says, or the JSON's folder.
        split: What split the images belong to; None takes what an image says, or reads it off the
            names of file and folder.

    Yields:
        What was refused, and the images in the file's order, those without any annotation included.

    Raises:
        DatasetError: If the file is not COCO or no folder holds its photographs.
    """
    index = build_index(annotations)
    yield from index.refused
    yield from index.left_out()
    with annotations.open("rb") as file:
        reader = _Reader(
            index,
            file,
            folder=images or _photograph_folder(index, file),
            source=source,
            split=split,
        )
        yield from reader.run()


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


def _photograph_folder(index: CocoIndex, file: BinaryIO) -> Path:
    beside = index.path.parent
    stem = index.path.stem.split("_")[-1]
    places = [
        place
        for root in (beside, beside.parent)
        for place in (root, root / "images", root / stem, root / "images" / stem)
    ]
    names = []
    for image in islice(index.images, 50):
        with contextlib.suppress(DatasetError):
            names.append(decode_element(read_place(file, image)).get("file_name"))
    for place in places:
        for name in names:
            with contextlib.suppress(DatasetError):
                photograph_in(place, name)
                return place
    if not index.images:
        return beside
    raise DatasetError(
        f"no photograph of {index.path} found beside it or in `images`; "
        "name the folder that holds them"
    )


@dataclass(frozen=True)
class _Reader:
    """The second pass: decodes images and annotations at the places that the index names."""

    index: CocoIndex
    file: BinaryIO
    folder: Path
    source: str | None
    split: str | None

    def run(self) -> Iterator[LabelledImage | Refused]:
        batch: list[tuple[LabelledImage, list[Any]]] = []
        waiting = 0
        for place, annotations in self.index.annotations_of():
            image = self.image(place, len(annotations))
            if isinstance(image, Refused):
                yield image
                continue
            entries = self.entries(annotations)
            batch.append((image, entries))
            waiting += len(entries)
            if waiting >= BATCH or len(batch) >= BATCH:
                yield from self.finished(batch)
                batch, waiting = [], 0
        yield from self.finished(batch)

    def image(self, place: Place, annotations: int) -> LabelledImage | Refused:
        name: Any = f"at byte {place[0]}"
        try:
            info = decode_element(read_place(self.file, place))
            name = short(info.get("file_name"))
            return self.claimed(info)
        except DatasetError as error:
            left_out = f"; its {annotations} annotations are left out" if annotations else ""
            return Refused(self.index.path, f"image {name}: {error}{left_out}")

    def claimed(self, info: dict[str, Any]) -> LabelledImage:
        path, given = self.index.path, text_or_none(info.get("image_id"), "image_id")
        licence = info.get("license")
        known = self.index.licences.get(licence) if isinstance(licence, int | str) else None
        return LabelledImage(
            image_id=text_or_none(str(info["id"]), "id") or "" if given is None else given,
            size=checked_size(info.get("height"), info.get("width")),
            path=photograph_in(self.folder, info.get("file_name")),
            source=self.source
            or text_or_none(info.get("source"), "source")
            or path.absolute().parent.name,
            split=self.split or text_or_none(info.get("split"), "split") or split_of(path),
            group=text_or_none(info.get("group"), "group"),
            licence=known,
            metadata=rest_of(info, _IMAGE_KEYS, "metadata"),
        )

    def entries(self, places: list[Found]) -> list[Any]:
        """Decode annotations; together if they lie together, as in most files."""
        lengths = sum(stop - start for start, stop, _ in places)
        if places and places[-1][1] - places[0][0] - lengths < _WIDEST_GAP * len(places):
            with contextlib.suppress(DatasetError):
                found = decode_run(read_place(self.file, (places[0][0], places[-1][1])))
                # More of them if something that was refused lies in between.
                if len(found) == len(places):
                    pairs = zip(found, places, strict=True)
                    return [
                        each if place[2] in (SEEN, _keys_of(each)) else self.entry(place)
                        for each, place in pairs
                    ]
        return [self.entry(place) for place in places]

    def entry(self, place: Found) -> Any:
        try:
            found = decode_element(read_place(self.file, place[:2]))
            if type(found.get("segmentation")) is Repeated:
                raise DatasetError("it names one key twice")
        except DatasetError as error:
            return DatasetError(f"{error} (at byte {place[0]})")
        return found

    def finished(
        self, batch: list[tuple[LabelledImage, list[Any]]]
    ) -> Iterator[LabelledImage | Refused]:
        """Check the masks of several images together, then put each into its photograph."""
        claims = [
            (entry["segmentation"], image.size)
            for image, entries in batch
            for entry in entries
            if _has_runs(entry)
        ]
        runs = iter(checked_masks([c[0] for c in claims], [c[1] for c in claims]))
        for image, entries in batch:
            masks: list[LabelledMask] = []
            for entry in entries:
                run = next(runs) if _has_runs(entry) else None
                try:
                    masks.append(self.mask(entry, run, image.size))
                except DatasetError as error:
                    name = short(entry.get("id")) if isinstance(entry, dict) else "of this image"
                    yield Refused(self.index.path, f"annotation {name}: {error}")
            try:
                yield upright(replace(image, annotations=tuple(masks)))
            except DatasetError as error:
                yield Refused(self.index.path, f"image {short(image.path.name)}: {error}")

    def mask(
        self, entry: Any, run: Checked | DatasetError | None, size: tuple[int, int]
    ) -> LabelledMask:
        if isinstance(entry, DatasetError):
            raise entry
        if isinstance(run, DatasetError):
            raise run
        category = entry.get("category_id")
        names = self.index.categories
        if category is not None and (not isinstance(category, int | str) or category not in names):
            raise DatasetError(f"its category {short(category)} is not among the file's categories")
        identity = entry.get("annotation_id", entry.get("id"))
        return LabelledMask(
            rle=run.rle if run else _from_polygons(entry.get("segmentation"), size),
            shape=run.shape if run else None,
            category=None if category is None else names[category],
            is_crowd=is_crowd(entry),
            annotation_id=identity if isinstance(identity, int | str) else None,
            attributes=rest_of(entry, _ANNOTATION_KEYS, "attributes"),
            **scores(entry),
        )


def _keys_of(entry: dict[str, Any]) -> int:
    """Count the keys of an annotation and of the objects right in it, as its text should have."""
    return len(entry) + sum([len(each) for each in entry.values() if type(each) is dict])


def _has_runs(entry: Any) -> bool:
    return type(entry) is dict and type(entry.get("segmentation")) is dict


def _from_polygons(polygons: Any, size: tuple[int, int]) -> Rle:
    mask = rasterise(parse_polygons(polygons), size)
    if not mask.any():
        raise DatasetError("an empty mask: its polygon holds no pixel's centre")
    return rle.encode(mask)

"""Datumaro's JSON: polygons and masks of every photograph, with attributes.

An item's annotations of one `group` other than 0 stay apart, as Datumaro keeps them. Boxes, points,
labels and the rest cover no pixels and are refused.

Source: `datumaro/plugins/data_formats/datumaro` of github.com/openvinotoolkit/datumaro.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.checks import checked_mask, checked_size, rest_of, short, text_or_none
from maskmill.formats.coco_index import read_place
from maskmill.formats.files import find_json, photograph_in
from maskmill.formats.json_stream import decode_element, scan
from maskmill.formats.labelled import Dataset, LabelledImage, LabelledMask, Refused, collected
from maskmill.formats.photograph import require_header, upright
from maskmill.formats.polygons import parse_polygons, rasterise

Size = tuple[int, int]


def read_datumaro(path: Path, images: Path | None = None) -> Dataset:
    """Read Datumaro's JSON; `stream_datumaro` as a whole, the images sorted by path."""
    return collected(stream_datumaro(path, images))


def stream_datumaro(path: Path, images: Path | None = None) -> Iterator[LabelledImage | Refused]:
    """Read Datumaro's JSON image by image.

    Args:
        path: One JSON, or the folder with `annotations/<split>.json` and `images/`.
        images: The folder that holds the photographs; None is `images` or `images/<split>` beside
            the folder of the JSON.

    Yields:
        The images, and what was refused: items without a photograph, and annotations that are
        damaged or cover no pixels.

    Raises:
        DatasetError: If a file is damaged beyond single items, or holds no items.
    """
    for file in [path] if path.is_file() else find_json(path):
        yield from _stream_file(file, images)


def _stream_file(path: Path, images: Path | None) -> Iterator[LabelledImage | Refused]:
    names = _names(path)
    with path.open("rb") as file:
        for key, _, start, stop in scan(path):
            if key != "items" or start < 0:
                continue
            refused: list[Refused] = []
            try:
                item = decode_element(read_place(file, (start, stop)))
                image = _image(item, path, images, names, refused)
            except DatasetError as error:
                yield Refused(path, f"item at byte {start}: {error}")
                continue
            yield from refused
            yield image


def _names(path: Path) -> list[str]:
    """Read the names of the labels in a first pass, since they may stand at the end."""
    found, labels = False, None
    with path.open("rb") as file:
        for key, _, start, stop in scan(path):
            found |= key == "items" and start < 0
            if key == "categories" and start >= 0:
                categories = decode_element(read_place(file, (start, stop)))
                label = categories.get("label") if isinstance(categories, dict) else None
                labels = label.get("labels") if isinstance(label, dict) else None
            if found and labels is not None:
                break
    if not found:
        raise DatasetError(f'{path} is not Datumaro\'s: expected a list "items" at its top')
    entries = labels if isinstance(labels, list) else []
    return [str(e.get("name", i)) if isinstance(e, dict) else str(i) for i, e in enumerate(entries)]


def _image(
    item: Any, path: Path, images: Path | None, names: list[str], refused: list[Refused]
) -> LabelledImage:
    media = item.get("image", item.get("media")) if isinstance(item, dict) else None
    if not isinstance(media, dict):
        raise DatasetError("no image")
    photograph = _photograph(media.get("path"), path, images)
    said = media.get("size")
    if isinstance(said, list) and len(said) == 2:
        size = checked_size(*said)
    else:
        size = require_header(photograph).size
    entries = item.get("annotations")
    masks = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            masks.append(_mask(entry, size, names))
        except DatasetError as error:
            name = short(entry.get("id")) if isinstance(entry, dict) else "?"
            refused.append(Refused(path, f"{short(item.get('id'))}, annotation {name}: {error}"))
    attributes = item.get("attr")
    image = LabelledImage(
        image_id=text_or_none(str(item.get("id", photograph.stem)), "id") or photograph.stem,
        path=photograph,
        size=size,
        source=path.absolute().parent.name,
        split=None if path.stem == "default" else path.stem,
        annotations=tuple(masks),
        metadata=rest_of(attributes, frozenset(), "attr") if isinstance(attributes, dict) else {},
    )
    return upright(image)


def _photograph(name: Any, path: Path, images: Path | None) -> Path:
    root = path.parent.parent / "images"
    places = [images] if images else [root / path.stem, root, path.parent]
    for place in places[:-1]:
        try:
            return photograph_in(place, name)
        except DatasetError:
            continue
    return photograph_in(places[-1], name)


def _mask(entry: Any, size: Size, names: list[str]) -> LabelledMask:
    if not isinstance(entry, dict):
        raise DatasetError("not an object")
    kind, label, identity = entry.get("type"), entry.get("label_id"), entry.get("id")
    if kind == "polygon":
        pixels = rasterise(parse_polygons([entry.get("points")]), size)
        if not pixels.any():
            raise DatasetError("an empty mask: its polygon holds no pixel's centre")
        mask = rle.encode(pixels)
    elif kind == "mask":
        mask = checked_mask(entry.get("rle"), size)
    else:
        raise DatasetError(f"a {short(kind)} covers no pixels")
    if label is not None and (type(label) is not int or not 0 <= label < len(names)):
        raise DatasetError(f"its label {short(label)} is not among the {len(names)} named")
    said = entry.get("attributes")
    attributes = rest_of(said, frozenset(), "attributes") if isinstance(said, dict) else {}
    return LabelledMask(
        rle=mask,
        category=None if label is None else names[label],
        is_crowd=attributes.pop("is_crowd", False) is True,
        annotation_id=identity if isinstance(identity, int | str) else None,
        attributes=attributes,
    )

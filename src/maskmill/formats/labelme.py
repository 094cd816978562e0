"""LabelMe: one JSON beside each photograph, with a list of shapes.

Polygons, rectangles, circles and masks (a small PNG inside the JSON) are read; points and lines
cover no pixel and are refused. Shapes of one `group_id` and label are parts of one object; a part
whose flags say `hole` is cut out of it. The copy of the photograph in `imageData` is not looked at.
The frame is continuous, pixel (0, 0) from (0, 0) to (1, 1), as for all polygons here.
`labelme_writer` writes it.

Source: `labelme/_label_file.py` and `labelme/utils/shape.py` of github.com/wkentaro/labelme.
"""

import base64
import binascii
import io
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.checks import checked_size, finite, rest_of, short, text_or_none
from maskmill.formats.files import find_json, load_json, photograph_in
from maskmill.formats.labelled import Dataset, LabelledImage, LabelledMask, Refused, collected
from maskmill.formats.photograph import require_header, upright
from maskmill.formats.polygons import MAX_COORDINATE, parse_polygons, rasterise

MAX_JSON_BYTES = 1 << 29
"""Largest JSON of one image that is read: it may hold the whole photograph as text."""

Size = tuple[int, int]


def read_labelme(folder: Path, images: Path | None = None) -> Dataset:
    """Read a folder of LabelMe files; `stream_labelme` as a whole, the images sorted by path."""
    return collected(stream_labelme(folder, images))


def stream_labelme(folder: Path, images: Path | None = None) -> Iterator[LabelledImage | Refused]:
    """Read a folder of LabelMe files image by image, subfolders included.

    Args:
        folder: The folder.
        images: The folder that holds the photographs by the last part of their names; None looks
            where each file says, which must be inside its own folder.

    Yields:
        The images, and what was refused: whole files and single shapes.

    Raises:
        DatasetError: If the folder does not exist.
    """
    for path in find_json(folder):
        refused: list[Refused] = []
        try:
            image = _image(path, folder, images, refused)
        except DatasetError as error:
            yield Refused(path, str(error))
            continue
        yield from refused
        yield image


def is_labelme(record: Any) -> bool:
    """Tell whether parsed JSON has LabelMe's form: a list of shapes, and a photograph's name."""
    return (
        isinstance(record, dict)
        and isinstance(record.get("shapes"), list)
        and "imagePath" in record
    )


def _image(path: Path, folder: Path, images: Path | None, refused: list[Refused]) -> LabelledImage:
    record = load_json(path, MAX_JSON_BYTES)
    if not is_labelme(record):
        raise DatasetError('not in LabelMe\'s form: no "shapes" and "imagePath" at its top')
    photograph = _photograph(path, record["imagePath"], images)
    if record.get("imageHeight") is None:
        size = require_header(photograph).size
    else:
        size = checked_size(record["imageHeight"], record.get("imageWidth"))
    masks = []
    for places, shapes in _objects(record["shapes"], path, refused):
        try:
            masks.append(_mask(shapes, size))
        except DatasetError as error:
            refused.append(Refused(path, f"shape {places}: {error}"))
    flags = record.get("flags")
    image = LabelledImage(
        image_id=path.relative_to(folder).with_suffix("").as_posix(),
        path=photograph,
        size=size,
        source=path.absolute().parent.name,
        annotations=tuple(masks),
        metadata=rest_of(flags, frozenset(), "flags") if isinstance(flags, dict) else {},
    )
    return upright(image)


def _photograph(path: Path, name: Any, images: Path | None) -> Path:
    # LabelMe on Windows writes backslashes; only the last part is needed to look elsewhere.
    if isinstance(name, str) and images is not None:
        return photograph_in(images, PureWindowsPath(name).name)
    if isinstance(name, str) and "\\" in name:
        name = PureWindowsPath(name).as_posix()
    return photograph_in(path.parent, name)


def _objects(
    shapes: list[Any], path: Path, refused: list[Refused]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Gather the shapes of each object, in the order of their first ones; name them by place."""
    groups: dict[Any, list[int]] = {}
    for i, shape in enumerate(shapes):
        if not isinstance(shape, dict):
            refused.append(Refused(path, f"shape {i}: not an object"))
            continue
        group = shape.get("group_id")
        alone = not isinstance(group, int | str)
        key = ("alone", i) if alone else ("group", group, str(shape.get("label")))
        groups.setdefault(key, []).append(i)
    for places in groups.values():
        yield ", ".join(map(str, places[:5])), [shapes[i] for i in places]


def _mask(shapes: list[dict[str, Any]], size: Size) -> LabelledMask:
    mask, holes = np.zeros(size, bool), np.zeros(size, bool)
    attributes: dict[str, Any] = {}
    for shape in shapes:
        flags = shape.get("flags")
        flags = dict(flags) if isinstance(flags, dict) else {}
        part = holes if flags.pop("hole", False) is True else mask
        part |= _pixels(shape, size)
        attributes |= rest_of(flags, frozenset(), "flags")
    if shapes[0].get("description"):
        attributes |= rest_of({"description": shapes[0]["description"]}, frozenset(), "flags")
    mask &= ~holes
    if not mask.any():
        raise DatasetError("an empty mask: it holds no pixel's centre")
    return LabelledMask(
        rle=rle.encode(mask),
        category=text_or_none(shapes[0].get("label"), "label"),
        attributes=attributes,
    )


def _pixels(shape: dict[str, Any], size: Size) -> Bool[np.ndarray, "h w"]:
    kind = shape.get("shape_type", "polygon")
    points = _points(shape.get("points"))
    if kind == "polygon":
        return rasterise(parse_polygons([[v for point in points for v in point]]), size)
    if kind == "rectangle" and len(points) in (2, 4):
        xs, ys = zip(*points, strict=True)
        x0, y0, x1, y1 = min(xs), min(ys), max(xs), max(ys)
        return rasterise(parse_polygons([[x0, y0, x1, y0, x1, y1, x0, y1]]), size)
    if kind == "circle" and len(points) == 2:
        return _disc(points, size)
    if kind == "mask" and len(points) == 2:
        return _pasted(shape.get("mask"), points, size)
    raise DatasetError(f"a shape of type {short(kind)} with {len(points)} points covers no pixels")


def _points(said: Any) -> list[tuple[float, float]]:
    if not isinstance(said, list) or not all(isinstance(p, list) and len(p) == 2 for p in said):
        raise DatasetError(f"points holds {short(said)}; expected a list of [x, y]")
    points = [(finite(x, "x"), finite(y, "y")) for x, y in said]
    if any(abs(v) > MAX_COORDINATE for point in points for v in point):
        raise DatasetError(f"a point is not within {MAX_COORDINATE:.0f} pixels")
    return points


def _disc(points: list[tuple[float, float]], size: Size) -> Bool[np.ndarray, "h w"]:
    """Fill a circle given by its centre and a point of its rim."""
    (cx, cy), (x, y) = points
    rows, columns = np.ogrid[: size[0], : size[1]]
    inside = (columns + 0.5 - cx) ** 2 + (rows + 0.5 - cy) ** 2 <= (x - cx) ** 2 + (y - cy) ** 2
    return np.asarray(inside)


def _pasted(png: Any, points: list[tuple[float, float]], size: Size) -> Bool[np.ndarray, "h w"]:
    """Paste a small PNG into the mask; its points are its first and its last pixel."""
    (x0, y0), (x1, y1) = [(round(x), round(y)) for x, y in points]
    if not (0 <= x0 <= x1 < size[1] and 0 <= y0 <= y1 < size[0]):
        raise DatasetError(f"a mask from {x0},{y0} to {x1},{y1} is not inside the photograph")
    if not isinstance(png, str):
        raise DatasetError("a mask without its PNG")
    try:
        with Image.open(io.BytesIO(base64.b64decode(png, validate=True)), formats=["PNG"]) as image:
            if image.size != (x1 - x0 + 1, y1 - y0 + 1):
                raise DatasetError(f"a mask's PNG is {image.size}, its points say otherwise")
            small = np.array(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError, ValueError) as error:
        raise DatasetError(f"a mask's PNG is damaged: {short(str(error))}") from error
    mask = np.zeros(size, bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = small
    return mask

"""CVAT's XML for images, version 1.1: polygons, masks and ellipses of every photograph.

Boxes, points and lines cover no pixel that anybody drew and are refused one by one. The file is
read as a stream, and one that declares a document type is refused as a whole: entities are how XML
bombs grow. Polygons are continuous, pixel (0, 0) from (0, 0) to (1, 1); a mask's runs go along the
rows of its box, background first.

Source: docs.cvat.ai, "CVAT for image 1.1".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
from jaxtyping import Bool

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.checks import checked_size, short
from maskmill.formats.files import photograph_in
from maskmill.formats.labelled import Dataset, LabelledImage, LabelledMask, Refused, collected
from maskmill.formats.photograph import upright
from maskmill.formats.polygons import parse_polygons, rasterise

BLOCK = 1 << 20
"""Bytes of XML that are read at once."""
MAX_TEXT = 1 << 16
"""Longest text of one attribute of a shape, characters."""
SHAPES = ("polygon", "mask", "ellipse", "box", "polyline", "points", "cuboid", "skeleton", "tag")

Size = tuple[int, int]


def read_cvat(path: Path, images: Path | None = None) -> Dataset:
    """Read CVAT's XML; `stream_cvat` as a whole, the images sorted by path."""
    return collected(stream_cvat(path, images))


def stream_cvat(path: Path, images: Path | None = None) -> Iterator[LabelledImage | Refused]:
    """Read CVAT's XML image by image.

    Args:
        path: The XML, or the folder that holds `annotations.xml`.
        images: The folder that the names start from; None is `images` beside the XML, or its own.

    Yields:
        The images, and what was refused: images without a photograph, and shapes that are damaged
        or cover no pixels.

    Raises:
        DatasetError: If it cannot be read, is not CVAT's XML or declares a document type.
    """
    path = path / "annotations.xml" if path.is_dir() else path
    beside = path.parent / "images"
    folder = images or (beside if beside.is_dir() else path.parent)
    for info, shapes in _records(path):
        yield from _read(path, folder, info, shapes)


@dataclass
class _Shape:
    """One element below an image: its attributes, and the texts of its `<attribute>` children."""

    kind: str
    said: dict[str, str]
    texts: dict[str, str] = field(default_factory=dict)


@dataclass
class _Handler:
    """What expat calls; finished images wait in `done`."""

    done: list[tuple[dict[str, str], list[_Shape]]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    image: dict[str, str] = field(default_factory=dict)
    shapes: list[_Shape] = field(default_factory=list)
    attribute: str = ""
    text: str = ""

    def start(self, name: str, said: dict[str, str]) -> None:
        if not self.stack and name != "annotations":
            raise DatasetError(f"its first element is {short(name)}, not annotations")
        self.stack.append(name)
        if len(self.stack) > 8:
            raise DatasetError("its elements lie deeper than 8")
        if self.stack[1:] == ["image"]:
            self.image, self.shapes = said, []
        elif self.stack[1:-1] == ["image"]:
            self.shapes.append(_Shape(name, said))
        elif name == "attribute" and self.stack[1:2] == ["image"]:
            self.attribute, self.text = said.get("name", ""), ""

    def end(self, name: str) -> None:
        if self.stack[1:] == ["image"]:
            self.done.append((self.image, self.shapes))
        elif name == "attribute" and len(self.stack) == 4 and self.stack[1] == "image":
            self.shapes[-1].texts[self.attribute] = self.text
        self.stack.pop()

    def characters(self, text: str) -> None:
        if self.stack[-1:] == ["attribute"] and len(self.text) < MAX_TEXT:
            self.text += text

    def doctype(self, *_: Any) -> None:
        raise DatasetError("it declares a document type; save it without one")


def _records(path: Path) -> Iterator[tuple[dict[str, str], list[_Shape]]]:
    handler, parser = _Handler(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = handler.start, handler.end
    parser.CharacterDataHandler = handler.characters
    parser.StartDoctypeDeclHandler = handler.doctype
    parser.EntityDeclHandler = handler.doctype
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                parser.Parse(block, False)
                yield from handler.done
                handler.done.clear()
            parser.Parse(b"", True)
            yield from handler.done
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two: its encoding
        raise DatasetError(f"{path} is not XML: {short(str(error))}") from error
    except DatasetError as error:
        raise DatasetError(f"{path} is not CVAT's XML: {error}") from error


def _read(
    path: Path, folder: Path, info: dict[str, str], shapes: list[_Shape]
) -> Iterator[LabelledImage | Refused]:
    name = info.get("name", "")
    try:
        size = checked_size(_integer(info, "height"), _integer(info, "width"))
        photograph = photograph_in(folder, name)
    except DatasetError as error:
        left_out = f"; its {len(shapes)} shapes are left out" if shapes else ""
        yield Refused(path, f"image {short(name)}: {error}{left_out}")
        return
    masks = []
    for i, shape in enumerate(shapes):
        try:
            masks += [] if shape.kind == "tag" else [_mask(shape, size)]
        except DatasetError as error:
            yield Refused(path, f"image {short(name)}, shape {i} ({short(shape.kind)}): {error}")
    tags = [shape.said.get("label", "") for shape in shapes if shape.kind == "tag"]
    image = LabelledImage(
        image_id=info.get("id", name),
        path=photograph,
        size=size,
        source=info.get("task") or path.absolute().parent.name,
        split=(info.get("subset") or "").lower() or None,
        annotations=tuple(masks),
        metadata={"tags": tags} if tags else {},
    )
    try:
        yield upright(image)
    except DatasetError as error:
        yield Refused(path, f"image {short(name)}: {error}")


def _mask(shape: _Shape, size: Size) -> LabelledMask:
    if shape.kind == "polygon":
        mask = rasterise(parse_polygons([_points(shape.said.get("points", ""))]), size)
    elif shape.kind == "mask":
        mask = _pasted(shape.said, size)
    elif shape.kind == "ellipse":
        mask = _ellipse(shape.said, size)
    else:
        raise DatasetError("covers no pixels; masks can be made from it with prompts")
    if not mask.any():
        raise DatasetError("an empty mask: it holds no pixel's centre")
    kept = {key: shape.said[key] for key in ("occluded", "z_order", "group_id", "source")
            if shape.said.get(key, "0") != "0"}  # fmt: skip
    return LabelledMask(
        rle=rle.encode(mask),
        category=shape.said.get("label"),
        attributes=dict(sorted((kept | shape.texts).items())),
    )


def _points(text: str) -> list[float]:
    try:
        return [float(number) for point in text.split(";") for number in point.split(",")]
    except ValueError as error:
        raise DatasetError(f"its points are {short(text)}, not x,y;x,y") from error


def _integer(said: dict[str, str], key: str) -> int:
    text = said.get(key, "")
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise DatasetError(f"{key} is {short(text)}; it must be a whole number")
    return int(text)


def _pasted(said: dict[str, str], size: Size) -> Bool[np.ndarray, "h w"]:
    left, top, width, height = (_integer(said, key) for key in ("left", "top", "width", "height"))
    if not (width > 0 and left + width <= size[1] and height > 0 and top + height <= size[0]):
        raise DatasetError(f"its box {left},{top} {width}x{height} is not inside the photograph")
    words = said.get("rle", "").split(",")
    try:
        runs = np.array([int(word) for word in words], np.int64)
    except (ValueError, OverflowError) as error:
        raise DatasetError("its run lengths are no whole numbers") from error
    if runs.min() < 0 or runs.max() > width * height or runs.sum() != width * height:
        raise DatasetError(f"its run lengths do not add up to its box, {width}x{height}")
    mask = np.zeros(size, bool)
    inside = np.repeat(np.arange(len(runs)) % 2 > 0, runs).reshape(height, width)
    mask[top : top + height, left : left + width] = inside
    return mask


def _ellipse(said: dict[str, str], size: Size) -> Bool[np.ndarray, "h w"]:
    names = ("cx", "cy", "rx", "ry")
    cx, cy, rx, ry = _points(";".join(said.get(name, "") for name in names))
    (angle,) = _points(said.get("rotation", "0"))
    if not (max(map(abs, (cx, cy, rx, ry, angle))) <= 1e6 and min(rx, ry) > 0):
        raise DatasetError("its centre and radii are no sane numbers")
    rows, columns = np.ogrid[: size[0], : size[1]]
    turn = np.deg2rad(angle)
    x, y = columns + 0.5 - cx, rows + 0.5 - cy
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return np.asarray((along / rx) ** 2 + (across / ry) ** 2 <= 1)

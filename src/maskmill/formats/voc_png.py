"""PNG label maps as in PASCAL VOC: one number per pixel, for the class and for the object.

`SegmentationClass/` and `SegmentationObject/` hold a PNG per photograph of `JPEGImages/`. Where
both are there, each object gets the class that most of its pixels have; with classes alone, all
pixels of a class are one mask; with objects alone, masks have no category. 255 of an 8-bit map is
"do not care" and no object. `labelmap.txt` (`name:r,g,b:parts:actions`, as CVAT writes it) or
`class_names.txt` names the classes; the maps of a `labelmap.txt` may be in its colours instead of
numbers. `voc_png_writer` writes it.

Source: host.robots.ox.ac.uk/pascal/VOC/voc2012, development kit, section 6.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from maskmill.errors import DatasetError, ImageError
from maskmill.formats.checks import checked_size, short, text_or_none
from maskmill.formats.files import read_text
from maskmill.formats.label_maps import Map, majority, masks_of_map
from maskmill.formats.labelled import Dataset, LabelledImage, LabelledMask, Refused, collected
from maskmill.formats.photograph import upright
from maskmill.images import list_images, read_image

CLASS_FOLDER, OBJECT_FOLDER, PHOTOGRAPH_FOLDER = (
    "SegmentationClass",
    "SegmentationObject",
    "JPEGImages",
)
VOID = 255
"""The number in an 8-bit map for pixels that nobody should count."""
VOID_COLOUR = (224, 224, 192)
"""The same in a map of colours."""
VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
"""PASCAL VOC's classes 1 to 20, which its own maps do not name."""
_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_TEXT = 1 << 24


@dataclass(frozen=True)
class _Labels:
    """What the numbers and the colours of class maps mean."""

    names: dict[int, str]
    numbers: dict[int, int]
    """Class numbers by colour, packed as 0xRRGGBB; empty where no file names colours."""


def read_voc_png(folder: Path, images: Path | None = None) -> Dataset:
    """Read PNG label maps; `stream_voc_png` as a whole, the images sorted by path."""
    return collected(stream_voc_png(folder, images))


def stream_voc_png(folder: Path, images: Path | None = None) -> Iterator[LabelledImage | Refused]:
    """Read PNG label maps photograph by photograph.

    Args:
        folder: The folder that holds `SegmentationClass`, `SegmentationObject` or both.
        images: The folder that holds the photographs; None is `JPEGImages` beside them.

    Yields:
        The images that have a map, sorted by name, and what was refused: damaged maps, maps
        without a photograph, maps of two sizes.

    Raises:
        DatasetError: If there is no folder with maps or none with photographs.
    """
    maps = [folder / name for name in (CLASS_FOLDER, OBJECT_FOLDER) if (folder / name).is_dir()]
    photographs = images or folder / PHOTOGRAPH_FOLDER
    if not maps or not photographs.is_dir():
        raise DatasetError(
            f"{folder} holds no label maps; expected {CLASS_FOLDER} or {OBJECT_FOLDER}, and "
            f"photographs in {PHOTOGRAPH_FOLDER}"
        )
    labels = _read_labels(folder)
    by_stem = {_stem(path, photographs): path for path in list_images(photographs)}
    splits = _read_splits(folder)
    stems = {_stem(path, place) for place in maps for path in list_images(place)}
    for stem in sorted(stems):
        try:
            if stem not in by_stem:
                raise DatasetError("no photograph has the name of this map")
            yield _image(folder, stem, by_stem[stem], labels, splits.get(stem))
        except (DatasetError, ImageError) as error:
            yield Refused(maps[0] / f"{stem}.png", str(error))


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _image(
    folder: Path, stem: str, photograph: Path, labels: _Labels, split: str | None
) -> LabelledImage:
    classes = _read_map(folder / CLASS_FOLDER / f"{stem}.png", labels.numbers)
    objects = _read_map(folder / OBJECT_FOLDER / f"{stem}.png", {})
    first = objects if objects is not None else classes
    if first is None:
        raise DatasetError("its map is no PNG")
    if classes is not None and classes.shape != first.shape:
        raise DatasetError(f"its maps are of two sizes, {classes.shape} and {first.shape}")
    masks = []
    ignore = (0, VOID) if first.dtype == np.uint8 else (0,)
    for number, mask in masks_of_map(first, ignore).items():
        class_number = 0 if classes is None else majority(classes, mask)
        category = labels.names.get(class_number, str(class_number)) if class_number else None
        masks.append(LabelledMask(rle=mask, category=category, annotation_id=number))
    image = LabelledImage(
        image_id=stem,
        path=photograph,
        size=checked_size(*first.shape),
        source=folder.absolute().name,
        split=split,
        annotations=tuple(masks),
    )
    return upright(image)


def _read_map(path: Path, colours: dict[int, int]) -> Map | None:
    """Read a map as numbers; None if there is no such file."""
    if not path.is_file():
        return None
    # Through the same gate as photographs: it knows what is damaged and what is too large.
    rgb = read_image(path)
    if not path.read_bytes().startswith(_PNG):
        raise DatasetError(f"its map {path.name} is no PNG, whatever its name says; save it as PNG")
    with Image.open(path, formats=["PNG"]) as image:
        if image.mode in ("P", "L", "I;16", "I;16B", "I"):
            values = np.asarray(image)
            return np.asarray(values if values.dtype == np.uint8 else values.astype(np.int64))
        if image.mode == "1":
            return np.asarray(image).astype(np.uint8)
    packed = (rgb.astype(np.int64) << (16, 8, 0)).sum(axis=2)
    packed[packed == _pack(VOID_COLOUR)] = 0
    if not colours:
        return np.asarray(packed)
    found, place = np.unique(packed, return_inverse=True)
    unknown = [f"{colour:06x}" for colour in found.tolist() if colour and colour not in colours]
    if unknown:
        raise DatasetError(f"its map has colours that labelmap.txt does not name: {unknown[:5]}")
    numbers = np.array([colours.get(colour, 0) for colour in found.tolist()])
    return np.asarray(numbers[place].reshape(packed.shape))


def _pack(colour: tuple[int, ...]) -> int:
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def _read_labels(folder: Path) -> _Labels:
    path = folder / "labelmap.txt"
    if path.is_file():
        return _parse_labelmap(read_text(path, _MAX_TEXT))
    for path in (folder / "class_names.txt", folder / "labels.txt"):
        if path.is_file():
            names = [name.strip() for name in read_text(path, _MAX_TEXT).splitlines()]
            names = [name for name in names if name and name != "__ignore__"]
            return _Labels(dict(enumerate(names)), {})
    # Without a list, the numbers are VOC's if the folders are VOC's.
    is_voc = (folder / "ImageSets" / "Segmentation").is_dir() and (folder / "Annotations").is_dir()
    return _Labels(dict(enumerate(VOC_CLASSES, 1)) if is_voc else {}, {})


def _parse_labelmap(text: str) -> _Labels:
    names: dict[int, str] = {}
    colours: dict[int, int] = {}
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    # Background comes first and is 0, but not every tool lists it.
    first = 0 if lines and lines[0].split(":")[0] == "background" else 1
    for number, line in enumerate(lines, first):
        # A class's name may hold a colon itself; what follows it has three.
        name, *rest = line.rsplit(":", 3)
        names[number] = text_or_none(name, "name") or ""
        if len(rest) == 3 and rest[0]:
            try:
                colour = tuple(int(part) for part in rest[0].split(","))
                colours[_pack(colour)] = number
            except ValueError as error:
                raise DatasetError(f"labelmap.txt: {short(line)} has no colour r,g,b") from error
    return _Labels(names, colours)


def _read_splits(folder: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    lists = folder / "ImageSets" / "Segmentation"
    # `trainval` says nothing that the others do not; the default list of CVAT names no split.
    for split in ("test", "val", "train"):
        path = lists / f"{split}.txt"
        if path.is_file():
            splits |= {line.strip(): split for line in read_text(path, _MAX_TEXT).splitlines()}
    return splits

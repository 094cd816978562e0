"""Writes PNG label maps as in PASCAL VOC: classes, objects, photographs, and the list of classes.

A map holds one number per pixel, so where masks overlap the smaller one lies on top, and how many
lost pixels is said. Maps of up to 254 numbers are 8-bit with VOC's colours, larger ones 16-bit.
"""

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.label_maps import Map
from maskmill.formats.labelled import LabelledImage
from maskmill.formats.voc_png import CLASS_FOLDER, OBJECT_FOLDER, PHOTOGRAPH_FOLDER
from maskmill.formats.writing import (
    Names,
    Tally,
    Written,
    copy_photograph,
    note_orientation,
    replacing,
    write_text,
)
from maskmill.rle_batch import areas

NO_CATEGORY = "object"
"""The class of masks without a category."""
_HELD = frozenset({"split", "category"})
_MOST_OF_8_BIT, _MOST_OF_16_BIT = 254, 65_534  # the highest number is VOC's "do not care"


def write_voc_png(
    out: Path,
    images: Iterable[LabelledImage],
    *,
    copy_images: bool = True,
    categories: Sequence[str] = (),
) -> Written:
    """Write `SegmentationClass`, `SegmentationObject`, `JPEGImages`, the splits and `labelmap.txt`.

    Args:
        out: The folder; files of the same names are replaced.
        images: What to write.
        copy_images: Copy the photographs; if not, the reader must be told where they are.
        categories: Names that get the numbers 1, 2 and so on, in this order; others follow.

    Returns:
        How much was written; a mask that is covered whole by others is not counted.

    Raises:
        DatasetError: If a photograph is gone, or there are more masks or classes than 16 bits hold.
        MaskError: If a mask is malformed.
    """
    tally = Tally()
    names = Names(tally)
    numbers = {name: i for i, name in enumerate(categories, 1)}
    splits: dict[str, list[str]] = {}
    for image in images:
        name = names.flat(image) if copy_images else _named_as_it_is(image, names)
        if copy_images:
            copy_photograph(image, out / PHOTOGRAPH_FOLDER / name)
        stem = Path(name).stem
        objects, classes = _paint(image, numbers, tally)
        _write_map(out / OBJECT_FOLDER / f"{stem}.png", objects)
        _write_map(out / CLASS_FOLDER / f"{stem}.png", classes)
        splits.setdefault(image.split or "default", []).append(stem)
        note_orientation(image, tally)
        tally.note_missing(image, _HELD)
        tally.images += 1
    for split, stems in splits.items():
        listed = "".join(f"{stem}\n" for stem in stems)
        write_text(out / "ImageSets" / "Segmentation" / f"{_safe(split)}.txt", listed)
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    for name, number in numbers.items():
        red, green, blue = voc_colour(number)
        lines.append(f"{name}:{red},{green},{blue}::")
    write_text(out / "labelmap.txt", "\n".join(lines) + "\n")
    return tally.written()


def voc_colour(number: int) -> tuple[int, int, int]:
    """Return VOC's colour of a number: its bits, dealt out in turn to red, green and blue.

    Example:
        >>> voc_colour(1), voc_colour(15)
        ((128, 0, 0), (192, 128, 128))
    """
    colour = [0, 0, 0]
    for place in range(24):
        colour[place % 3] |= (number >> place & 1) << (7 - place // 3)
    red, green, blue = colour
    return red, green, blue


def _named_as_it_is(image: LabelledImage, names: Names) -> str:
    """Keep a photograph's name, by which the reader finds it; there must be no second one."""
    name = names.flat(image)
    if Path(name).stem != image.path.stem:
        raise DatasetError(
            f"two photographs are called {image.path.stem}; copy them, so that they can be renamed"
        )
    return name


def _safe(split: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in split)


def _paint(image: LabelledImage, numbers: dict[str, int], tally: Tally) -> tuple[Map, Map]:
    """Paint an image's masks, the largest first, as objects and as classes."""
    masks = image.annotations
    objects, classes = (np.zeros(image.size, np.uint32) for _ in range(2))
    sizes = areas([mask.rle for mask in masks])
    for i in np.argsort(-sizes, kind="stable").tolist():
        category = masks[i].category
        if category is None:
            tally.note(f"no category: written as {NO_CATEGORY!r}")
        pixels = rle.decode(masks[i].rle)
        objects[pixels] = i + 1
        classes[pixels] = numbers.setdefault(category or NO_CATEGORY, len(numbers) + 1)
    left = np.bincount(objects.ravel(), minlength=len(masks) + 1)[1:]
    tally.note("overlap given to the smaller mask", int((left < sizes).sum()))
    tally.note("covered whole by others: left out", int((left == 0).sum()))
    tally.masks += int((left > 0).sum())
    return objects, classes


def _write_map(path: Path, numbers: Map) -> None:
    most = int(numbers.max())
    if most > _MOST_OF_16_BIT:
        raise DatasetError(f"{path.name} needs the number {most}; a map holds {_MOST_OF_16_BIT}")
    if most <= _MOST_OF_8_BIT:
        picture = Image.fromarray(numbers.astype(np.uint8)).convert("P")
        picture.putpalette([part for i in range(256) for part in voc_colour(i)])
    else:
        picture = Image.fromarray(numbers.astype(np.uint16))
    stream = BytesIO()
    picture.save(stream, "PNG")
    with replacing(path, sync=False) as file:
        file.write(stream.getvalue())

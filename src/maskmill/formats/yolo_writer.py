"""Writes YOLO segmentation: outlines along the edges of pixels, one line per mask.

A line is one ring and no more. Holes and further parts are joined to it by bridges of no width, so
that filling the ring by the even-odd rule gives every pixel back. What a line cannot say is
counted.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from maskmill import rle
from maskmill.formats.contours import one_ring, outlines
from maskmill.formats.labelled import LabelledImage, LabelledMask
from maskmill.formats.writing import (
    Names,
    Tally,
    Written,
    copy_photograph,
    note_orientation,
    write_text,
)

NO_CATEGORY = "object"
"""The class of masks without a category."""
_HELD = frozenset({"split", "category"})


def write_yolo(
    out: Path,
    images: Iterable[LabelledImage],
    *,
    copy_images: bool = True,
    categories: Sequence[str] = (),
) -> Written:
    """Write `images/<split>`, `labels/<split>` and `data.yaml`.

    Args:
        out: The folder; files of the same names are replaced.
        images: What to write; those without a split go to `train`.
        copy_images: Copy the photographs; if not, put them where `data.yaml` says, for YOLO finds
            labels by the place of their photograph.
        categories: Names that get the numbers 0, 1 and so on, in this order; others follow.

    Returns:
        How much was written.

    Raises:
        DatasetError: If a photograph is gone.
        MaskError: If a mask is malformed.
    """
    import yaml

    tally = Tally()
    names = Names(tally)
    numbers = {name: i for i, name in enumerate(categories)}
    splits: set[str] = set()
    for image in images:
        split = _folder_of(image, tally)
        splits.add(split)
        name = names.flat(image)
        if copy_images:
            copy_photograph(image, out / "images" / split / name)
        lines = [_line(mask, numbers, tally) for mask in image.annotations]
        label = (out / "labels" / split / name).with_suffix(".txt")
        write_text(label, "".join(lines))
        note_orientation(image, tally)
        tally.note_missing(image, _HELD)
        tally.images += 1
        tally.masks += len(lines)
    said = {split: f"images/{split}" for split in ("train", "val", "test") if split in splits}
    # YOLO wants both; the one that is missing is the other.
    said.setdefault("train", said.get("val", "images/train"))
    said.setdefault("val", said["train"])
    said_names = {"names": {i: name for name, i in numbers.items()}}
    write_text(out / "data.yaml", yaml.safe_dump(said | said_names, allow_unicode=True))
    return tally.written()


def _folder_of(image: LabelledImage, tally: Tally) -> str:
    if image.split in ("train", "val", "test"):
        return image.split
    if image.split is not None:
        tally.note(f"split {image.split!r} is none of YOLO's: put into train", unit="image")
    return "train"


def _line(mask: LabelledMask, numbers: dict[str, int], tally: Tally) -> str:
    if mask.category is None:
        tally.note(f"no category: written as {NO_CATEGORY!r}")
    number = numbers.setdefault(mask.category or NO_CATEGORY, len(numbers))
    parts = outlines(rle.decode(mask.rle))
    holes = [hole for part in parts for hole in part.holes]
    tally.note("holes joined to the outline by bridges of no width", int(bool(holes)))
    tally.note("several parts joined by bridges of no width", int(len(parts) > 1))
    ring = one_ring([*(part.exterior for part in parts), *holes])
    height, width = mask.rle.size
    # Nine digits place a corner to a ten-thousandth of a pixel on the largest photograph.
    shares = (f"{x / width:.9g} {y / height:.9g}" for x, y in ring.tolist())
    return f"{number} {' '.join(shares)}\n"

"""The records that every dataset form is read into, and the checks that all forms share.

Reading touches no pixels: a record holds run lengths and the path of its photograph, so thousands
of images cost a few megabytes. `read_pixels` opens one photograph when it is needed, and only then
is its size compared with what the file claimed. Sizes are (H, W), pixels of the original image.
"""

import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from jaxtyping import UInt8

from maskmill import rle
from maskmill.errors import DatasetError, MaskError
from maskmill.images import read_image
from maskmill.rle import MAX_AREA, MAX_SIDE, Rle


@dataclass(frozen=True, kw_only=True)
class LabelledMask:
    """One object's mask as somebody labelled it.

    Attributes:
        rle: The mask, at the size of its image; never empty.
        category: What kind of object, where the dataset says so.
        is_crowd: Whether it stands for a group too dense to be taken apart (COCO's `iscrowd`).
        annotation_id: The file's own number for it.
    """

    rle: Rle
    category: str | None = None
    is_crowd: bool = False
    annotation_id: int | str | None = None


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """One photograph and its labelled masks.

    Attributes:
        image_id: The dataset's own name for it.
        path: The photograph; it existed when the dataset was read.
        size: (H, W) that the file claims, which all masks share.
        source: Where it comes from: the name of the folder that held its labels.
        split: `train`, `val` or whatever the dataset says; None where it says nothing.
        group: Images of one scene or subject share it and must stay on one side of a split.
        annotations: The masks, in the file's order.
    """

    image_id: str
    path: Path
    size: tuple[int, int]
    source: str
    split: str | None = None
    group: str | None = None
    annotations: tuple[LabelledMask, ...] = ()


@dataclass(frozen=True)
class Refused:
    """Something that was left out while the rest was read."""

    path: Path
    """The file that held it."""
    reason: str
    """What is wrong with it, in words."""


@dataclass(frozen=True)
class Dataset:
    """What was read from a folder or file: the images in a fixed order, and what was left out."""

    images: tuple[LabelledImage, ...]
    """Sorted by path, so that two machines agree."""
    refused: tuple[Refused, ...] = ()
    """Files and annotations that could not be used."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __iter__(self) -> Iterator[LabelledImage]:
        """Iterate over the images."""
        return iter(self.images)

    def __getitem__(self, index: int) -> LabelledImage:
        """Return one image by its place."""
        return self.images[index]


def even_sample(images: Iterable[LabelledImage], limit: int | None) -> list[LabelledImage]:
    """Take some images, the same every time and as evenly over the sources as they allow.

    Sources take turns; within a source the images are spread over its whole length, so that one
    video's neighbouring frames are not all of the sample.

    Args:
        images: Where to take from.
        limit: How many to take; None takes all.

    Returns:
        At most `limit` images, in the order in which they came.

    Raises:
        ValueError: If `limit` is below 1.
    """
    everything = list(images)
    if limit is None or limit >= len(everything):
        return everything
    if limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1")
    places: dict[str, list[int]] = defaultdict(list)
    for place, image in enumerate(everything):
        places[image.source].append(place)
    quota = _fair_shares({source: len(p) for source, p in places.items()}, limit)
    chosen = [
        p[(2 * i + 1) * len(p) // (2 * quota[source])]
        for source, p in places.items()
        for i in range(quota[source])
    ]
    return [everything[place] for place in sorted(chosen)]


def _fair_shares(stock: dict[str, int], limit: int) -> dict[str, int]:
    shares = dict.fromkeys(stock, 0)
    while limit:
        for name in sorted(stock):
            if limit and shares[name] < stock[name]:
                shares[name] += 1
                limit -= 1
    return shares


def read_pixels(image: LabelledImage) -> UInt8[np.ndarray, "h w 3"]:
    """Open a labelled photograph and make sure that its masks fit it.

    Returns:
        RGB pixels, EXIF orientation applied.

    Raises:
        ImageError: If the file cannot be used as an image.
        DatasetError: If its size is not the one that the labels were drawn for.
    """
    pixels = read_image(image.path)
    if pixels.shape[:2] != image.size:
        height, width = pixels.shape[:2]
        raise DatasetError(
            f"{image.path} is {width}x{height} pixels, its labels were drawn for "
            f"{image.size[1]}x{image.size[0]}; restore the original photograph or scale the labels"
        )
    return pixels


def checked_mask(segmentation: Any, size: tuple[int, int]) -> Rle:
    """Check run lengths that a file claims for an image.

    Args:
        segmentation: `{"size": [H, W], "counts": ...}`, counts compressed or as a list.
        size: (H, W) of the image, pixels.

    Returns:
        The mask. Compressed run lengths are kept as they were written: they are checked, but not
        brought into canonical form, which would triple the time that a large dataset takes to read.

    Raises:
        DatasetError: If they are malformed, of another size, or no pixel is set.
    """
    if not isinstance(segmentation, dict):
        raise DatasetError("no run lengths under `segmentation`")
    claimed, counts = segmentation.get("size"), segmentation.get("counts")
    try:
        if claimed == list(size) and isinstance(counts, str) and counts.isascii():
            mask = Rle(size, counts.encode("ascii"))
        else:
            mask = Rle.from_json(segmentation)
        pixels = rle.area(mask)
    except MaskError as error:
        raise DatasetError(str(error)) from error
    if mask.size != size:
        raise DatasetError(f"its size {mask.size} is not the image's {size}")
    if not pixels:
        raise DatasetError("an empty mask")
    return mask


def checked_size(height: Any, width: Any) -> tuple[int, int]:
    """Check an image size that a file claims.

    Returns:
        (H, W), pixels.

    Raises:
        DatasetError: If a side is not a whole number, is below 1 or is absurdly large.
    """
    for name, side in (("height", height), ("width", width)):
        # True is an int to Python; `1e308` and NaN are floats that JSON lets through.
        if isinstance(side, bool) or not isinstance(side, int) or not 1 <= side <= MAX_SIDE:
            raise DatasetError(
                f"{name} is {_short(side)}; it must be a whole number from 1 to {MAX_SIDE}"
            )
    if height * width > MAX_AREA:
        raise DatasetError(f"{width}x{height} pixels are more than the {MAX_AREA} allowed")
    return height, width


def path_inside(folder: Path, file_name: Any) -> Path:
    """Join a file name out of a file to its folder, refusing every way out of it.

    Links that lie in the folder are followed: whoever owns the folder put them there.

    Raises:
        DatasetError: If the name is not text, is empty, absolute or climbs with `..`.

    Example:
        >>> path_inside(Path("photos"), "a/b.jpg").as_posix()
        'photos/a/b.jpg'
        >>> path_inside(Path("photos"), "../secret.jpg")
        Traceback (most recent call last):
        maskmill.errors.DatasetError: file name '../secret.jpg' leads out of the dataset's folder
    """
    if not isinstance(file_name, str) or not file_name or "\0" in file_name:
        raise DatasetError(f"file name {_short(file_name)} is not a file's name")
    posix, windows = PurePosixPath(file_name), PureWindowsPath(file_name)
    # A Windows path is refused everywhere: a dataset must mean the same on every machine.
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise DatasetError(f"file name {_short(file_name)} leads out of the dataset's folder")
    return folder / posix


def photograph_in(folder: Path, file_name: Any) -> Path:
    """Find the photograph that a file names, inside its folder.

    Raises:
        DatasetError: As `path_inside`, and if there is no such file.
    """
    path = path_inside(folder, file_name)
    try:
        found = path.is_file()
    except OSError:  # a name longer than the file system allows
        found = False
    if not found:
        raise DatasetError(f"its photograph {_short(file_name)} is missing")
    return path


def load_json(path: Path, max_bytes: int | None = None) -> Any:
    """Parse a JSON file that anybody may have written.

    Args:
        path: The file.
        max_bytes: Largest file that is read; None reads any.

    Raises:
        DatasetError: If it cannot be read, is too large or is not JSON; the message names the file.
    """
    try:
        if max_bytes is not None and path.stat().st_size > max_bytes:
            raise DatasetError(f"{path} is larger than {max_bytes} bytes; is it one image's file?")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        # ValueError is also what wrong UTF-8 and numbers of 5,000 digits raise.
        raise DatasetError(f"{path} is not JSON: {_short(str(error))}") from error


def find_json(folder: Path) -> list[Path]:
    """List the JSON files below a folder, linked folders included, hidden ones not.

    Raises:
        DatasetError: If the folder does not exist.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; name the folder that holds the dataset")
    found: list[Path] = []
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        here = os.path.realpath(root)
        if here in seen:  # a link that leads back up would be walked for ever
            folders.clear()
            continue
        seen.add(here)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, f) for f in files if f.endswith(".json") and not f.startswith(".")]
    return sorted(found)


def keep_source(name: str, sources: Collection[str] | None) -> bool:
    """Tell whether a source is wanted; None wants all."""
    return sources is None or name in sources


def _short(value: Any) -> str:
    # A hostile value must not fill the screen of whoever reads the message.
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

"""Checks that every dataset form shares: nothing that a file claims is believed before.

What is wrong raises DatasetError with the value and what is allowed; the reader of the form says
which item it was and goes on with the next one.
"""

import math
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

from maskmill import rle
from maskmill.errors import DatasetError, MaskError
from maskmill.rle import MAX_AREA, MAX_SIDE, Rle
from maskmill.rle_batch import areas_and_boxes

MAX_NUMBER = 1e15
"""Largest number that a score or a coordinate may be; beyond it floats skip whole numbers."""
MAX_DEPTH = 16
"""How deep lists and objects may lie in what a file says besides; deeper is damage or an attack."""

_SCORES = ("predicted_iou", "stability_score", "point_coords", "crop_box")


Shape = tuple[int, int, int, int, int]
"""A mask's area, and its half-open XYXY box; pixels."""


class Checked(NamedTuple):
    """A mask that was checked, and so measured."""

    rle: Rle
    shape: Shape


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
    mask = _claimed(segmentation, size)
    try:
        pixels = rle.area(mask)
    except MaskError as error:
        raise DatasetError(str(error)) from error
    if not pixels:
        raise DatasetError("an empty mask")
    return mask


def checked_masks(
    segmentations: Sequence[Any], sizes: Sequence[tuple[int, int]]
) -> list[Checked | DatasetError]:
    """Check the run lengths of many masks; as `checked_mask` for each, but much faster.

    Args:
        segmentations: One object per mask.
        sizes: (H, W) of each one's image, pixels.

    Returns:
        For each the mask, or why it is refused.
    """
    claimed = [_claimed_or_why(*pair) for pair in zip(segmentations, sizes, strict=True)]
    try:
        return _measured(claimed)
    except MaskError:  # one is damaged: find out which
        sound = [_sound_or_why(one) for one in claimed]
        return _measured(sound)


def _measured(masks: Sequence[Rle | DatasetError]) -> list[Checked | DatasetError]:
    sound = [one for one in masks if isinstance(one, Rle)]
    areas, boxes = areas_and_boxes(sound)
    shapes = zip(areas.tolist(), *boxes.T.tolist(), strict=True)
    measured = map(Checked, sound, shapes)
    found = [next(measured) if isinstance(one, Rle) else one for one in masks]
    if areas.all():
        return found
    empty = DatasetError("an empty mask")
    return [empty if isinstance(one, Checked) and not one.shape[0] else one for one in found]


def _claimed_or_why(segmentation: Any, size: tuple[int, int]) -> Rle | DatasetError:
    try:
        return _claimed(segmentation, size)
    except DatasetError as error:
        return error


def _sound_or_why(mask: Rle | DatasetError) -> Rle | DatasetError:
    if isinstance(mask, DatasetError):
        return mask
    try:
        rle.area(mask)
    except MaskError as error:
        return DatasetError(str(error))
    return mask


def _claimed(segmentation: Any, size: tuple[int, int]) -> Rle:
    """Return the mask that a file claims, its compressed run lengths not looked at yet."""
    if not isinstance(segmentation, dict):
        raise DatasetError("no run lengths under `segmentation`")
    counts = segmentation.get("counts")
    if segmentation.get("size") == list(size) and isinstance(counts, str) and counts.isascii():
        return Rle(size, counts.encode("ascii"))
    try:
        mask = Rle.from_json(segmentation)
    except MaskError as error:
        raise DatasetError(str(error)) from error
    if mask.size != size:
        raise DatasetError(f"its size {mask.size} is not the image's {size}")
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
                f"{name} is {short(side)}; it must be a whole number from 1 to {MAX_SIDE}"
            )
    if height * width > MAX_AREA:
        raise DatasetError(f"{width}x{height} pixels are more than the {MAX_AREA} allowed")
    return height, width


def number_or_none(entry: dict[str, Any], key: str) -> float | None:
    """Read a number that may be missing.

    Raises:
        DatasetError: If it is no finite number.
    """
    value = entry.get(key)
    if value is None:
        return None
    return finite(value, key)


def finite(value: Any, name: str) -> float:
    """Check a number from outside; `name` is what to call it.

    Raises:
        DatasetError: If it is no number, not finite, or too large for a float.
    """
    if type(value) is float and -MAX_NUMBER <= value <= MAX_NUMBER:  # as nearly all
        return value
    # Compared as Python numbers, for an int may exceed any float; and no comparison holds for NaN.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and abs(value) <= MAX_NUMBER:
        return float(value)
    raise DatasetError(f"{name} is {short(value)}; it must be a finite number")


def is_crowd(entry: dict[str, Any]) -> bool:
    """Read COCO's `iscrowd`, which may be missing.

    Raises:
        DatasetError: If it is neither 0 nor 1.
    """
    value = entry.get("iscrowd")
    if value is None or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise DatasetError(f"iscrowd is {short(value)}; it must be 0 or 1")


def scores(entry: dict[str, Any]) -> dict[str, Any]:
    """Read what SA-1B says of a mask besides its run lengths.

    Returns:
        Those of LabelledMask's `predicted_iou`, `stability_score`, `point_coords` and `crop_box`
        that are there.

    Raises:
        DatasetError: If one of them is no finite number, or no list of them.
    """
    out: dict[str, Any] = {}
    if entry.keys().isdisjoint(_SCORES):  # as in nearly every file that is not SA-1B
        return out
    for key in ("predicted_iou", "stability_score"):
        if key in entry:
            out[key] = number_or_none(entry, key)
    if entry.get("point_coords") is not None:
        out["point_coords"] = _points(entry["point_coords"])
    if entry.get("crop_box") is not None:
        x, y, w, h = _numbers(entry["crop_box"], 4, "crop_box")
        out["crop_box"] = (x, y, x + w, y + h)
    return out


def _points(value: Any) -> tuple[tuple[float, float], ...]:
    if not isinstance(value, list):
        raise DatasetError(f"point_coords is {short(value)}; it must be a list of [x, y]")
    points = []
    for point in value:
        x, y = _numbers(point, 2, "point_coords")
        points.append((x, y))
    return tuple(points)


def _numbers(value: Any, amount: int, name: str) -> list[float]:
    if not isinstance(value, list) or len(value) != amount:
        raise DatasetError(f"{name} holds {short(value)}; it must be {amount} numbers")
    return [finite(one, name) for one in value]


def rest_of(entry: dict[str, Any], known: Set[str], bag: str) -> dict[str, Any]:
    """Gather what an object says beyond the keys that its form knows.

    Args:
        entry: The object.
        known: Keys to leave out.
        bag: A key under which tools put an object of such things; it is spread out.

    Returns:
        Keys and values, in JSON's types.

    Raises:
        DatasetError: If a value could not be written as JSON again, or lies too deep.
    """
    if entry.keys() <= known:
        return {}
    out = {key: entry[key] for key in entry.keys() - known}
    inner = out.pop(bag, None)
    if isinstance(inner, dict):
        out.update(inner)
    elif inner:  # no object: kept as it is
        out[bag] = inner
    if out and not _is_plain(out, MAX_DEPTH):
        raise DatasetError(
            f"what it says besides ({short(sorted(out))}) holds NaN, an infinite number, text that "
            f"is not Unicode, or lists deeper than {MAX_DEPTH}"
        )
    return dict(sorted(out.items()))


def _is_plain(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return _is_unicode(value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(one, depth - 1) for one in value)
    if isinstance(value, dict):
        return depth > 0 and all(
            _is_plain(key, 0) and _is_plain(one, depth - 1) for key, one in value.items()
        )
    return True


def _is_unicode(text: str) -> bool:
    # JSON lets half of a surrogate pair through as an escape; no file and no database takes it.
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def text_or_none(value: Any, name: str = "text") -> str | None:
    """Return text as it is, and None for all else.

    Raises:
        DatasetError: If the text is not Unicode (half a surrogate pair).
    """
    if not isinstance(value, str):
        return None
    if not _is_unicode(value):
        raise DatasetError(f"{name} {value[:40]!a} is not Unicode")
    return value


def short(value: Any) -> str:
    """Name a value from outside in at most 80 characters."""
    if isinstance(value, str | bytes):
        value = value[:100]
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an endless number, or lists in lists without end
        return f"of type {type(value).__name__}, too long or nested"
    return text if len(text) <= 80 else text[:77] + "..."

"""Strokes: what a person drew on an image to say "here it is this"; JSON or PNG in, label maps out.

A stroke is a line of a width with a category; one point is a dot. Later strokes lie on top of
earlier ones, so that a correction wins over what it was drawn on, and the eraser is a stroke
without a category. Coordinates are pixels of the original image (x, y). Nothing here knows
features or a classifier.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np
from jaxtyping import Int, Int16
from PIL import Image

from maskmill.errors import PromptError

VERSION = 1
BACKGROUND = "background"
"""The category of what is nothing in particular; it makes no instances."""
UNLABELLED = -1
"""In a label map: no stroke lies here."""
PNG_UNLABELLED = 0
"""In a PNG of scribbles: no stroke lies here; value k is the k-th category, from 1."""

FARTHEST = (1 << 15) - 1
"""Points are drawn at most so far from the corner, pixels; images are up to 30,000 a side."""

_Point = tuple[float, float]


class Stroke(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line drawn on one image.

    Attributes:
        image: Name of the image's file, as it stands in its folder.
        category: What lies under it; None erases.
        points: Corners of the line (x, y), pixels of the original image; one is a dot.
        width: Pixels across.
        size: (H, W) of the image that it was drawn on, where known; another size is refused.
    """

    image: str
    category: str | None
    points: Annotated[tuple[_Point, ...], msgspec.Meta(min_length=1)]
    width: Annotated[float, msgspec.Meta(ge=1, le=512)] = 3
    size: tuple[int, int] | None = None


class Scribbles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All strokes of a project, and the categories they may have, in their order.

    Attributes:
        categories: Names; their places are the values of label maps.
        strokes: In the order in which they were drawn.
        version: Of this form of file.
    """

    categories: tuple[str, ...]
    strokes: tuple[Stroke, ...] = ()
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise PromptError(f"version {self.version} of strokes is not known; write {VERSION}")
        if len(set(self.categories)) != len(self.categories):
            raise PromptError(f"a category is named twice in {list(self.categories)}; name it once")
        for place, stroke in enumerate(self.strokes):
            if stroke.category is not None and stroke.category not in self.categories:
                raise PromptError(
                    f"stroke {place} is of category {stroke.category!r}, which is none of "
                    f"{list(self.categories)}; add the category or remove its strokes"
                )
            if not np.isfinite(stroke.points).all():
                raise PromptError(f"stroke {place} has a point that is not finite; remove it")

    def images(self) -> list[str]:
        """Return the names of the images that carry strokes, in the order of their first."""
        return list(dict.fromkeys(stroke.image for stroke in self.strokes))


def read_scribbles(path: Path) -> Scribbles:
    """Read strokes from a JSON file.

    Raises:
        PromptError: If the file is missing or is not of this form; the message says where.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Scribbles)
    except OSError as error:
        raise PromptError(f"cannot read {path}: {error.strerror}; check the path") from error
    except (msgspec.DecodeError, PromptError) as error:  # a ValidationError is a DecodeError
        raise PromptError(
            f"{path} holds no strokes: {error}; docs/visual-prompting.md shows one"
        ) from error


def to_json(scribbles: Scribbles) -> bytes:
    """Write strokes as JSON, one stroke a line."""
    head = {"version": scribbles.version, "categories": list(scribbles.categories)}
    lines = [json.dumps(msgspec.to_builtins(stroke)) for stroke in scribbles.strokes]
    text = json.dumps(head)[:-1] + ', "strokes": [\n' + ",\n".join(lines) + "\n]}\n"
    return text.encode()


def draw(
    strokes: Iterable[Stroke], categories: Sequence[str], size: tuple[int, int]
) -> Int16[np.ndarray, "h w"]:
    """Draw the strokes of one image as a label map.

    Args:
        strokes: Of this image, in the order in which they were drawn.
        categories: Names; a label is a place in here.
        size: (H, W) of the image, pixels.

    Returns:
        Place of the category of the topmost stroke, `UNLABELLED` where there is none.

    Raises:
        PromptError: If a stroke was drawn on an image of another size, or lies wholly outside.

    Example:
        >>> dot = Stroke(image="a.jpg", category="crack", points=((1, 0),), width=1)
        >>> draw([dot], ["background", "crack"], (2, 3)).tolist()
        [[-1, 1, -1], [-1, -1, -1]]
    """
    labels = np.full(size, UNLABELLED, np.int16)
    for stroke in strokes:
        if stroke.size is not None and stroke.size != tuple(size):
            raise PromptError(
                f"{stroke.image} is {size[1]} x {size[0]} pixels, its strokes were drawn on "
                f"{stroke.size[1]} x {stroke.size[0]}; draw them again or restore the image"
            )
        value = UNLABELLED if stroke.category is None else categories.index(stroke.category)
        if not _draw(labels, stroke, value):
            raise PromptError(
                f"a stroke at {stroke.points[0]} lies outside of {stroke.image}, which is "
                f"{size[1]} x {size[0]} pixels; remove it"
            )
    return labels


def _draw(labels: Int16[np.ndarray, "h w"], stroke: Stroke, value: int) -> bool:
    """Draw one stroke; tell whether any of it lies on the image."""
    height, width = labels.shape
    # OpenCV takes whole pixels; far-off points would overflow, and nothing of them is seen.
    points = np.clip(np.floor(stroke.points), -FARTHEST, FARTHEST).astype(np.int32)
    line = np.ones((height, width), np.uint8)
    points = points if len(points) > 1 else np.repeat(points, 2, axis=0)
    cv2.polylines(line, [points.reshape(-1, 1, 2)], False, 0)
    if line.all():
        return False
    # OpenCV's own thick lines are up to two pixels wider than asked for.
    away = cv2.distanceTransform(line, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    labels[away < max(stroke.width, 1) / 2] = value
    return True


def read_png(path: Path, size: tuple[int, int], categories: int) -> Int16[np.ndarray, "h w"]:
    """Read a PNG of scribbles, as other programs draw them: 0 nothing, k the k-th category.

    Args:
        path: A palette or greyscale PNG.
        size: (H, W) of the image that it belongs to.
        categories: How many there are.

    Returns:
        A label map, as `draw` returns it.

    Raises:
        PromptError: If it is no such file, of another size, mode or bit depth, or names a category
            that there is not.
    """
    try:
        with Image.open(path) as picture:
            mode, values = picture.mode, np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise PromptError(f"{path} cannot be read as a PNG of scribbles ({error})") from error
    if mode not in ("L", "P", "1", "I;16", "I"):
        raise PromptError(
            f"{path} is of mode {mode}; scribbles are one channel, greyscale or palette, "
            "in which 0 is nothing and k the k-th category"
        )
    if values.shape != tuple(size):
        raise PromptError(
            f"{path} is {values.shape[1]} x {values.shape[0]} pixels, its image is {size[1]} x "
            f"{size[0]}; save the scribbles at the image's own size"
        )
    if values.max() > categories:
        raise PromptError(
            f"{path} holds the value {values.max()}, but there are {categories} categories; "
            f"allowed: 0 (nothing) and 1 to {categories}"
        )
    return values.astype(np.int16) - 1


def write_png(path: Path, labels: Int[np.ndarray, "h w"]) -> None:
    """Write a label map as a PNG that `read_png` reads."""
    Image.fromarray((labels + 1).astype(np.uint8)).save(path)


def problems(
    labels: Mapping[str, Int16[np.ndarray, "h w"]], categories: Sequence[str]
) -> list[str]:
    """Say what about strokes will make a poor classifier, each in a sentence with the next step.

    Args:
        labels: Label map of every image that has strokes, by name.
        categories: Names.

    Returns:
        Sentences; none if nothing stands out.
    """
    counts = np.zeros(len(categories), int)
    for drawn in labels.values():
        counts += np.bincount(drawn[drawn >= 0], minlength=len(categories))
    said = [
        f"only {count} pixels are marked as {name}; draw a longer stroke"
        for name, count in zip(categories, counts, strict=True)
        if 0 < count < FEW_PIXELS
    ]
    missing = [name for name, count in zip(categories, counts, strict=True) if count == 0]
    if missing and counts.any():
        said.append(
            f"no stroke marks {', '.join(missing)}; it will be found nowhere until one does"
        )
    return said


FEW_PIXELS = 20
"""Fewer marked pixels than these say little about a category."""

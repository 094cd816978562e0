"""Prompts that another system made (a detector, a gaze tracker, a script), out of JSON.

Three forms are told apart by what they hold; docs/data-formats.md shows each:

- a list of prompts in our own form, `{"image"?, "points"?, "box"?}`, or `{"prompts": [...]}`;
- COCO results, a list of `{"image_id", "bbox", "category_id"?, "score"?}`;
- COCO annotations, `{"images": [...], "annotations": [...], "categories"?: [...]}`.

Boxes are half-open XYXY under `box` and COCO's XYWH under `bbox`; both in pixels of the original
image. Nothing here opens an image: whether a prompt lies inside it, the predictor says.
"""

import difflib
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePath
from typing import Any

import numpy as np

from maskmill.errors import PromptError
from maskmill.values import Prompt

NOTES = ("score", "category_id", "category_name")
OWN_KEYS = ("image", "points", "box", *NOTES)
READ_KEYS = (*OWN_KEYS, "image_id", "bbox")
# COCO's own keys that say nothing of prompts; `keypoints` would pass for a misspelt `points`.
COCO_KEYS = ("id", "segmentation", "area", "iscrowd", "keypoints", "num_keypoints")
COCO_TABLES = ("images", "annotations", "categories")


@dataclass(frozen=True, kw_only=True)
class NamedPrompt:
    """A prompt, which image it is for, and what its maker said about it."""

    prompt: Prompt
    """The points and box."""
    image: str | int | None = None
    """The image's file name, stem or number; None is for every image."""
    notes: dict[str, Any] = field(default_factory=dict)
    """`score`, `category_id` and `category_name` where the file has them; carried to the output."""
    where: str | None = None
    """What errors call it: its file and its place there, from 0, or the options it came from."""

    def is_for(self, path: PurePath) -> bool:
        """Tell whether this prompt belongs to an image, by its name, stem or number in the stem."""
        if self.image is None:
            return True
        if isinstance(self.image, int):
            # COCO's 139 is the file 000000000139.jpg.
            return path.stem.isdecimal() and int(path.stem) == self.image
        wanted = PurePath(self.image)
        return (
            wanted == path
            or path.parts[-len(wanted.parts) :] == wanted.parts
            or (self.image == path.stem)
        )


def parse_prompts(text: str | bytes, *, where: str = "prompts") -> list[NamedPrompt]:
    """Read prompts out of JSON text in any of the three forms.

    Args:
        text: The JSON.
        where: What to call it in an error, a file's name say.

    Returns:
        The prompts in the file's order; at least one.

    Raises:
        PromptError: If the text is not JSON, is of none of the forms, or one prompt is malformed or
            has a misspelt key; the message names that prompt by its place, from 0.

    Example:
        >>> prompt, = parse_prompts('[{"image": "a.jpg", "box": [2, 3, 9, 8]}]')
        >>> prompt.image, prompt.prompt.box.tolist()
        ('a.jpg', [2.0, 3.0, 9.0, 8.0])
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{where} is not JSON: {error}"[:200]) from error
    names: dict[Any, str] = {}
    categories: dict[Any, str] = {}
    annotations = isinstance(data, dict) and "annotations" in data
    if annotations:
        _refuse_misspelt(data, where, COCO_TABLES, COCO_TABLES)
        names = _table(data, "images", "file_name", where)
        categories = _table(data, "categories", "name", where)
        data = data["annotations"]
    elif isinstance(data, dict) and "prompts" in data:
        data = data["prompts"]
    if not isinstance(data, list) or not data:
        raise PromptError(
            f"{where} holds no prompts; give a list of objects with points or a box, or COCO boxes"
        )
    for i, entry in enumerate(data):
        _refuse_keys(entry, f"{where}: prompt {i}", coco=annotations)
    return [_prompt(e, f"{where}: prompt {i}", names, categories) for i, e in enumerate(data)]


def _table(data: dict[str, Any], key: str, value: str, where: str) -> dict[Any, str]:
    """Return COCO's `images` or `categories` by id."""
    rows = data.get(key, [])
    try:
        return {row["id"]: str(row[value]) for row in rows}
    except (TypeError, KeyError) as error:
        raise PromptError(f"{where}: every entry of {key} needs id and {value}") from error


def _refuse_keys(entry: Any, where: str, *, coco: bool) -> None:
    """Refuse a prompt that is no object, or has keys that are unknown or contradict each other."""
    if not isinstance(entry, dict):
        raise PromptError(f"{where} is not an object; give points or a box")
    for one, other in (("box", "bbox"), ("image", "image_id")):
        if entry.get(one) is not None and entry.get(other) is not None:
            raise PromptError(f"{where} has both {one} and {other}; keep one of them")
    if coco or "bbox" in entry or "image_id" in entry:
        _refuse_misspelt(entry, where, READ_KEYS, COCO_KEYS)
    elif unknown := [str(key) for key in entry if key not in OWN_KEYS]:
        near = difflib.get_close_matches(unknown[0], OWN_KEYS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(OWN_KEYS)}"
        raise PromptError(f"{where} has an unknown key {unknown[0][:40]!r}; {hint}")


def _refuse_misspelt(
    entry: dict[str, Any], where: str, read: Collection[str], passed_over: Collection[str]
) -> None:
    """Refuse a key of a COCO object that nearly is one we read; the format lets others stand."""
    missing = tuple(key for key in read if key not in entry)
    for key in entry:
        if key not in read and key not in passed_over and (near := _nearly(key, missing)):
            raise PromptError(f"{where} has an unknown key {key[:40]!r}; did you mean {near[0]}?")


@lru_cache  # a dataset has a million annotations, and the same few keys in all of them
def _nearly(key: str, known: tuple[str, ...]) -> list[str]:
    return difflib.get_close_matches(key, known, n=1, cutoff=0.8)


def _prompt(
    entry: dict[str, Any], where: str, names: dict[Any, str], categories: dict[Any, str]
) -> NamedPrompt:
    image = entry["image"] if entry.get("image") is not None else entry.get("image_id")
    if isinstance(image, bool) or not isinstance(image, str | int | None):
        raise PromptError(f"{where}: image is {str(image)[:40]}; give a file name or a number")
    if names:
        if image not in names:
            raise PromptError(f"{where}: image_id {image!r} is not among the file's images")
        image = names[image]
    for key, kinds in (("score", int | float), ("category_id", int | str), ("category_name", str)):
        if key in entry and not (isinstance(entry[key], kinds) and _sound(entry[key])):
            raise PromptError(f"{where}: {key} is {str(entry[key])[:40]}; leave it out or mend it")
    notes = {k: entry[k] for k in NOTES if k in entry}
    if notes.get("category_id") in categories:
        notes.setdefault("category_name", categories[notes["category_id"]])
    points = entry.get("points")
    try:
        # Programs write an empty list for "no points"; a 0 or a "" there is a mistake.
        given = {} if points is None or points == [] else _points(points, where)
        prompt = Prompt(**given, box=_box(entry, where))
    except PromptError as error:
        message = str(error)
        raise PromptError(message if where in message else f"{where}: {message}") from error
    return NamedPrompt(prompt=prompt, image=image, notes=notes, where=where)


def _points(points: Any, where: str) -> dict[str, Any]:
    if not isinstance(points, list) or not all(
        isinstance(p, list) and len(p) in (2, 3) and _finite(p) for p in points
    ):
        raise PromptError(
            f"{where}: points is {str(points)[:60]}; give [[x, y], ...] or [[x, y, label], ...]"
        )
    labels = [p[2] if len(p) == 3 else 1 for p in points]
    if any(label not in (0, 1) for label in labels):
        raise PromptError(
            f"{where}: labels are {labels[:8]}; use 1 for the object, 0 for what is not"
        )
    return {
        "point_coords": np.array([p[:2] for p in points], np.float32),
        "point_labels": np.array(labels, np.int64),
    }


def _box(entry: dict[str, Any], where: str) -> np.ndarray | None:
    for key in ("box", "bbox"):
        value = entry.get(key)
        if value is None:
            continue
        if not isinstance(value, list) or len(value) != 4 or not _finite(value):
            form = "[x0, y0, x1, y1]" if key == "box" else "[x, y, width, height]"
            raise PromptError(f"{where}: {key} is {str(value)[:60]}; give {form}")
        x, y, a, b = value
        return np.array([x, y, a, b] if key == "box" else [x, y, x + a, y + b], np.float32)
    return None


def _sound(value: Any) -> bool:
    """Tell whether a number may stand in JSON; words may always."""
    return not isinstance(value, float) or math.isfinite(value)


def _finite(numbers: Sequence[Any]) -> bool:
    return all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9 and math.isfinite(v)
        for v in numbers
    )

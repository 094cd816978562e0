"""Strokes and rules out of the store, in the form that learns from them and that applies them."""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from maskmill.errors import ConfigError
from maskmill.scribble.rules import RuleSet
from maskmill.scribble.strokes import BACKGROUND, Stroke
from maskmill.scribble.worker import Marked
from maskmill.store import Image, Project
from maskmill.store.scribbles import Drawn

BACKGROUND_ID = 0
"""Stands for the background where a category's number could be; it is no row of the project."""


def marks(project: Project) -> tuple[list[Marked], tuple[str, ...]]:
    """Return all strokes by image, with their categories by name; background is the first.

    Strokes of a category that was put away are left out.
    """
    names = {category.id: category.name for category in project.categories.all()}
    names[BACKGROUND_ID] = BACKGROUND
    found = []
    for drawn in project.scribbles.all():
        image = project.images.get(drawn.image_id)
        strokes = tuple(_strokes(drawn, image, names))
        if strokes:
            found.append(Marked(image.content_hash, image.path, strokes))
    return found, tuple(dict.fromkeys([BACKGROUND, *names.values()]))


def _strokes(drawn: Drawn, image: Image, names: dict[int, str]) -> Iterator[Stroke]:
    for each in drawn.strokes:
        category = each["category_id"]
        if category is None or category in names:
            yield Stroke(
                image=Path(image.path).name,
                category=None if category is None else names[category],
                points=tuple((float(x), float(y)) for x, y in each["points"]),
                width=each["width"],
                size=image.size,
            )


def usable_rules(project: Project, classes: Sequence[str]) -> tuple[RuleSet, tuple[str, ...]]:
    """Return the project's rules, or none of them and why, if they do not fit the classifier."""
    told = project.scribbles.rules().rules
    if told is None:
        return RuleSet(), ()
    try:
        rules = msgspec.convert(told, type=RuleSet)
        return (rules.for_categories(list(classes)) if classes else rules), ()
    except (ConfigError, msgspec.ValidationError) as error:
        return RuleSet(), (f"the rules are not applied: {error}",)


def missing_packages() -> tuple[str, ...]:
    """Return what learning from strokes needs and is not installed."""
    needed = {"sklearn": "scikit-learn", "onnx": "onnx"}
    return tuple(
        name for module, name in needed.items() if importlib.util.find_spec(module) is None
    )

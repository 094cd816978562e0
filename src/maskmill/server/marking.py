"""Strokes and rules out of the store, in the form that learns from them and that applies them."""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from maskmill.engine.dataset import answered_for
from maskmill.errors import ConfigError
from maskmill.scribble.folder import AUTHOR
from maskmill.scribble.rules import RuleSet
from maskmill.scribble.strokes import BACKGROUND, Stroke
from maskmill.scribble.worker import Marked
from maskmill.server.finishing import Truth
from maskmill.store import Image, Project
from maskmill.store.filters import ImageFilter
from maskmill.store.scribbles import Drawn

MOST_JUDGES = 60
"""Labelled images of a category that are looked at; more only narrow what is known."""
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


def truths(project: Project, classes: Sequence[str]) -> list[Truth]:
    """Return images that people labelled with these categories and did not draw strokes on.

    The first `MOST_JUDGES` of each category in the order in which images were added. People answer
    for a mask that they made, accepted or brought in; one that came of strokes judges nothing, also
    where it was accepted: that would be the classifier's own answer.
    """
    names = {category.id: category.name for category in project.categories.all()}
    drawn_on = {drawn.image_id for drawn in project.scribbles.all() if drawn.strokes}
    chosen: dict[int, Image] = {}
    for category_id, name in names.items():
        if name in classes:
            which = ImageFilter(category_id=category_id)
            for image in project.images.page(which, limit=MOST_JUDGES + len(drawn_on)):
                chosen[image.id] = image
    found = []
    masks = project.annotations.of_images(list(chosen))
    for image_id, image in sorted(chosen.items()):
        made = [mask for mask in masks.get(image_id, ()) if answered_for(mask)]
        by_models = [m.made.author or "" for m in made if m.made.made_by == "model"]
        is_own = any(author.startswith(AUTHOR) for author in by_models)
        judged = [(names.get(mask.category_id or 0), mask.rle) for mask in made]
        if image_id not in drawn_on and not is_own and any(n in classes for n, _ in judged):
            found.append(Truth(image_id, image.content_hash, image.path, image.size, tuple(judged)))
    return found


def missing_packages() -> tuple[str, ...]:
    """Return what learning from strokes needs and is not installed."""
    needed = {"sklearn": "scikit-learn", "onnx": "onnx"}
    return tuple(
        name for module, name in needed.items() if importlib.util.find_spec(module) is None
    )

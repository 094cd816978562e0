"""How good a pixel classifier is on what it has not learned from: who was taken for whom.

Strokes judge by being left out: a classifier of the other images' strokes is asked for the cells
that were marked on one image. Labelled images without strokes judge as they are, rules included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int16, Int64, Integer

from maskmill import rle
from maskmill.errors import PromptError
from maskmill.rle import Rle
from maskmill.scribble.classifier import predict, train
from maskmill.scribble.features import Features
from maskmill.scribble.pixels import marked_cells
from maskmill.scribble.strokes import BACKGROUND, UNLABELLED

FOLDS = 5
"""Classifiers that are trained to judge strokes, at most."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Confusion:
    """What was found where something was meant.

    Attributes:
        categories: Names of the rows and of the columns.
        counts: Cells or pixels; a row is what is true, a column what was found, and the last
            column is nothing at all.
    """

    categories: tuple[str, ...]
    counts: Int64[np.ndarray, "k k_and_1"]

    def shown(self) -> tuple[int, ...]:
        """Return the places of the categories that are there, background left out."""
        there = np.flatnonzero(self.counts.sum(axis=1))
        return tuple(int(i) for i in there if self.categories[i] != BACKGROUND)

    def iou(self, place: int) -> float | None:
        """Return a category's IoU; None where it is neither there nor found."""
        common = int(self.counts[place, place])
        either = int(self.counts[place].sum() + self.counts[:, place].sum()) - common
        return common / either if either else None

    def mean_iou(self, places: Sequence[int] | None = None) -> float | None:
        """Return the mean over some categories.

        Args:
            places: Those to be judged; by default those that are there. What is nowhere labelled
                says nothing, and one that is labelled elsewhere and found here wrongly counts 0.
        """
        judged = self.shown() if places is None else places
        known = [iou for i in judged if (iou := self.iou(i)) is not None]
        return float(np.mean(known)) if known else None


def confuse(
    truth: Integer[np.ndarray, "*n"], found: Integer[np.ndarray, "*n"], categories: Sequence[str]
) -> Confusion:
    """Count what was found where something was meant.

    Args:
        truth: Places in `categories`; `UNLABELLED` is not judged.
        found: The same; anything else is nothing.
        categories: Names.

    Example:
        >>> told = confuse(np.array([0, 1, 1]), np.array([0, 1, 255]), ("ground", "leaf"))
        >>> told.counts.tolist()
        [[1, 0, 0], [0, 1, 1]]
    """
    k = len(categories)
    judged = truth != UNLABELLED
    columns = np.where((found >= 0) & (found < k), found, k)[judged].astype(np.int64)
    counts = np.bincount(truth[judged].astype(np.int64) * (k + 1) + columns, minlength=k * (k + 1))
    return Confusion(categories=tuple(categories), counts=counts.reshape(k, k + 1))


def leave_out(
    images: Mapping[str, Features],
    labels: Mapping[str, Int16[np.ndarray, "_h _w"]],
    categories: Sequence[str],
) -> tuple[Confusion | None, tuple[str, ...]]:
    """Judge strokes by classifiers that have not seen their image.

    Args:
        images: Features of each image with strokes, by name.
        labels: Its strokes, as `draw` makes them.
        categories: Names; a label is a place in here.

    Returns:
        What was taken for what, in cells of the working grid, and the categories that could not be
        judged because only one image shows them. None with fewer than two images.
    """
    names = sorted(name for name, drawn in labels.items() if (drawn != UNLABELLED).any())
    if len(names) < 2:
        return None, ()
    folds = min(FOLDS, len(names))
    total = np.zeros((len(categories), len(categories) + 1), np.int64)
    unjudged: set[str] = set()
    for fold in range(folds):
        asked = names[fold::folds]
        others = [name for name in names if name not in asked]
        kept = {name: images[name] for name in others}
        try:
            model = train(kept, {name: labels[name] for name in others}, categories)
        except PromptError:  # what is left marks one category alone
            unjudged |= {categories[k] for name in asked for k in _marked(labels[name])}
            continue
        places = np.array([categories.index(name) for name in model.categories])
        for name in asked:
            cells = marked_cells(labels[name], len(categories)).astype(np.int64)
            strange = ~np.isin(cells, [*places, UNLABELLED])
            unjudged |= {categories[k] for k in np.unique(cells[strange])}
            cells[strange] = UNLABELLED
            found = places[predict(model, images[name]).argmax(axis=0)]
            total += confuse(cells, found, categories).counts
    return Confusion(categories=tuple(categories), counts=total), tuple(sorted(unjudged))


def truth_of(
    masks: Sequence[tuple[str | None, Rle]], categories: Sequence[str], size: tuple[int, int]
) -> Int16[np.ndarray, "h w"]:
    """Draw an image's labels as places in a classifier's categories.

    Args:
        masks: Category and mask; those of other categories are ground like all the rest.
        categories: Names; the ground is not judged where background is none of them.
        size: (H, W) of the image.
    """
    rest = categories.index(BACKGROUND) if BACKGROUND in categories else UNLABELLED
    labels = np.full(size, rest, np.int16)
    for name, mask in masks:
        if name in categories:
            inside: Bool[np.ndarray, "h w"] = rle.decode(mask)
            labels[inside] = categories.index(name)
    return labels


def _marked(drawn: Int16[np.ndarray, "h w"]) -> list[int]:
    return [int(k) for k in np.unique(drawn) if k != UNLABELLED]

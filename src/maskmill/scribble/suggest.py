"""Rules that suit labelled images: searched one by one, and kept only if they help on unseen ones.

For each category the search adds, change by change, the one rule that raises IoU most on the images
that it is shown. It is repeated with every part of the images left out in turn; only if the rules
found without an image make that image better, whichever images had been drawn, are the rules found
on all of them suggested. So a suggestion may be none, as it mostly is where a category is seen on
two images or three.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Integer

from maskmill.errors import ConfigError
from maskmill.scribble.rules import (
    Close,
    Confidence,
    FillHoles,
    KeepLargest,
    MinArea,
    Open,
    Rule,
    RuleSet,
    Smooth,
)
from maskmill.scribble.shaping import shape_mask
from maskmill.scribble.strokes import BACKGROUND

FOLDS = 5
"""Parts that the images are divided into; fewer where there are fewer images."""
MOST_RULES = 3
"""Rules per category."""
LEAST_GAIN = 0.002
"""IoU that a rule must add to be taken."""
DRAWS = 1000
"""Of as many images as there are, with replacement."""
SURE = 0.9
"""Share of the draws in which rules found without an image have to make images better."""
ORDER = (Confidence, Open, Close, Smooth, FillHoles, MinArea, KeepLargest)
"""Kinds that are tried, in the order in which they are applied; each at most once."""

Mask = Bool[np.ndarray, "_h _w"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """One labelled image and what the classifier says of it.

    Attributes:
        probabilities: Of each category, at the image's size.
        labels: The truth: places in the categories.
    """

    probabilities: Float32[np.ndarray, "k h w"]
    labels: Integer[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """Rules for one category, and what they are worth.

    Attributes:
        category: Its name.
        rules: What to apply; none if nothing helps on images that the search did not see.
        before: IoU without rules, over all images.
        after: IoU of each image under rules that were found without it, over all images.
    """

    category: str
    rules: tuple[Rule, ...]
    before: float
    after: float


def suggest(images: Sequence[Labelled], categories: Sequence[str]) -> list[Suggestion]:
    """Search rules for every category that is labelled, but the background.

    Args:
        images: At least two; more are better judges.
        categories: Names of the probabilities' channels.

    Raises:
        ConfigError: If there are fewer than two images, or no category is labelled on any.
    """
    if len(images) < 2:
        raise ConfigError(
            f"rules cannot be judged on {len(images)} labelled images; label at least two"
        )
    named = [(k, name) for k, name in enumerate(categories) if name != BACKGROUND]
    # Of a category that is labelled nowhere the best rule is the one that leaves nothing of it.
    shown = [(k, name) for k, name in named if any((each.labels == k).any() for each in images)]
    if not shown:
        raise ConfigError(
            f"no label is called {', '.join(name for _, name in named)}; the names of the labels' "
            "categories have to be those of the strokes"
        )
    return [_of_category(images, k, name) for k, name in shown]


def as_rules(suggestions: Sequence[Suggestion]) -> RuleSet:
    """Return suggestions as a rule set."""
    return RuleSet(categories={s.category: s.rules for s in suggestions if s.rules})


def _of_category(images: Sequence[Labelled], k: int, name: str) -> Suggestion:
    cases = [_Case(image, k) for image in images]
    folds = min(FOLDS, len(cases))
    unseen: list[tuple[int, int]] = [(0, 0)] * len(cases)
    for fold in range(folds):
        rules = _search([c for i, c in enumerate(cases) if i % folds != fold])
        for i in range(fold, len(cases), folds):
            unseen[i] = cases[i].counts(rules)
    alone = [case.counts(()) for case in cases]
    before, after = _iou(alone), _iou(unseen)
    helps = after > before + LEAST_GAIN and _surely_better(unseen, alone)
    rules = _search(cases) if helps else ()
    return Suggestion(category=name, rules=rules, before=before, after=after if rules else before)


class _Case:
    """One category of one image; remembers what it was asked."""

    def __init__(self, image: Labelled, k: int) -> None:
        self.probability = np.ascontiguousarray(image.probabilities[k])
        self.mask: Mask = image.probabilities.argmax(axis=0) == k
        self.truth: Mask = image.labels == k
        self._known: dict[tuple[Rule, ...], tuple[int, int]] = {}

    def counts(self, rules: tuple[Rule, ...]) -> tuple[int, int]:
        """Return the pixels in common with the truth and those of both."""
        if rules not in self._known:
            found = shape_mask(self.mask, self.probability, rules) if rules else self.mask
            common = int((found & self.truth).sum())
            either = int(found.sum()) + int(self.truth.sum()) - common
            self._known[rules] = common, either
        return self._known[rules]


def _iou(counts: Sequence[tuple[int, int]]) -> float:
    common, either = np.array(counts).sum(axis=0)
    return float(common / either) if either else 1.0


def _surely_better(ruled: Sequence[tuple[int, int]], alone: Sequence[tuple[int, int]]) -> bool:
    """Draw images anew, and ask how often rules win: one large image may decide a single sum."""
    drawn = np.random.default_rng(0).integers(len(alone), size=(DRAWS, len(alone)))
    common, either = np.moveaxis(np.array([ruled, alone])[:, drawn].sum(axis=2), 2, 0)
    with_rules, without = common / np.maximum(either, 1)
    return bool((with_rules > without).mean() >= SURE)


def _search(cases: Sequence[_Case]) -> tuple[Rule, ...]:
    rules: tuple[Rule, ...] = ()
    best = _iou([case.counts(rules) for case in cases])
    while len(rules) < MOST_RULES:
        tried = [_with(rules, rule) for rule in _choices(cases) if _is_new(rules, rule)]
        ious = [_iou([case.counts(one) for case in cases]) for one in tried]
        if not ious or max(ious) < best + LEAST_GAIN:
            break
        best, rules = max(ious), tried[int(np.argmax(ious))]
    return rules


def _is_new(rules: tuple[Rule, ...], rule: Rule) -> bool:
    return not any(type(one) is type(rule) for one in rules)


def _with(rules: tuple[Rule, ...], rule: Rule) -> tuple[Rule, ...]:
    return tuple(sorted((*rules, rule), key=lambda one: ORDER.index(type(one))))


def _choices(cases: Sequence[_Case]) -> list[Rule]:
    """List what is tried: areas as shares of the image, so that small images get small ones."""
    area = int(np.median([case.mask.size for case in cases]))
    areas = sorted({max(4, round(area * share)) for share in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)})
    choices: list[Rule] = [Confidence(threshold=t) for t in (0.55, 0.65, 0.75, 0.85, 0.95)]
    choices += [Open(radius=r) for r in (1, 2, 4)]
    choices += [Close(radius=r) for r in (1, 2, 4, 8)]
    choices += [Smooth(radius=r) for r in (1, 3)]
    choices += [FillHoles(area=a) for a in areas[2:]]
    choices += [MinArea(area=a) for a in areas]
    return [*choices, KeepLargest(number=1), KeepLargest(number=3)]

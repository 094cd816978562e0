"""Rules applied: from what the classifier says of each pixel to regions, and what was removed.

A category's pixels are taken first, then its rules change them one after the other; connected
pixels become regions where the first rule that looks at regions stands, or at the end. Every step
says what it took away and what it added, for a preview in colour. Sizes are (H, W), areas pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32, Integer

from maskmill.errors import ConfigError
from maskmill.scribble.rules import (
    BORDER,
    Close,
    Confidence,
    Elongation,
    FillHoles,
    KeepLargest,
    MaxArea,
    Merge,
    MinArea,
    Open,
    Place,
    Rule,
    RuleSet,
    Smooth,
    Solidity,
    Split,
)
from maskmill.scribble.strokes import BACKGROUND

Mask = Bool[np.ndarray, "h w"]
Regions = Int32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """What one rule did.

    Attributes:
        category: Whose rule it is.
        rule: The rule.
        removed: Pixels that it took away.
        added: Pixels that it gave.
    """

    category: str
    rule: Rule
    removed: Mask
    added: Mask


@dataclass(frozen=True, eq=False, kw_only=True)
class Shaped:
    """Regions of one image after all rules.

    Attributes:
        regions: Per category, numbers of its regions from 1; 0 where there is none.
        steps: What each rule did, in order.
        warnings: A sentence for every rule that left nothing of a category.
    """

    regions: Mapping[str, Regions]
    steps: tuple[Step, ...]
    warnings: tuple[str, ...]

    def labels(self, categories: Sequence[str]) -> Integer[np.ndarray, "h w"]:
        """Return one label map again; of overlapping ones the later is seen."""
        first = next(iter(self.regions.values()))
        background = categories.index(BACKGROUND) if BACKGROUND in categories else -1
        labels = np.full(first.shape, background, np.int16)
        for name, regions in self.regions.items():
            labels[regions > 0] = categories.index(name)
        return labels


def shape(
    probabilities: Float32[np.ndarray, "k h w"], categories: Sequence[str], rules: RuleSet
) -> Shaped:
    """Apply a rule set to one image.

    Args:
        probabilities: Of each category at each pixel; they add up to 1.
        categories: Names, in the same order.
        rules: What to apply; categories without rules become regions as they are.

    Returns:
        Regions of every category but the background.

    Raises:
        ConfigError: If a rule speaks of a category that there is not.
    """
    rules.for_categories(list(categories))
    labels = probabilities.argmax(axis=0)
    first = {name: labels == k for k, name in enumerate(categories)}
    steps: list[Step] = []
    warnings: list[str] = []
    regions: dict[str, Regions] = {}
    for k, name in enumerate(categories):
        if name == BACKGROUND:
            continue
        # `Place` looks at categories that are done, and at the others as the classifier left them.
        others = first | {other: done > 0 for other, done in regions.items()}
        regions[name] = _apply(
            name, first[name], probabilities[k], rules.categories.get(name, ()), others, steps,
            warnings,
        )  # fmt: skip
    return Shaped(regions=regions, steps=tuple(steps), warnings=tuple(warnings))


def shape_mask(mask: Mask, probability: Float32[np.ndarray, "h w"], rules: Sequence[Rule]) -> Mask:
    """Apply the rules of one category whose pixels are known; for the search for good rules."""
    regions = _apply("", mask, probability, rules, {}, [], [])
    result: Mask = regions > 0
    return result


def components(mask: Mask) -> Regions:
    """Number the connected regions of a mask from 1; corners connect too."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(labels, np.int32)


def _apply(
    name: str,
    mask: Mask,
    probability: Float32[np.ndarray, "h w"],
    rules: Sequence[Rule],
    others: Mapping[str, Mask],
    steps: list[Step],
    warnings: list[str],
) -> Regions:
    regions: Regions | None = None
    for rule in rules:
        before = mask if regions is None else regions > 0
        if rule.shapes:
            mask = _change(before, probability, rule)
            after, regions = mask, None
        else:
            regions = components(mask) if regions is None else regions
            regions = _choose(regions, probability, rule, others)
            mask = after = regions > 0
        steps.append(Step(category=name, rule=rule, removed=before & ~after, added=after & ~before))
        if before.any() and not after.any():
            tag = type(rule).__struct_config__.tag
            warnings.append(
                f"{tag} leaves nothing of {name} in this image, {int(before.sum())} pixels are "
                "gone; make it less strict if that is not meant"
            )
    return components(mask) if regions is None else regions


def _change(mask: Mask, probability: Float32[np.ndarray, "h w"], rule: Rule) -> Mask:
    """Apply a rule that works on pixels."""
    pixels = mask.astype(np.uint8)
    if isinstance(rule, Confidence):
        return mask & (probability >= rule.threshold)
    if isinstance(rule, FillHoles):
        filled: Mask = mask | _small(~mask, rule.area)
        return filled
    if isinstance(rule, Close | Open):
        kind = cv2.MORPH_CLOSE if isinstance(rule, Close) else cv2.MORPH_OPEN
        return np.asarray(cv2.morphologyEx(pixels, kind, _disc(rule.radius)), bool)
    if isinstance(rule, Smooth):
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), rule.radius)
        return np.asarray(soft > 0.5)
    raise ConfigError(f"{type(rule).__name__} does not change pixels")


def _small(mask: Mask, area: int) -> Mask:
    """Return the regions of a mask that do not touch the border and are no larger than this."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    height, width = mask.shape
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right = left + stats[:, cv2.CC_STAT_WIDTH]
    bottom = top + stats[:, cv2.CC_STAT_HEIGHT]
    free = (left > 0) & (top > 0) & (right < width) & (bottom < height)
    small = free & (stats[:, cv2.CC_STAT_AREA] <= area)
    small[0] = False
    chosen: Mask = small[labels]
    return chosen


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _choose(
    regions: Regions,
    probability: Float32[np.ndarray, "h w"],
    rule: Rule,
    others: Mapping[str, Mask],
) -> Regions:
    """Apply a rule that splits, merges, keeps or takes away whole regions."""
    if not regions.any():
        return regions
    if isinstance(rule, Split):
        return _split(regions, probability, rule)
    if isinstance(rule, Merge):
        return _merge(regions, rule.nearer)
    areas = np.bincount(regions.ravel())
    if isinstance(rule, MinArea):
        return _keep(regions, areas >= rule.area)
    if isinstance(rule, MaxArea):
        return _keep(regions, areas <= rule.area)
    if isinstance(rule, KeepLargest):
        ranks = np.empty(len(areas), int)
        ranks[np.argsort(-areas[1:], kind="stable") + 1] = np.arange(len(areas) - 1)
        return _keep(regions, ranks < rule.number)
    if isinstance(rule, Elongation):
        most = np.inf if rule.most is None else rule.most
        return _keep(regions, _each(regions, lambda one: rule.least <= _elongation(one) <= most))
    if isinstance(rule, Solidity):
        return _keep(regions, _each(regions, lambda one: rule.least <= _solidity(one) <= rule.most))
    if isinstance(rule, Place):
        return _keep(regions, _placed(regions, rule, others) == rule.keep)
    raise ConfigError(f"{type(rule).__name__} does not choose regions")


def _keep(regions: Regions, kept: Bool[np.ndarray, " n"]) -> Regions:
    """Number the regions that are kept anew, in their order."""
    kept = kept.copy()
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(numbers[regions])


def _each(regions: Regions, holds: Callable[[Mask], bool]) -> Bool[np.ndarray, " n"]:
    """Ask something of every region, cut out at its box."""
    kept = np.zeros(int(regions.max()) + 1, bool)
    for number, window in boxes(regions).items():
        kept[number] = holds(regions[window] == number)
    return kept


def boxes(regions: Regions) -> dict[int, tuple[slice, slice]]:
    """Return the rows and columns of every region."""
    ys, xs = np.nonzero(regions)
    numbers = regions[ys, xs]
    count = int(regions.max(initial=0)) + 1
    least = np.full((2, count), max(regions.shape))
    most = np.zeros((2, count), int)
    for axis, at in enumerate((ys, xs)):
        np.minimum.at(least[axis], numbers, at)
        np.maximum.at(most[axis], numbers, at + 1)
    return {
        number: (slice(least[0, number], most[0, number]), slice(least[1, number], most[1, number]))
        for number in np.unique(numbers).tolist()
    }


def _elongation(mask: Mask) -> float:
    """Length over width of the smallest rectangle round a region, at any angle; a pixel is 1."""
    points = np.argwhere(mask)[:, ::-1].astype(np.float32)
    _, (width, height), _ = cv2.minAreaRect(points)
    # Points are pixel centres: half a pixel is missing at each side.
    return (max(width, height) + 1) / (min(width, height) + 1)


def _solidity(mask: Mask) -> float:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(np.concatenate(contours)), 1)
    return float(mask.sum() / filled.sum())


def _placed(regions: Regions, rule: Place, others: Mapping[str, Mask]) -> Bool[np.ndarray, " n"]:
    """Tell of every region whether it is inside, outside or touching what the rule names."""
    count = int(regions.max()) + 1
    if rule.of == BORDER:
        edge = np.ones(regions.shape, bool)
        edge[1:-1, 1:-1] = False
        touching = np.bincount(regions[edge], minlength=count) > 0
        # Nothing lies beyond the border: what does not touch it is inside.
        return (
            touching if rule.relation == "touching" else (touching == (rule.relation == "outside"))
        )
    near = cv2.dilate(others[rule.of].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    touching = np.bincount(regions[near], minlength=count) > 0
    if rule.relation == "touching":
        return touching
    within = _small(~others[rule.of], regions.size) | others[rule.of]
    inside = np.bincount(regions[within], minlength=count) >= np.bincount(
        regions.ravel(), minlength=count
    )
    return inside if rule.relation == "inside" else ~inside & ~touching


def _split(regions: Regions, probability: Float32[np.ndarray, "h w"], rule: Split) -> Regions:
    # Only splitting needs scikit-image, which plain inference does not install.
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    mask = regions > 0
    deep = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    # Smoothed, or every wiggle of an outline makes a centre of its own.
    height = cv2.GaussianBlur(deep, (0, 0), max(1.0, rule.apart / 4))
    if rule.method == "watershed":
        height = height * probability
    peaks = peak_local_max(height, min_distance=rule.apart, labels=regions, exclude_border=False)
    centres = np.zeros(regions.shape, np.int32)
    centres[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    flooded = watershed(-height, centres, mask=mask)
    cut = np.asarray(flooded, np.int32)
    lost = mask & (cut == 0)  # too thin for a centre
    return cut + np.where(lost, components(lost) + cut.max(), 0).astype(np.int32)


def _merge(regions: Regions, nearer: int) -> Regions:
    """Give one number to regions that touch once each has grown by half of the gap allowed."""
    away = cv2.distanceTransform((regions == 0).astype(np.uint8), cv2.DIST_L2, 5)
    groups = components(np.asarray(away < nearer / 2 + 0.5))
    return np.where(regions > 0, groups, 0).astype(np.int32)


def describe(step: Step) -> dict[str, Any]:
    """Say in JSON's types what a rule did."""
    return {
        "category": step.category,
        "rule": str(type(step.rule).__struct_config__.tag),
        "removed": int(step.removed.sum()),
        "added": int(step.added.sum()),
    }

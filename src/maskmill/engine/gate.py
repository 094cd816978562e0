"""The gate: a new model replaces the old one only if nothing named gets worse.

Both models play the same simulated sessions on the same hold-out images, so every image gives a
pair: an image that is hard for one is hard for the other. What is resampled is the pairs of a whole
group at once, since forty frames of one video say little more than one. This file knows no model,
no file and no project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from maskmill.errors import ConfigError
from maskmill.train.scores import ImageResult, rank_correlation

MIN_IMAGES = 20
"""With fewer hold-out images of different groups no interval says much, and a person decides."""
RESAMPLES = 2000
"""Bootstrap samples; their 2.5 and 97.5 percent points are the interval."""
TARGET = "IoU after 1 click"
"""What a new model has to be better at, unless something else is named."""
SLOWEST = 1.2
"""A candidate may take this many times as long to encode an image; more is worse."""

Outcome = Literal["better", "worse", "same", "expected"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One number of both models, and what the hold-out says of the difference.

    Attributes:
        name: What was measured.
        incumbent: The old model's number.
        candidate: The new model's.
        low: Lower end of the paired 95 % interval of the gain; gain is always "better is positive".
        high: Its upper end.
        outcome: `worse` if the interval lies below zero, `better` if above; `expected` where a
            slower encoder was chosen.
    """

    name: str
    incumbent: float
    candidate: float
    low: float
    high: float
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate says.

    Attributes:
        promoted: None where a person has to decide.
        reason: Why, in one sentence.
        comparisons: Everything that was compared.
        images: Hold-out images.
        groups: Different groups that they are of.
    """

    promoted: bool | None
    reason: str
    comparisons: tuple[Comparison, ...]
    images: int
    groups: int

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON can hold it."""
        return asdict(self)


def judge(
    incumbent: Sequence[ImageResult],
    candidate: Sequence[ImageResult],
    *,
    target: str = TARGET,
    groups: Sequence[str] = (),
    categories: Sequence[Sequence[str | None]] = (),
    encode_seconds: tuple[float, float] | None = None,
    other_encoder: bool = False,
    seed: int = 0,
) -> Verdict:
    """Compare two models on the same images.

    Args:
        incumbent: The old model's results.
        candidate: The new model's, of the same images in the same order.
        target: The number that has to get better.
        groups: Of each image, the group that it belongs to; empty where each is its own.
        categories: Of each image, the category of each mask; empty where there are none. Each
            category is then a number of its own, so that none is lost behind the mean.
        encode_seconds: What the old and the new model take to encode an image.
        other_encoder: Whether the new model's image encoder is another one than the old model's:
            its time was chosen with it, and decides nothing.
        seed: Decides the resampling.

    Raises:
        ConfigError: If there is no hold-out image, the images differ, or no number is called
            `target`.
    """
    if not incumbent or len(incumbent) != len(candidate):
        raise ConfigError(
            f"the gate needs the same hold-out images for both models; it got {len(incumbent)} and "
            f"{len(candidate)}: label some images that fall into the hold-out, and try again"
        )
    names = groups or [str(place) for place in range(len(incumbent))]
    pairs = (incumbent, candidate, np.array(names))
    numbers = {**_numbers(*pairs), **_by_category(*pairs, categories)}
    if target not in numbers:
        raise ConfigError(f"no number is called {target!r}; there are: {', '.join(numbers)}")
    compared = [_compare(name, pair, seed) for name, pair in numbers.items()]
    if (ranks := _compare_ranks(*pairs, seed)) is not None:
        compared.append(ranks)
    if encode_seconds is not None:
        compared.append(_compare_speed(*encode_seconds, other_encoder=other_encoder))
    different = len(set(names))
    promoted, reason = _decide(compared, target, different)
    return Verdict(
        promoted=promoted,
        reason=reason + _expected(compared),
        comparisons=tuple(compared),
        images=len(incumbent),
        groups=different,
    )


class _Pairs(NamedTuple):
    """One number of both models on the images that show it, and the group of each image."""

    old: Float[np.ndarray, " images"]
    new: Float[np.ndarray, " images"]
    groups: Shaped[np.ndarray, " images"]
    more_is_better: bool = True


def _numbers(
    old: Sequence[ImageResult],
    new: Sequence[ImageResult],
    groups: Shaped[np.ndarray, " images"],
) -> dict[str, _Pairs]:
    numbers = {
        f"IoU after {clicks} click{'s' * (clicks > 1)}": _Pairs(
            _per_image(old, clicks), _per_image(new, clicks), groups
        )
        for clicks in (1, 3, 5)
    }
    numbers["clicks to IoU 0.85"] = _Pairs(
        np.array([r.sessions.clicks_to(0.85).mean() for r in old]),
        np.array([r.sessions.clicks_to(0.85).mean() for r in new]),
        groups,
        more_is_better=False,
    )
    numbers["IoU from a box"] = _Pairs(
        np.array([r.sessions.iou_from_box.mean() for r in old]),
        np.array([r.sessions.iou_from_box.mean() for r in new]),
        groups,
    )
    return numbers


def _per_image(results: Sequence[ImageResult], clicks: int) -> Float[np.ndarray, " images"]:
    return np.array([r.sessions.iou[:, clicks - 1].mean() for r in results])


def _by_category(
    old: Sequence[ImageResult],
    new: Sequence[ImageResult],
    groups: Shaped[np.ndarray, " images"],
    categories: Sequence[Sequence[str | None]],
) -> dict[str, _Pairs]:
    """Give each category the mean IoU after 3 clicks of its masks, on the images that show it."""
    names = sorted({name for image in categories for name in image if name is not None})
    if len(names) < 2:  # one category is what the other numbers say already
        return {}
    numbers: dict[str, _Pairs] = {}
    for name in names:
        masks = [np.array([each == name for each in image], bool) for image in categories]
        shown = np.array([of.any() for of in masks])
        if len(set(groups[shown])) >= MIN_IMAGES:
            before, after = (_after_three(results, masks) for results in (old, new))
            numbers[f"{name}, IoU after 3 clicks"] = _Pairs(before, after, groups[shown])
    return numbers


def _after_three(
    results: Sequence[ImageResult], masks: Sequence[Bool[np.ndarray, " masks"]]
) -> Float[np.ndarray, " images"]:
    both = zip(results, masks, strict=True)
    return np.array([r.sessions.iou[of, 2].mean() for r, of in both if of.any()])


def _compare(name: str, pairs: _Pairs, seed: int) -> Comparison:
    gains = (pairs.new - pairs.old) * (1 if pairs.more_is_better else -1)
    low, high = np.percentile(_resampled_means(gains, pairs.groups, seed), (2.5, 97.5))
    return Comparison(
        name=name,
        incumbent=float(pairs.old.mean()),
        candidate=float(pairs.new.mean()),
        low=float(low),
        high=float(high),
        outcome=_outcome(float(low), float(high)),
    )


def _resampled_means(
    gains: Float[np.ndarray, " images"], groups: Shaped[np.ndarray, " images"], seed: int
) -> Float[np.ndarray, " draws"]:
    """Draw as many groups as there are, with all their images, and average; `RESAMPLES` times."""
    _, first, of = np.unique(groups, return_index=True, return_inverse=True)
    of = np.argsort(np.argsort(first))[of]  # as they come, whatever their names
    total, count = np.bincount(of, gains), np.bincount(of)
    draws = np.random.default_rng(seed).integers(0, len(total), (RESAMPLES, len(total)))
    means: Float[np.ndarray, " draws"] = total[draws].sum(1) / count[draws].sum(1)
    return means


def _compare_ranks(
    old: Sequence[ImageResult],
    new: Sequence[ImageResult],
    groups: Shaped[np.ndarray, " images"],
    seed: int,
) -> Comparison | None:
    """Compare how well both rank their candidates: Spearman's correlation per image, averaged."""
    ranks = [(_rank(before), _rank(after)) for before, after in zip(old, new, strict=True)]
    known = np.array([None not in pair for pair in ranks])
    if not known.any():
        return None
    before, after = np.array(ranks, float)[known].T  # None becomes NaN
    return _compare("rank correlation of predicted IoU", _Pairs(before, after, groups[known]), seed)


def _rank(result: ImageResult) -> float | None:
    sessions = result.sessions
    return rank_correlation(sessions.predicted_iou.ravel(), sessions.true_iou.ravel())


def _compare_speed(old: float, new: float, *, other_encoder: bool) -> Comparison:
    """Compare encoding: a ratio against a limit, since two medians give no interval."""
    slower = new / old
    much: Outcome = "expected" if other_encoder else "worse"
    outcome: Outcome = much if slower > SLOWEST else "same"
    gain = 1 - slower
    return Comparison(
        name="seconds to encode", incumbent=old, candidate=new, low=gain, high=gain, outcome=outcome
    )


def _outcome(low: float, high: float) -> Outcome:
    if high < 0:
        return "worse"
    return "better" if low > 0 else "same"


def _decide(compared: Sequence[Comparison], target: str, groups: int) -> tuple[bool | None, str]:
    aim = next(c for c in compared if c.name == target)
    change = f"{target} went from {aim.incumbent:.3f} to {aim.candidate:.3f}"
    if groups < MIN_IMAGES:
        return None, (
            f"only {groups} hold-out images of different groups, of the {MIN_IMAGES} that an "
            f"interval needs: a person decides. {change}"
        )
    worse = [c for c in compared if c.outcome == "worse"]
    if worse:
        told = ", ".join(f"{c.name} ({c.incumbent:.3f} to {c.candidate:.3f})" for c in worse)
        return False, f"kept the old model, because this got worse: {told}"
    if aim.outcome != "better":
        return False, (
            f"kept the old model: {change}, and the 95 % interval of the gain, {aim.low:+.3f} to "
            f"{aim.high:+.3f}, does not lie above zero"
        )
    return True, f"promoted: {change} ({aim.low:+.3f} to {aim.high:+.3f}), and nothing got worse"


def _expected(compared: Sequence[Comparison]) -> str:
    """Say what a chosen encoder costs; it vetoes nothing, and nobody should learn of it later."""
    slower = [c.candidate / c.incumbent for c in compared if c.outcome == "expected"]
    return "".join(
        f"; encoding takes {times:.1f} times as long, as the encoder that was chosen does"
        for times in slower
    )


def comparison_table(verdict: Verdict) -> list[Mapping[str, str]]:
    """Return the comparisons as rows of text, for a terminal or a page."""
    return [
        {
            "number": c.name,
            "old": f"{c.incumbent:.3f}",
            "new": f"{c.candidate:.3f}",
            "gain, 95 %": f"{c.low:+.3f} to {c.high:+.3f}",
            "": c.outcome,
        }
        for c in verdict.comparisons
    ]

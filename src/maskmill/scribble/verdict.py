"""Decisions on what was found: does this image pass, and if not, why?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int32

from maskmill.scribble.rules import BORDER, AreaShare, Count, Decision, Distance, LargestArea

Regions = Int32[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one decision says of one image.

    Attributes:
        decision: The decision.
        passed: Whether it holds.
        value: What was measured: regions, share, pixels; None where there is nothing to measure.
        reason: The same in a sentence.
    """

    decision: Decision
    passed: bool
    value: float | None
    reason: str


def decide(regions: Mapping[str, Regions], decisions: Sequence[Decision]) -> list[Finding]:
    """Ask every decision of one image; it passes if all of them hold.

    Args:
        regions: Per category, numbers of its regions from 1, as `shape` returns them.
        decisions: Of a rule set that fits these categories.
    """
    return [_ask(regions, decision) for decision in decisions]


def _ask(regions: Mapping[str, Regions], decision: Decision) -> Finding:
    of = regions[decision.category]
    name = decision.category
    value: float | None
    if isinstance(decision, Count):
        value = float(of.max())
        passed = decision.least <= value <= (np.inf if decision.most is None else decision.most)
        allowed = _range(decision.least, decision.most)
        reason = f"{value:.0f} of {name}; allowed: {allowed}"
    elif isinstance(decision, AreaShare):
        value = float((of > 0).mean())
        passed = decision.least <= value <= decision.most
        reason = (
            f"{name} covers {value:.2%} of the image; "
            f"allowed: {decision.least:.2%} to {decision.most:.2%}"
        )
    elif isinstance(decision, LargestArea):
        value = float(np.bincount(of.ravel())[1:].max(initial=0))
        passed = value <= decision.most
        reason = f"the largest {name} has {value:.0f} pixels; allowed: up to {decision.most}"
    else:
        value = _distance(regions, decision)
        passed = value is None or value >= decision.least
        near = "there is no such pair" if value is None else f"{value:.1f} pixels"
        reason = f"{name} to {decision.of}: {near}; allowed: at least {decision.least:g}"
    return Finding(decision=decision, passed=passed, value=value, reason=reason)


def _range(least: int, most: int | None) -> str:
    return f"at least {least}" if most is None else f"{least} to {most}"


def _distance(regions: Mapping[str, Regions], decision: Distance) -> float | None:
    """Return the least distance of pixel centres of two categories, or to the outermost pixels."""
    of = regions[decision.category] > 0
    if decision.of == BORDER:
        ys, xs = np.nonzero(of)
        if not len(ys):
            return None
        height, width = of.shape
        return float(min(ys.min(), xs.min(), height - 1 - ys.max(), width - 1 - xs.max()))
    other = regions[decision.of] > 0
    if not of.any() or not other.any():
        return None
    away = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(away[of].min())

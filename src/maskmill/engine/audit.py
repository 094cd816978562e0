"""The audit: a sample of machine-made masks, corrected by people, says what the rest is worth.

As in the paper: professionals correct a sample as well as they can, and the IoU between what the
machine made and what they made of it is the dataset's stated quality.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

GOALS = (0.90, 0.75)
"""IoUs above which the paper states shares: 94 % and 97 % in SA-1B."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of pairs above an IoU, with its 95 % interval (Wilson)."""

    above: float
    share: float
    low: float
    high: float
    pairs: int


def draw_sample(
    areas: Int[np.ndarray, " n"], size: int, rng: np.random.Generator
) -> Int[np.ndarray, " k"]:
    """Draw masks at random, evenly over five classes of size, so that small ones are judged too.

    Args:
        areas: Pixels of every mask.
        size: Masks wanted.
        rng: Decides.

    Returns:
        Places of the masks that were drawn, in rising order.
    """
    if len(areas) <= size:
        return np.arange(len(areas))
    by_size = np.array_split(np.argsort(areas, kind="stable"), 5)
    each = [size // 5 + (i < size % 5) for i in range(5)]
    drawn = [
        rng.choice(group, min(n, len(group)), replace=False)
        for group, n in zip(by_size, each, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def shares(iou: Float[np.ndarray, " n"]) -> list[Share]:
    """Say which share of corrected pairs lies above each of `GOALS`.

    Args:
        iou: IoU of every machine-made mask with what a person made of it; 0 where they removed it.

    Example:
        >>> [round(s.share, 2) for s in shares(np.array([0.95, 0.8, 0.5, 0.99]))]
        [0.5, 0.75]
    """
    found = []
    for goal in GOALS:
        low, high = wilson(int((iou > goal).sum()), len(iou))
        share = float((iou > goal).mean()) if len(iou) else 0.0
        found.append(Share(above=goal, share=share, low=low, high=high, pairs=len(iou)))
    return found


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Example:
        >>> low, high = wilson(95, 100)
        >>> round(low, 3), round(high, 3)
        (0.888, 0.978)

    Source:
        Wilson, "Probable Inference", 1927.
    """
    if not trials:
        return 0.0, 1.0
    z, p = 1.959964, successes / trials
    middle = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    width = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return max(0.0, middle - width), min(1.0, middle + width)


def by_size(
    iou: Float[np.ndarray, " n"],
    areas: Int[np.ndarray, " n"],
    *,
    edges: Sequence[int] = (300, 1000),
) -> dict[str, list[Share]]:
    """State the shares by mask size: half a pixel breaks 0.90 on the smallest."""
    bounds = [0, *edges, 2**62]
    found = {}
    for low, high in pairwise(bounds):
        chosen = (areas > low) & (areas <= high)
        name = f"over {low:,} px" if high == bounds[-1] else f"{low:,} to {high:,} px"
        if chosen.any():
            found[name] = shares(iou[chosen])
    return found

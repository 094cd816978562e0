"""How likely a region is one whole object: weighed from what can be measured of it.

The region head answers for pixels; whether what was flooded from its answers is an object, all of
it and nothing else, is another question. The shape, the outline that the head sees along its edge
and how the image looks within and beyond tell more of that than the head's own certainty. What
each of them weighs is learned from regions of images that people labelled (`engine/scoring.py`)
and kept on the head's card.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

from maskmill.errors import CheckpointError
from maskmill.regions import Answer, Region, solidity

MEASURES = (
    "inside",
    "sure",
    "inside along its edge",
    "inside beyond it",
    "outline along its edge",
    "outline at its core",
    "depth",
    "depth that its shape has not",
    "solidity",
    "roundness",
    "logarithm of its pixels",
    "contrast",
    "texture",
    "cut off by the image",
)
"""What is measured of a region, in this order."""
CERTAIN = 50.0
"""Logits beyond this are no surer, and no number holds their exponential."""
MARGIN = 2
"""Pixels around a region that are looked at too."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scoring:
    """A logistic regression: the chance that a region with these measures is right.

    Attributes:
        mean: Of each measure, over the regions that it was learned from.
        deviation: Of each, over the same.
        weight: Of each, once its mean is taken off and its deviation divided by.
        bias: What is added.
        regions: How many it was learned from.
        right: The share of them that was right.
    """

    mean: Float[np.ndarray, " m"]
    deviation: Float[np.ndarray, " m"]
    weight: Float[np.ndarray, " m"]
    bias: float
    regions: int
    right: float

    def chances(self, measures: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
        """Return how likely each region is right, 0 to 1."""
        told = (measures - self.mean) / self.deviation @ self.weight + self.bias
        return np.asarray(1 / (1 + np.exp(-told.clip(-CERTAIN, CERTAIN))))

    def to_json(self) -> dict[str, Any]:
        """Return what a card says of it."""
        each = zip(MEASURES, self.mean, self.deviation, self.weight, strict=True)
        return {
            "measures": {
                name: {"mean": float(mean), "deviation": float(deviation), "weight": float(weight)}
                for name, mean, deviation, weight in each
            },
            "bias": self.bias,
            "regions": self.regions,
            "right": self.right,
        }

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> "Scoring":
        """Read what `to_json` returned.

        Raises:
            CheckpointError: If it is something else.
        """
        try:
            each = [told["measures"][name] for name in MEASURES]
            mean, deviation, weight = (
                np.array([float(one[what]) for one in each])
                for what in ("mean", "deviation", "weight")
            )
            read = Scoring(
                mean=mean, deviation=deviation, weight=weight, bias=float(told["bias"]),
                regions=int(told["regions"]), right=float(told["right"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the region head's scoring is damaged ({error!r}); run a round again"
            ) from error
        if not (np.isfinite([*mean, *weight, read.bias]).all() and (deviation > 0).all()):
            raise CheckpointError(
                "the region head's scoring holds numbers that are none; run a round again"
            )
        return read


def measure(
    region: Region, answer: Answer, seen: Float32[np.ndarray, "h w 3"]
) -> Float[np.ndarray, " m"]:
    """Measure a region of a working image.

    Args:
        region: Of the working image.
        answer: What the head said of it, from which the region was flooded.
        seen: The working image.

    Returns:
        A number for each of `MEASURES`.
    """
    window, mask = _within(region, answer.inside.shape)
    inside, outline, depth = (a[window] for a in (answer.inside, answer.outline, answer.depth))
    light = seen[window].mean(-1)
    square = np.ones((3, 3), np.uint8)
    drawn = mask.astype(np.uint8)
    # What lies beyond the image counts as the region's own: there it has no edge.
    core = cv2.erode(drawn, square, borderType=cv2.BORDER_CONSTANT, borderValue=(1,)) > 0
    once, twice = (cv2.dilate(drawn, square, iterations=times) > 0 for times in (1, 2))
    edge, beyond, further = mask & ~core, once & ~mask, twice & ~once
    own = cv2.distanceTransform(np.pad(drawn, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    top, left = region.corner
    (height, width), (rows, columns) = region.shape.shape, answer.inside.shape
    pixels = float(mask.sum())
    return np.array(
        [
            inside[mask].mean(),
            region.sure,
            _mean(inside, edge),
            _mean(inside, beyond),
            _mean(outline, edge),
            _mean(outline, core),
            depth[mask].max(),
            np.abs(depth - own / own.max())[mask].mean(),
            solidity(region.shape),
            4 * np.pi * pixels / max(1, int(edge.sum())) ** 2,
            np.log(pixels),
            abs(light[mask].mean() - _mean(light, further)),
            light[mask].std(),
            float(0 in region.corner or top + height == rows or left + width == columns),
        ],
        np.float64,
    )


def _within(
    region: Region, size: tuple[int, ...]
) -> tuple[tuple[slice, slice], Bool[np.ndarray, "h w"]]:
    """Return the window around a region, and its pixels there."""
    window, inner = [], []
    for start, length, end in zip(region.corner, region.shape.shape, size, strict=True):
        first = max(0, start - MARGIN)
        window.append(slice(first, min(end, start + length + MARGIN)))
        inner.append(slice(start - first, start - first + length))
    mask = np.zeros([each.stop - each.start for each in window], bool)
    mask[inner[0], inner[1]] = region.shape
    return (window[0], window[1]), mask


def _mean(values: Float32[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"]) -> float:
    return float(values[where].mean()) if where.any() else 0.0

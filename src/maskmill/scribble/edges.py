"""Probabilities that follow the image and agree with their surroundings, up to its edges.

A guided filter: within each small window a probability is taken to be a linear function of
lightness. Where lightness is flat the window's mean remains, where it has an edge the probability
gets one too. What comes out is what a pixel's surroundings say of it, as far as they look like it;
a few rounds of weighing that against what the classifier says of the pixel itself take out what
stands alone, and sharpen what does not.

Source:
    He, Sun and Tang, "Guided Image Filtering" (ECCV 2010); Krähenbühl and Koltun, "Efficient
    Inference in Fully Connected CRFs with Gaussian Edge Potentials", arXiv 1210.5644, for the
    rounds: mean-field inference whose messages a filter that keeps edges sends.
"""

import cv2
import numpy as np
from jaxtyping import Float32

RADIUS = 2
"""Of the window, cells."""
EPSILON = 4e-4
"""Variance of lightness (L*/50) below which a window counts as flat."""
ROUNDS = 6
"""After which little changes any more."""
WEIGHT = 2.0
"""Of the surroundings against the pixel itself, as logarithms of probabilities."""
LEAST = 1e-2
"""No probability is taken to be less: a forest of thirty trees knows no smaller ones."""


def settle(
    probabilities: Float32[np.ndarray, "k h w"],
    light: Float32[np.ndarray, "h w"],
    *,
    cell: float = 1,
) -> Float32[np.ndarray, "k h w"]:
    """Let probabilities agree with their surroundings, as far as these look alike.

    Args:
        probabilities: What a classifier says of each pixel by itself; they add up to 1.
        light: L*/50 of the same pixels.
        cell: How many of these pixels a cell of the working grid is wide: surroundings reach as far
            in the image whether cells or pixels were asked about.

    Returns:
        Probabilities that add up to 1.
    """
    radius = max(1, round(RADIUS * cell))
    alone = np.log(np.maximum(probabilities, np.float32(LEAST)))
    first = around = follow(probabilities, light, radius)
    for _ in range(ROUNDS):
        told = alone + np.float32(WEIGHT) * np.log(np.maximum(around, np.float32(LEAST)))
        told = np.exp(told - told.max(axis=0))
        around = follow(np.asarray(told / told.sum(axis=0), np.float32), light, radius)
    # Rounds leave nearly nothing in doubt, be it deserved or not. Half of what was said before them
    # keeps the winner, and tells rules and people where it was close.
    return np.asarray((first + around) / 2, np.float32)


def follow(
    probabilities: Float32[np.ndarray, "k h w"],
    light: Float32[np.ndarray, "h w"],
    radius: int = RADIUS,
) -> Float32[np.ndarray, "k h w"]:
    """Let probabilities follow lightness.

    Args:
        probabilities: They add up to 1.
        light: L*/50 of the same pixels.
        radius: Of the window, pixels.

    Returns:
        Probabilities that add up to 1.
    """
    side = 2 * radius + 1

    def mean_of(values: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
        return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

    mean = mean_of(light)
    variance = mean_of(light * light) - mean * mean + np.float32(EPSILON)
    found = np.empty_like(probabilities)
    for k, one in enumerate(probabilities):
        centre = mean_of(one)
        slope = (mean_of(light * one) - mean * centre) / variance
        offset = mean_of(centre - slope * mean)
        found[k] = np.clip(mean_of(slope) * light + offset, 0, 1)
    return np.asarray(found / np.maximum(found.sum(axis=0), np.float32(1e-6)))

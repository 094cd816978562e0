"""Probabilities that follow the image: a guided filter takes noise out and keeps edges.

Within each small window a probability is taken to be a linear function of lightness. Where
lightness is flat the window's mean remains, where it has an edge the probability gets one too. The
function's two coefficients are found on the working grid and may be applied to lightness at full
resolution, which gives outlines that are sharper than the grid.

Source:
    He, Sun and Tang, "Guided Image Filtering" (ECCV 2010); He and Sun, "Fast Guided Filter",
    arXiv 1505.00996, for coefficients at low resolution.
"""

import cv2
import numpy as np
from jaxtyping import Float32

RADIUS = 3
"""Of the window, cells."""
EPSILON = 4e-4
"""Variance of lightness (L*/50) below which a window counts as flat."""


def follow(
    probabilities: Float32[np.ndarray, "k rows columns"],
    light: Float32[np.ndarray, "rows columns"],
    fine_light: Float32[np.ndarray, "h w"] | None = None,
) -> Float32[np.ndarray, "k _h _w"]:
    """Let probabilities follow lightness.

    Args:
        probabilities: On a grid; they add up to 1.
        light: L*/50 of the same grid.
        fine_light: L*/50 of every pixel, to bring probabilities to the image's size; None leaves
            them on the grid.

    Returns:
        Probabilities that add up to 1, at the grid's or the image's size.
    """
    mean = _windowed(light)
    variance = _windowed(light * light) - mean * mean
    target = light if fine_light is None else fine_light
    found = np.empty((len(probabilities), *target.shape), np.float32)
    for k, one in enumerate(probabilities):
        centre = _windowed(one)
        slope = (_windowed(light * one) - mean * centre) / (variance + np.float32(EPSILON))
        offset = _windowed(centre - slope * mean)
        slope = _windowed(slope)
        if fine_light is not None:
            size = (target.shape[1], target.shape[0])
            slope, offset = (
                cv2.resize(a, size, interpolation=cv2.INTER_LINEAR) for a in (slope, offset)
            )
        found[k] = np.clip(slope * target + offset, 0, 1)
    return np.asarray(found / np.maximum(found.sum(axis=0), np.float32(1e-6)))


def _windowed(values: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

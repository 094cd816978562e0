"""Pictures of what was found: colours and outlines, doubt as heat, what rules removed."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int32, UInt8

from maskmill.overlay import palette
from maskmill.scribble.shaping import Step

REMOVED, ADDED = (230, 40, 50), (0, 200, 90)
"""Colours of what rules took away and gave."""


def overlay(
    image: UInt8[np.ndarray, "h w 3"],
    regions: Mapping[str, Int32[np.ndarray, "h w"]],
    steps: Sequence[Step] = (),
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw regions over an image, a colour per category in their order, each with an outline.

    Args:
        image: RGB pixels.
        regions: Per category.
        steps: What rules did, drawn in red and green where it still holds; none are drawn if empty.
    """
    out = image.astype(np.float32)
    for colour, found in zip(palette(len(regions)), regions.values(), strict=True):
        out[found > 0] = 0.6 * out[found > 0] + 0.4 * colour
        out[_outlines(found)] = colour
    left = np.logical_or.reduce([r > 0 for r in regions.values()], initial=False)
    for step in steps:
        out[step.removed & ~left] = REMOVED
        out[step.added & left] = ADDED
    return np.asarray(out.round().astype(np.uint8))


def doubt_map(
    uncertainty: Float[np.ndarray, "h w"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw uncertainty as heat: dark where the classifier is sure, bright where it is not."""
    levels = (np.clip(uncertainty, 0, 1) * 255).astype(np.uint8)
    heat = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(heat[..., ::-1])


def _outlines(regions: Int32[np.ndarray, "h w"]) -> np.ndarray:
    """Pixels whose right or lower neighbour belongs to another region, and that belong to one."""
    edge = np.zeros(regions.shape, bool)
    across, down = regions[:, 1:] != regions[:, :-1], regions[1:] != regions[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge & (regions > 0)

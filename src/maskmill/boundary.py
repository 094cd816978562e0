"""Outlines that follow the image: what a mask covers and what lies round it compete for pixels.

A mask decoder draws on a grid of four input pixels and knows objects from photographs; where a
small object stands out from its ground, the image knows the outline better. So the colours inside a
mask and in the ring round it are compared, each pixel near the outline goes to the side it
resembles, and that is done again from the new outline. Nothing is learned, and an object that
looks like its ground keeps its mask.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

STEPS = 3
"""Times that colours are compared; more changes nothing (`docs/decisions/engine.md`)."""
REACH = 0.3
"""How far round a mask is looked, share of its longer side."""
LEAST_REACH = 6
"""The same, pixels."""
SLOPE, FURTHEST = 0.8, 6.0
"""What a pixel's distance from the outline says for its side, logits a pixel, and at most."""
LARGE = 0.08
"""From this share of a mask's width on, an outline may move further: masks are drawn coarser."""
LOUDEST = 3.0
"""What colours may say at most, logits: they move outlines, and do not make objects."""
DISTINCT = 4.0
"""Distance of the two means, in their spread, squared, from which colours say all they may."""
NOISE = 4.0
"""Least variance of a colour, CIE L*a*b* in 8 bits."""


def as_colours(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    """Return what `follow_edges` compares: RGB pixels in L*a*b*, hardly smoothed."""
    smooth = cv2.GaussianBlur(image, (0, 0), 0.5)
    return np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB), np.float32)


def follow_edges(
    colours: Float32[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Move a mask's outline to where the image changes.

    Args:
        colours: From `as_colours`.
        mask: One object.

    Returns:
        The part that overlaps the mask most; the mask itself where it is empty or nothing is left.

    Source:
        Chan and Vese, "Active contours without edges" (2001), and Zhu and Yuille, "Region
        competition" (1996): two regions that claim pixels by their own statistics.
    """
    if not mask.any():
        return mask
    window, reach = _window(mask)
    inside = mask[window].astype(np.uint8)
    prior = _prior(inside)
    logits = prior
    for _ in range(STEPS):
        logits = prior + _claims(colours[window], logits, reach)
    kept = _kept(cv2.GaussianBlur(logits, (0, 0), 0.7) > 0, inside)
    if kept is None:
        return mask
    moved = np.zeros_like(mask)
    moved[window] = kept
    return moved


def _window(mask: Bool[np.ndarray, "h w"]) -> tuple[tuple[slice, slice], int]:
    """Return the box round a mask with its surroundings, and how far those reach, pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    reach = max(LEAST_REACH, int(REACH * side))
    return (
        slice(max(0, rows[0] - reach), rows[-1] + 1 + reach),
        slice(max(0, columns[0] - reach), columns[-1] + 1 + reach),
    ), reach


def _prior(inside: UInt8[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Say how surely each pixel is inside, by its distance from the outline alone."""
    within, without = (cv2.distanceTransform(part, cv2.DIST_L2, 5) for part in (inside, 1 - inside))
    width = max(1.0, LARGE * float(np.sqrt(inside.sum())))
    return np.asarray(np.clip(SLOPE * (within - without) / width, -FURTHEST, FURTHEST), np.float32)


def _claims(
    colours: Float32[np.ndarray, "h w 3"], logits: Float32[np.ndarray, "h w"], reach: int
) -> Float32[np.ndarray, "h w"]:
    """Say which side each pixel resembles, in logits; little where the sides look alike."""
    within = 1 / (1 + np.exp(-logits))
    ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = cv2.dilate((within > 0.5).astype(np.float32), ring) * (1 - within)
    (mean_in, spread_in), (mean_out, spread_out) = (_colour(colours, w) for w in (within, near))
    spread = np.maximum((spread_in + spread_out) / 2, NOISE)
    apart = float((((mean_in - mean_out) ** 2) / spread).sum())
    told = (((colours - mean_out) ** 2 - (colours - mean_in) ** 2) / (2 * spread)).sum(-1)
    claims = np.clip(told, -LOUDEST, LOUDEST) * min(1.0, apart / DISTINCT)
    return np.asarray(claims, np.float32)


def _colour(
    colours: Float32[np.ndarray, "h w 3"], weights: Float32[np.ndarray, "h w"]
) -> tuple[Float32[np.ndarray, " 3"], Float32[np.ndarray, " 3"]]:
    """Return the mean and the variance of some pixels' colours."""
    share = (weights / (weights.sum() + 1e-6))[..., None]
    mean = (colours * share).sum((0, 1))
    return mean, ((colours - mean) ** 2 * share).sum((0, 1))


def _kept(
    moved: Bool[np.ndarray, "h w"], inside: UInt8[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"] | None:
    """Return the connected part of an outline that overlaps the mask most."""
    count, parts = cv2.connectedComponents(moved.astype(np.uint8), connectivity=4)
    overlap = np.bincount(parts[inside > 0], minlength=count)
    overlap[0] = 0  # what is in no part
    return parts == int(overlap.argmax()) if overlap.any() else None

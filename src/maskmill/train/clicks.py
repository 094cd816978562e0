"""Where a person would click next: simulated from the true mask and the model's answer.

Two ways. Measuring takes the centre of the largest error, which is the same every time; training
takes any pixel of the error, as the paper does, so that the model meets sloppy clicks. Pixels are
those of the original image, (x, y); a click names a pixel, whose centre at +0.5 the model adds.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from maskmill.masks import mask_to_box


class Click(NamedTuple):
    """One click; unpacks into what `point_prompt` takes."""

    x: int
    """Column of the pixel."""
    y: int
    """Row of the pixel."""
    label: int
    """1 on what the answer misses, 0 on what it should not hold."""


def next_click(
    target: Bool[np.ndarray, "h w"], prediction: Bool[np.ndarray, "h w"]
) -> Click | None:
    """Click the centre of the largest error: the wrong pixel that is farthest from any right one.

    Missed and surplus pixels are looked at apart. In each, every pixel's Euclidean distance to the
    nearest pixel that is not of its kind is taken; beyond the image's border nothing is. The click
    falls where that distance is largest, in whichever of the two it is larger: "largest" is the
    width of an error, not its area. On a tie surplus is clicked before missed, and the first pixel
    in reading order before later ones.

    Args:
        target: The true mask.
        prediction: The model's answer.

    Returns:
        The click, or None if the two masks are equal.

    Example:
        >>> target = np.zeros((5, 9), bool)
        >>> target[1:4, 2:7] = True
        >>> next_click(target, np.zeros_like(target))
        Click(x=3, y=2, label=1)

    Source:
        Sofiiuk et al., "Reviving Iterative Training with Mask Guidance for Interactive
        Segmentation", arXiv 2102.06583, whose evaluation clicks so.
    """
    missed = _deepest(target & ~prediction)
    surplus = _deepest(prediction & ~target)
    if missed.distance == surplus.distance == 0:
        return None
    if missed.distance > surplus.distance:
        return Click(missed.x, missed.y, 1)
    return Click(surplus.x, surplus.y, 0)


def first_click(target: Bool[np.ndarray, "h w"]) -> Click:
    """Click the centre of an object: `next_click` where nothing is segmented yet.

    Raises:
        ValueError: If the mask is empty.
    """
    click = next_click(target, np.zeros_like(target))
    if click is None:
        raise ValueError("an empty mask has no pixel to click on; leave it out")
    return click


def random_click(error: Bool[np.ndarray, "h w"], rng: np.random.Generator) -> tuple[int, int]:
    """Draw a pixel of an error region, each with the same chance, as the paper trains.

    Args:
        error: Where the answer is wrong.
        rng: Decides.

    Returns:
        The pixel (x, y).

    Raises:
        ValueError: If nothing is wrong.

    Source:
        "Segment Anything", arXiv 2304.02643, appendix A, training algorithm.
    """
    wrong = np.flatnonzero(error)
    if not len(wrong):
        raise ValueError("nothing is wrong, so there is nothing to click on; end the session")
    y, x = divmod(int(rng.choice(wrong)), error.shape[1])
    return x, y


class _Depth(NamedTuple):
    distance: float
    x: int
    y: int


def _deepest(region: Bool[np.ndarray, "h w"]) -> _Depth:
    import cv2

    x0, y0, x1, y1 = (int(edge) for edge in mask_to_box(region))
    if x1 <= x0 or y1 <= y0:
        return _Depth(0.0, 0, 0)
    # Outside its box a region has no pixel, so the rest of the image changes no distance; the frame
    # of zeros stands for it, and for what lies beyond the image.
    padded = np.pad(region[y0:y1, x0:x1], 1).astype(np.uint8)
    distances = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    y, x = divmod(int(distances.argmax()), padded.shape[1])
    return _Depth(float(distances[y, x]), x0 + x - 1, y0 + y - 1)

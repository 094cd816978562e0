"""Pictures of masks: colours over a photograph, contours, and the prompts that were given.

For people to look at; nothing reads these pixels back. Works on arrays, knows no file and no model.
"""

import colorsys
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, UInt8

from maskmill import rle
from maskmill.rle import Rle
from maskmill.values import Prompt

FOREGROUND = (0, 200, 90)
"""Colour of a point on the object."""
BACKGROUND = (230, 40, 50)
"""Colour of a point that is not on the object."""
BOX = (255, 190, 0)
"""Colour of a box prompt."""


def palette(n: int) -> UInt8[np.ndarray, "n 3"]:
    """Choose colours so that neighbours in the list differ strongly.

    Hues step by the golden ratio, which spreads any number of them evenly; lightness takes turns,
    so that also those who cannot tell red from green see a difference.

    Args:
        n: How many.

    Returns:
        RGB in [0, 255]; the same every time, and the first colours do not depend on `n`.

    Example:
        >>> bool((palette(5)[:2] == palette(2)).all())
        True
    """
    golden = (5**0.5 - 1) / 2
    colours = [
        colorsys.hsv_to_rgb(
            (0.58 + i * golden) % 1, (0.85, 0.6, 0.9)[i % 3], (1.0, 0.95, 0.75)[i % 3]
        )
        for i in range(n)
    ]
    return np.round(np.array(colours).reshape(n, 3) * 255).astype(np.uint8)


def draw_masks(
    image: UInt8[np.ndarray, "h w 3"], masks: Sequence[Rle], *, opacity: float = 0.55
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay masks over a photograph, each in its colour with a bright contour.

    Larger masks are laid first, so that a part stays visible on its whole. Masks are decoded one
    by one: a thousand of them take no more memory than one.

    Args:
        image: RGB pixels; they are not changed.
        masks: At the image's size. A mask's place in the list decides its colour.
        opacity: Share of the colour within a mask, [0, 1].

    Returns:
        A new image.

    Raises:
        ValueError: If a mask's size is not the image's.
    """
    out = image.copy()
    colours = palette(len(masks))
    for i in sorted(range(len(masks)), key=lambda i: -rle.area(masks[i])):
        if masks[i].size != image.shape[:2]:
            raise ValueError(f"mask {i} has size {masks[i].size}, the image {image.shape[:2]}")
        mask = rle.decode(masks[i])
        colour = colours[i].astype(np.float32)
        out[mask] = np.round(out[mask] * (1 - opacity) + colour * opacity).astype(np.uint8)
        out[contour(mask)] = np.round(colour * 0.4 + 255 * 0.6).astype(np.uint8)
    return out


def contour(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the pixels of a mask that touch its outside; the image's edge is no outside.

    Example:
        >>> contour(np.array([[True, True, False]])).tolist()
        [[False, True, False]]
    """
    inner: Bool[np.ndarray, "h w"] = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    inner ^= mask
    return inner


def draw_prompts(
    image: UInt8[np.ndarray, "h w 3"], prompts: Sequence[Prompt]
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw points and boxes over a photograph: green the object, red what is not, amber a box.

    Args:
        image: RGB pixels; they are not changed.
        prompts: In pixels of this image. A mask prompt has nothing to draw.

    Returns:
        A new image; signs grow with it, so that they are seen on a large one too.
    """
    import cv2

    out = np.ascontiguousarray(image).copy()
    unit = max(1.0, min(image.shape[:2]) / 400)
    thick = max(2, round(2 * unit))
    for prompt in prompts:
        if prompt.box is not None:
            x0, y0, x1, y1 = np.round(prompt.box).astype(int).tolist()
            # Half-open: the last pixel inside is one before x1, y1.
            cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), BOX, thick, cv2.LINE_AA)
    for x, y, label in _points(prompts):
        radius = round(7 * unit)
        cv2.circle(out, (x, y), radius + thick, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(
            out, (x, y), radius, FOREGROUND if label else BACKGROUND, cv2.FILLED, cv2.LINE_AA
        )
    return out


def _points(prompts: Sequence[Prompt]) -> list[tuple[int, int, int]]:
    points: list[tuple[int, int, int]] = []
    for prompt in prompts:
        if prompt.point_coords is not None and prompt.point_labels is not None:
            xs = np.round(prompt.point_coords).astype(int).tolist()
            points += [(x, y, int(k)) for (x, y), k in zip(xs, prompt.point_labels, strict=True)]
    return points

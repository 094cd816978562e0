"""Large-scale jitter, flips and colour: one image and some of its masks, placed in a square frame.

Frames are as at inference: uint8 pixels, then normalised, then padded with zeros; here the padding
is a boolean map, because colours change before normalisation.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from maskmill.config import TrainConfig


class Placement(NamedTuple):
    """Where an image stands in the frame: its scaled size, its offset, whether it is mirrored.

    `size` is (H, W) in frame pixels; `offset` is (y, x) of the image's corner, negative where the
    image is cropped.
    """

    size: tuple[int, int]
    offset: tuple[int, int]
    mirrored: bool


def draw_placement(
    size: tuple[int, int], side: int, config: TrainConfig, rng: np.random.Generator
) -> Placement:
    """Draw a scale and a place for an image of `size` (H, W) in a frame of `side` pixels.

    Source:
        Ghiasi et al., arXiv 2012.07177, large-scale jitter.
    """
    low, high = np.log(config.scale_jitter)
    scale = float(np.exp(rng.uniform(low, high))) * side / max(size)
    h, w = (max(8, round(scale * s)) for s in size)
    # The offset lies between 0 and what is left over; negative where the image is larger.
    y, x = (int(rng.integers(min(0, side - s), max(0, side - s) + 1)) for s in (h, w))
    return Placement((h, w), (y, x), bool(rng.random() < 0.5))


def place(array: UInt8[np.ndarray, "h w *c"], side: int, placement: Placement) -> np.ndarray:
    """Scale, mirror and paste an array into an empty frame of `side` pixels."""
    import cv2

    (h, w), (y, x), mirrored = placement
    shrinks = h < array.shape[0]
    scaled = cv2.resize(
        array, (w, h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    if mirrored:
        scaled = scaled[:, ::-1]
    frame = np.zeros((side, side, *array.shape[2:]), np.uint8)
    window = scaled[max(0, -y) : side - y, max(0, -x) : side - x]
    top, left = max(0, y), max(0, x)
    frame[top : top + window.shape[0], left : left + window.shape[1]] = window
    return frame


def place_mask(
    mask: Bool[np.ndarray, "h w"], side: int, placement: Placement
) -> Bool[np.ndarray, "side side"]:
    """Place a mask as its image is placed."""
    placed: np.ndarray = place(mask.astype(np.uint8) * 255, side, placement) > 127
    return placed


def image_window(side: int, placement: Placement) -> Bool[np.ndarray, "side side"]:
    """Mark the frame's pixels that the image covers; the others are padding."""
    (h, w), (y, x), _ = placement
    covered = np.zeros((side, side), bool)
    covered[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)] = True
    return covered


def jitter_colour(
    image: UInt8[np.ndarray, "h w 3"], strength: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w 3"]:
    """Change brightness, contrast and saturation by up to `strength` each; rarely drop colour.

    Returns:
        Pixels in [0, 255], float32.
    """
    out = image.astype(np.float32)
    brightness, contrast, saturation = 1 + rng.uniform(-strength, strength, 3)
    grey = out @ np.array([0.299, 0.587, 0.114], np.float32)
    if rng.random() < 0.05:
        saturation = 0.0
    out = grey[..., None] + saturation * (out - grey[..., None])
    mean = float(grey.mean())
    out = brightness * (mean + contrast * (out - mean))
    clipped: np.ndarray = np.clip(out, 0, 255).astype(np.float32)
    return clipped

"""What a mask covers, as numbers: the model's maps within it, colours, place, size and shape.

A category head (`model.category_head`) tells kinds of objects apart by these.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from maskmill import rle
from maskmill.regions import covered_maps
from maskmill.rle import Rle
from maskmill.values import Embedding

OUTER = 12
"""Colours: mean and spread within a mask and in the ring around it, L*a*b*."""
SHAPE = 5
"""Where its box's middle lies, size, share of the box, and how elongated the box is."""
RING = 0.15
"""How far the ring reaches, share of the root of the mask's area."""


def descriptor_size(embedding: Embedding) -> int:
    """Return how many numbers `describe` gives for embeddings like this one."""
    return len(embedding.array) + sum(len(maps) for maps in embedding.high_res) + OUTER + SHAPE


def describe(
    image: UInt8[np.ndarray, "h w 3"], embedding: Embedding, masks: Sequence[Rle]
) -> Float32[np.ndarray, "n f"]:
    """Describe masks of an image.

    Args:
        image: RGB pixels.
        embedding: Of the image.
        masks: Of the image; an empty one is all zeros.
    """
    maps = covered_maps(embedding)
    colours = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.float32)
    rows = np.zeros((len(masks), descriptor_size(embedding)), np.float32)
    for row, mask in zip(rows, masks, strict=True):
        if rle.area(mask):
            drawn = rle.decode(mask).astype(np.uint8)
            looks = _looks(colours, drawn, rle.box(mask))
            row[:] = np.concatenate([_seen(maps, drawn), looks, _shape(mask)])
    return rows


def _seen(
    maps: list[Float32[np.ndarray, "_c _h _w"]], drawn: UInt8[np.ndarray, "h w"]
) -> Float32[np.ndarray, " c"]:
    """Return the mean of each channel over a mask, cells weighed by how much of them it covers."""
    height, width = maps[-1].shape[1:]
    # The large mask is shrunk once; coarser maps take theirs from that.
    fine = cv2.resize(drawn.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    means = []
    for values in maps:
        height, width = values.shape[1:]
        covered = np.asarray(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA))
        if covered.sum() <= 0:  # a mask so thin that resizing an image up lost it
            covered = np.full_like(covered, 1e-6)
        means.append((values * covered).sum((1, 2)) / covered.sum())
    return np.concatenate(means)


def _looks(
    colours: Float32[np.ndarray, "h w 3"],
    drawn: UInt8[np.ndarray, "h w"],
    box: tuple[int, int, int, int],
) -> Float32[np.ndarray, " 12"]:
    x0, y0, x1, y1 = box
    reach = max(2, round(RING * float(np.sqrt(drawn[y0:y1, x0:x1].sum()))))
    window = (
        slice(max(0, y0 - reach), y1 + reach),
        slice(max(0, x0 - reach), x1 + reach),
    )
    inside = drawn[window]
    around = cv2.dilate(inside, np.ones((2 * reach + 1,) * 2, np.uint8)) - inside
    near = colours[window]
    told = []
    for part in (inside > 0, around > 0):
        found = near[part] if part.any() else near[inside > 0]
        told += [found.mean(0), found.std(0)]
    return np.concatenate(told)


def _shape(mask: Rle) -> Float32[np.ndarray, " 5"]:
    x0, y0, x1, y1 = rle.box(mask)
    height, width = mask.size
    area = rle.area(mask)
    told = [
        (x0 + x1) / 2 / width,
        (y0 + y1) / 2 / height,
        np.log(np.sqrt(area / (height * width))),
        area / ((x1 - x0) * (y1 - y0)),
        np.log((x1 - x0) / (y1 - y0)),
    ]
    return np.array(told, np.float32)

"""Regions of an image, one for each object: what the region head sees, and what is made of it.

The head (`model.region_head`) says of every pixel whether it lies in an object, whether an outline
runs there, and how deep inside its object it lies. Here is what surrounds it, in training and in
use: the image and the model's maps at the size at which it works, and the objects that its three
answers draw, flooded from their deepest points down to their outlines.
"""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, UInt8

from maskmill.geometry import shrunk_size
from maskmill.values import Embedding

CELL = 4
"""Pixels of the working image a cell of the maps, each way."""
MULTIPLE = 16
"""The head halves the working image four times."""
TYPICAL = 24.0
"""How large objects are best, the root of their area, working pixels."""
SIDES = (256, 1024)
"""Least and greatest longer side of a working image, pixels."""
DARKEST, BRIGHTEST = 1.0, 99.5
"""Percentiles of an image that become 0 and 1: what is faint in one is bright in another."""
RISE = 0.2
"""Two peaks of depth are one object unless a valley as deep as this lies between them."""
LEAST_DEPTH = 0.25
"""Less deep peaks are no objects."""
LEAST_PIXELS = 10
"""Smaller regions are noise, working pixels."""
SURE, DOUBTFUL = 0.7, 0.5
"""Chance from which a pixel is surely inside, and from which it is inside at all."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What the head says of the pixels of a working image, each from 0 to 1.

    Attributes:
        inside: That a pixel lies in an object.
        outline: That it touches another object's pixel, or the ground's.
        depth: How deep it lies in its object: 1 at the deepest point, 0 outside.
    """

    inside: Float32[np.ndarray, "h w"]
    outline: Float32[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Region:
    """One object, within the box that holds it: thousands of them fit into memory.

    Attributes:
        shape: Its pixels, of the box around them.
        corner: Row and column of that box's first pixel in the image.
        score: How sure, 0 to 1: mean chance of being inside, share that surely is, solidity, and
            greatest depth, multiplied; or the chance that it is right, see `region_scores`.
        sure: The share of its pixels that surely is inside.
        middle: Its deepest pixel, x and y, pixels of the image.
    """

    shape: Bool[np.ndarray, "h w"]
    corner: tuple[int, int]
    score: float
    sure: float
    middle: tuple[float, float]

    def mask(self, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
        """Return its pixels of the whole image, of this height and width."""
        drawn = np.zeros(size, bool)
        (row, column), (height, width) = self.corner, self.shape.shape
        drawn[row : row + height, column : column + width] = self.shape
        return drawn


def side_for(shares: Float[np.ndarray, " n"]) -> int:
    """Return the working side at which objects are about `TYPICAL` pixels across.

    Args:
        shares: Of each object the root of its area over the longer side of its image.
    """
    side = TYPICAL / max(1e-6, float(np.median(shares)))
    return int(np.clip(-(-side // MULTIPLE) * MULTIPLE, *SIDES))


def working_image(image: UInt8[np.ndarray, "H W 3"], side: int) -> Float32[np.ndarray, "h w 3"]:
    """Return what the head sees of an image: at its working size, from about 0 to about 1."""
    height, width = shrunk_size((image.shape[0], image.shape[1]), side)
    if (height, width) != image.shape[:2]:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    dark, bright = np.percentile(image, (DARKEST, BRIGHTEST))
    return np.asarray((image.astype(np.float32) - dark) / max(1.0, bright - dark), np.float32)


def covered_maps(embedding: Embedding) -> list[Float32[np.ndarray, "_c _h _w"]]:
    """Return a model's maps without the part of the frame that its image does not cover."""
    maps = []
    for values in (embedding.array, *embedding.high_res):
        stride = embedding.input_side / values.shape[1]
        rows, columns = (max(1, round(n / stride)) for n in embedding.input_size)
        maps.append(np.asarray(values[:, :rows, :columns], np.float32))
    return maps


def working_maps(
    embedding: Embedding, size: tuple[int, int], cells: tuple[int, int]
) -> Float32[np.ndarray, "c cells_high cells_wide"]:
    """Return all maps of a model over a working image, a cell for `CELL` pixels each way.

    Args:
        embedding: Of the image.
        size: Height and width of the working image.
        cells: Rows and columns wanted; beyond the image the last ones are repeated.
    """
    planes = []
    for maps in covered_maps(embedding):
        scale_y, scale_x = (CELL * m / n for m, n in zip(maps.shape[1:], size, strict=True))
        # From the middle of a cell to the same spot of the map, both counted from pixels' middles.
        to_map = np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2]])
        planes += [
            cv2.warpAffine(
                plane,
                to_map,
                cells[::-1],
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for plane in maps
        ]
    return np.stack(planes)


def depth_of(objects: Int32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Return how deep each pixel lies in its object, 1 at its deepest point; 0 outside.

    Args:
        objects: Number of the object that each pixel belongs to; 0 is the ground.
    """
    from skimage.measure import regionprops

    depth = np.zeros(objects.shape, np.float32)
    for each in regionprops(objects):
        reach = cv2.distanceTransform(np.pad(each.image.astype(np.uint8), 1), cv2.DIST_L2, 5)
        within = reach[1:-1, 1:-1]
        depth[each.slice][each.image] = (within / within.max())[each.image]
    return depth


def outline_of(objects: Int32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return the pixels of which a neighbour, also across a corner, belongs to something else."""
    numbers, cross = objects.astype(np.float32), np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(numbers, cross) != cv2.erode(numbers, cross))


def regions_in(answer: Answer) -> list[Region]:
    """Draw the objects that the head sees: flooded from the deepest points, best first.

    Returns:
        Regions of the working image.

    Source:
        Beucher and Lantuéjoul, "Use of watersheds in contour detection" (1979); peaks by Vincent's
        h-maxima (1993), both as scikit-image has them.
    """
    from skimage.measure import regionprops
    from skimage.morphology import reconstruction
    from skimage.segmentation import watershed

    inside = answer.inside > DOUBTFUL
    depth = answer.depth * (1 - answer.outline / 2)
    depth = np.asarray(cv2.GaussianBlur(depth, (0, 0), 1.0))
    raised = depth - reconstruction(np.maximum(depth - RISE, 0), depth)
    peaks = (raised > RISE / 2) & inside & (depth > LEAST_DEPTH)
    _, seeds = cv2.connectedComponents(peaks.astype(np.uint8), connectivity=8)
    flooded = watershed(-depth, seeds, mask=inside)
    found = [_region(each, answer) for each in regionprops(flooded) if each.area >= LEAST_PIXELS]
    return sorted(found, key=lambda region: -region.score)


def _region(each: Any, answer: Answer) -> Region:
    """Measure what was flooded from a peak, its holes filled."""
    shape = np.asarray(each.image_filled, bool)
    inside, depth = answer.inside[each.slice], answer.depth[each.slice]
    sure = float((inside[shape] > SURE).mean())
    deepest = int(np.where(shape, depth, -1).argmax())
    row, column = divmod(deepest, shape.shape[1])
    top, left = each.slice[0].start, each.slice[1].start
    return Region(
        shape=shape,
        corner=(top, left),
        score=float(inside[shape].mean()) * sure * solidity(shape) * float(depth[shape].max()),
        sure=sure,
        middle=(left + column + 0.5, top + row + 0.5),
    )


def at_image_size(region: Region, working: tuple[int, int], size: tuple[int, int]) -> Region | None:
    """Move a region from the working image to the image itself.

    Args:
        region: Of the working image.
        working: Height and width of the working image.
        size: Height and width of the image.

    Returns:
        None if no pixel of the image is left.
    """
    if working == size:
        return region
    scales = [n / m for n, m in zip(size, working, strict=True)]
    spans = [
        (max(0, int(start * scale)), min(n, int(np.ceil((start + length) * scale))))
        for start, length, scale, n in zip(
            region.corner, region.shape.shape, scales, size, strict=True
        )
    ]
    (top, below), (left, right) = spans
    # From a pixel of the window to the same spot of the shape, both counted from pixels' middles.
    y, x = (
        [1 / scale, (span[0] + 0.5) / scale - 0.5 - start]
        for span, scale, start in zip(spans, scales, region.corner, strict=True)
    )
    to_shape = np.array([[x[0], 0, x[1]], [0, y[0], y[1]]])
    drawn = cv2.warpAffine(
        region.shape.astype(np.float32),
        to_shape,
        (right - left, below - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )
    shape: Bool[np.ndarray, "h w"] = np.asarray(drawn) > 0.5
    if not shape.any():
        return None
    middle = (region.middle[0] * scales[1], region.middle[1] * scales[0])
    return replace(region, shape=shape, corner=(top, left), middle=middle)


def solidity(shape: Bool[np.ndarray, "h w"]) -> float:
    """Return the share of its convex hull that a shape covers."""
    outlines, _ = cv2.findContours(shape.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(outlines, key=cv2.contourArea)
    # Both run through pixels' middles; half the outline's pixels lie without.
    hull = cv2.contourArea(cv2.convexHull(largest)) + len(largest) / 2
    return min(1.0, float(shape.sum()) / max(1.0, hull))

"""From cached features to one vector per pixel: dequantised, reduced, upsampled.

The model's maps have up to 128 channels at a sixteenth of the resolution, and strokes mark a few
hundred cells. All of them together drown the rest, so each map is centred and scaled within its
image and reduced to the directions along which the marked images vary most; that is done at the
map's own resolution, where it costs nothing, and only what is left is upsampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int16, UInt8

from maskmill.scribble.describing import DESCRIPTORS
from maskmill.scribble.features import (
    Features,
    Map,
    classical,
    differences,
    grid_size,
    model_maps,
    relative,
)
from maskmill.scribble.strokes import BACKGROUND, UNLABELLED
from maskmill.values import Embedding

DIRECTIONS = 8
"""Channels that are left of each of the model's maps."""
COVERED = 0.3
"""A cell of the working grid is marked if a stroke covers this share of it."""
CLASSICAL, LOCAL = 43, 128
"""Leading channels of a vector: filter responses; these, differences, and both relative."""
PARTS = (slice(0, CLASSICAL), slice(0, LOCAL), slice(0, -DESCRIPTORS))
"""What the trees of a forest may look at, a third of them each: filter responses alone; also what
compares them; also what the model says. Which of these carries over to other images differs from
set to set, and a few strokes do not tell."""
DESCRIBED = slice(-DESCRIPTORS, None)
"""The last channels of a vector: the pixel encoder's descriptors, which the linear probe weighs."""
BACKGROUND_PRIOR = 1.1
"""How many times as likely as another category background is: strokes on it show little of all that
it may look like."""
FEW_CELLS = 5
"""A category with fewer marked cells in an image takes every cell that its strokes touch."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Projection:
    """Directions that one of the model's maps is reduced to.

    Attributes:
        directions: Orthonormal columns.
    """

    directions: Float32[np.ndarray, "c k"]


def priors_of(categories: Sequence[str]) -> tuple[float, ...]:
    """Return how likely each category is taken to be before a pixel is looked at, in proportion."""
    return tuple(BACKGROUND_PRIOR if name == BACKGROUND else 1.0 for name in categories)


def fit_projections(images: Sequence[Features]) -> tuple[Projection, ...]:
    """Find, for each of the model's maps, the directions along which these images vary most.

    Args:
        images: Those that strokes mark; all by the same model.
    """
    projections = []
    for place in range(len(images[0].maps)):
        cells = np.concatenate([_flat(_centred(f.maps[place].values())) for f in images])
        _, vectors = np.linalg.eigh(np.cov(cells, rowvar=False))
        # eigh sorts upwards, and leaves the sign open: the largest entry is made positive.
        kept = vectors[:, ::-1][:, :DIRECTIONS]
        signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
        projections.append(Projection(directions=(kept * signs).astype(np.float32)))
    return tuple(projections)


def at_grid(features: Features, projections: Sequence[Projection]) -> Map:
    """Return the vectors of an image's working grid, channels first."""
    values = features.classical.values()
    maps = [m.values() for m in features.maps]
    local = np.concatenate([values, differences(values, features.stride)])
    described = features.descriptors.values()
    return _assembled(local, local, maps, features.spans, projections, described)


def at_pixels(
    image: UInt8[np.ndarray, "h w 3"],
    embedding: Embedding | None,
    features: Features,
    projections: Sequence[Projection],
) -> Map:
    """Return the vectors of every pixel of the working image, when somebody looks at an image.

    Args:
        image: RGB pixels of the working image, see `features.working_image`.
        embedding: By the model that the projections are of; None for classical features only.
        features: The image's features at the working grid: its middle and spread.
        projections: As trained.
    """
    maps, spans = model_maps(embedding)
    coarse, fine = features.classical.values(), classical(image)
    whole = np.concatenate([coarse, differences(coarse, features.stride)])
    local = np.concatenate([fine, differences(fine, 1.0)])
    described = features.descriptors.values()
    cells, size = described.shape[1:], (image.shape[0], image.shape[1])
    described = _upsampled(described, (cells[0], cells[1]), size)
    return _assembled(local, whole, maps, spans, projections, described)


def marked_cells(
    labels: Int16[np.ndarray, "h w"], categories: int
) -> Int16[np.ndarray, "rows columns"]:
    """Bring the strokes of an image to its working grid.

    Args:
        labels: Label map at the image's size.
        categories: How many there are.

    Returns:
        Place of the category that covers most of each cell; `UNLABELLED` where too little is. One
        with few cells lies over the others, so that a dot on a broad stroke is not lost.
    """
    rows, columns = grid_size((labels.shape[0], labels.shape[1]))
    row_of = np.arange(labels.shape[0]) * rows // labels.shape[0]
    column_of = np.arange(labels.shape[1]) * columns // labels.shape[1]
    ys, xs = np.nonzero(labels != UNLABELLED)
    count = np.zeros((categories, rows, columns), np.int32)
    np.add.at(count, (labels[ys, xs], row_of[ys], column_of[xs]), 1)
    area = labels.size / (rows * columns)
    enough = count >= COVERED * area
    counted = np.where(enough, count, 0)
    cells = np.where(counted.max(axis=0) > 0, counted.argmax(axis=0), UNLABELLED)
    few = np.flatnonzero(enough.sum(axis=(1, 2)) < FEW_CELLS)
    touched = (count > 0).sum(axis=(1, 2))
    for k in sorted(few, key=lambda k: -touched[k]):  # the smallest comes last, and stays whole
        cells[count[k] > 0] = k
    return cells.astype(np.int16)


def _assembled(
    values: Map,
    whole: Map,
    maps: Sequence[Map],
    spans: Sequence[tuple[float, float]],
    projections: Sequence[Projection],
    described: Map,
) -> Map:
    size = (values.shape[1], values.shape[2])
    parts = [values, relative(values, whole)]
    for array, span, projection in zip(maps, spans, projections, strict=True):
        reduced = np.tensordot(projection.directions.T, _centred(array), axes=1)
        parts.append(_upsampled(reduced, span, size))
    return np.concatenate([*parts, described])


def _centred(array: Map) -> Map:
    """Take an image's own mean from a map and divide by its own deviation, per channel."""
    middle = array.mean(axis=(1, 2), keepdims=True)
    deviation = array.std(axis=(1, 2), keepdims=True) + np.float32(0.05)
    return np.asarray((array - middle) / deviation, np.float32)


def _flat(array: Map) -> Float32[np.ndarray, "n c"]:
    return array.reshape(len(array), -1).T


def _upsampled(array: Map, span: tuple[float, float], size: tuple[int, int]) -> Map:
    """Bring a map to the grid, bilinear; as two matrix products, for many channels at once."""
    down = _blend(size[0], span[0], array.shape[1])
    across = _blend(size[1], span[1], array.shape[2])
    return np.asarray(down @ array @ across.T, np.float32)


def _blend(number: int, span: float, cells: int) -> Float32[np.ndarray, "number cells"]:
    """Return the shares of `cells` in each of `number` points spread evenly over `span` cells."""
    at = np.clip((np.arange(number) + 0.5) / number * span - 0.5, 0, cells - 1)
    left = np.minimum(at.astype(int), max(cells - 2, 0))
    share = (at - left).astype(np.float32)
    blend = np.zeros((number, cells), np.float32)
    rows = np.arange(number)
    blend[rows, left] += 1 - share
    blend[rows, np.minimum(left + 1, cells - 1)] += share
    return blend

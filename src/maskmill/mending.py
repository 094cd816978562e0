"""What people mended on an image, carried over to the masks there that nobody has touched.

Masks that a model pre-filled on one image are mostly wrong in one way: all a little too narrow, or
all without the pale rim that people count as theirs. Whoever has mended three of thirty has said
so. Here is what they said, learned from the pixels near the outlines of what they mended and of
what still stands, and applied near all others: by how far a pixel lies from the mask's outline and
how it looks, beside the mask and beside its surroundings.

A value in, a value out: the same mended masks say the same, in whatever order they came, and with
none all masks are as they were. Masks are of one size, and pixels those of the upright image.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from maskmill import rle
from maskmill.rle import Rle

LARGEST = 48.0
"""Root of a mask's area, working pixels: larger ones are looked at smaller."""
REACH = 0.4
"""How far from its outline a mask may move, share of the root of its area."""
LEAST_REACH, MOST_REACH = 3.0, 12.0
"""The same, working pixels."""
PENALTY = 10.0
"""Of a weight's square: what few pixels say is doubted."""
STANDING = 1.0
"""All masks that nobody has touched weigh as much as so many settled ones."""
MOST_PIXELS = 6000
"""Of each kind that is learned from."""
STEPS = 8
"""Newton's; it has converged by then."""
SAME = 0.95
"""IoU with what is shown from which a mask is not drawn anew: each time is a version for ever."""
LIKE_BEFORE = 0.3
"""A mask that would keep less of itself than this, by IoU, stays as it was."""

Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Edge:
    """The pixels near a mask's outline.

    Attributes:
        window: Box around the mask, pixels of the image.
        near: Which working pixels of the window may change sides.
        core: Which are inside, whatever is said.
        measures: Of each pixel that is near, in their order.
        inside: Whether the mask covers it.
    """

    window: Window
    near: Bool[np.ndarray, "h w"]
    core: Bool[np.ndarray, "h w"]
    measures: Float32[np.ndarray, "n m"]
    inside: Bool[np.ndarray, " n"]


class Mending:
    """The pre-filled masks of an image, ready to follow what people do to some of them.

    Args:
        image: RGB pixels.
        masks: As they were pre-filled, each with a pixel at least.
    """

    def __init__(self, image: UInt8[np.ndarray, "h w 3"], masks: Sequence[Rle]) -> None:
        self._masks = list(masks)
        self._size = (image.shape[0], image.shape[1])
        self._edges = _edges(image, self._masks)
        every = [edge.measures for edge in self._edges if len(edge.measures)]
        told = np.concatenate(every) if every else np.zeros((1, 1), np.float32)
        self._mean, self._deviation = told.mean(0), told.std(0) + 1e-3

    def after(
        self,
        settled: Mapping[int, Rle],
        *,
        gone: Collection[int] = (),
        others: Sequence[Rle] = (),
    ) -> dict[int, Rle]:
        """Say how the untouched masks should be drawn.

        Args:
            settled: What people made of some masks, or kept as they were shown, by their place. If
                none of them was mended, all others stay as they were pre-filled.
            gone: Places of masks that people took away.
            others: Masks that people made besides; nothing is drawn over these and the settled.

        Returns:
            Each mask that is neither settled nor gone, by its place.
        """
        left = [i for i in range(len(self._masks)) if i not in settled and i not in gone]
        mended = any(each != self._masks[i] for i, each in settled.items())
        weights = self._learn(settled, left) if left and mended else None
        if weights is None:
            return {i: self._masks[i] for i in left}
        taken = rle.decode(rle.union([*settled.values(), *others]))
        return {i: self._moved(i, weights, taken) for i in left}

    def _learn(
        self, settled: Mapping[int, Rle], left: Sequence[int]
    ) -> Float32[np.ndarray, " m"] | None:
        """Fit a logistic regression: the chance that a pixel near an outline lies inside."""
        told = [(i, _at(rle.decode(each), self._edges[i])) for i, each in settled.items()]
        measures = [self._edges[i].measures for i, _ in told]
        if not sum(map(len, measures)):
            return None
        one = sum(map(len, measures)) / len(measures)
        seen, inside, weight = _thinned(
            np.concatenate(measures), np.concatenate([each for _, each in told]), one * len(told)
        )
        standing = [i for i in left if len(self._edges[i].measures)]
        if standing:
            more = _thinned(
                np.concatenate([self._edges[i].measures for i in standing]),
                np.concatenate([self._edges[i].inside for i in standing]),
                STANDING * one,
            )
            seen, inside, weight = (
                np.concatenate(pair) for pair in zip((seen, inside, weight), more, strict=True)
            )
        if inside.all() or not inside.any():
            return None
        return _fit((seen - self._mean) / self._deviation, inside, weight)

    def _moved(
        self, place: int, weights: Float32[np.ndarray, " m"], taken: Bool[np.ndarray, "h w"]
    ) -> Rle:
        """Draw a mask as the weights say; the largest part of it, and nothing over `taken`."""
        edge, mask = self._edges[place], self._masks[place]
        if not len(edge.measures):
            return mask
        said = np.where(edge.core, 1.0, -1.0).astype(np.float32)
        seen = (edge.measures - self._mean) / self._deviation
        said[edge.near] = np.clip(seen @ weights[1:] + weights[0], -1, 1)
        rows, columns = edge.window
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if said.shape != (height, width):
            said = np.asarray(
                cv2.resize(said, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
            )
        inside = (said > 0) & ~taken[edge.window]
        _, parts = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4)
        if not parts.any():
            return mask
        drawn = np.zeros(self._size, bool)
        drawn[edge.window] = parts == np.bincount(parts[inside]).argmax()
        moved = rle.encode(drawn)
        return moved if rle.iou([moved], [mask])[0, 0] >= LIKE_BEFORE else mask


def to_redraw(
    shown: Mapping[int, Rle], told: Mapping[int, Rle], drawn: Mapping[int, Rle]
) -> dict[int, Rle]:
    """Return which masks are to be drawn otherwise than they are shown, and how.

    Args:
        shown: Masks as they are, by any name.
        told: How the same ones should be drawn, from `Mending.after`.
        drawn: The same ones as they were pre-filled: back there a mask always goes.
    """
    other = {name: mask for name, mask in told.items() if mask != shown[name]}
    return {
        name: mask
        for name, mask in other.items()
        if mask == drawn[name] or rle.iou([mask], [shown[name]])[0, 0] < SAME
    }


def _edges(image: UInt8[np.ndarray, "h w 3"], masks: Sequence[Rle]) -> list[_Edge]:
    """Look at the surroundings of each mask's outline."""
    owner = np.zeros(image.shape[:2], np.int32)
    for number, mask in enumerate(masks, start=1):
        left, top, right, bottom = rle.box(mask)
        window = (slice(top, bottom), slice(left, right))
        owner[window][rle.decode(mask)[window]] = number
    return [_edge(image, owner, number, mask) for number, mask in enumerate(masks, start=1)]


def _edge(image: UInt8[np.ndarray, "h w 3"], owner: np.ndarray, number: int, mask: Rle) -> _Edge:
    """Measure the pixels near one mask's outline, at a size at which it is not large."""
    root = float(np.sqrt(rle.area(mask)))
    scale = min(1.0, LARGEST / root)
    reach = float(np.clip(REACH * root * scale, LEAST_REACH, MOST_REACH))
    margin = int(np.ceil((reach + 2) / scale))
    left, top, right, bottom = rle.box(mask)
    window = (
        slice(max(0, top - margin), min(image.shape[0], bottom + margin)),
        slice(max(0, left - margin), min(image.shape[1], right + margin)),
    )
    pixels, own = image[window], owner[window]
    mine, theirs = own == number, (own > 0) & (own != number)
    if scale < 1:
        size = (max(1, round(own.shape[1] * scale)), max(1, round(own.shape[0] * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        mine, theirs = _shrunk(mine, size), _shrunk(theirs, size)
    signed = _signed(mine)
    # A pixel between two masks is nearer to one of them: that one may grow over it.
    near = (np.abs(signed) <= reach) & (signed <= np.maximum(_signed(theirs), 0))
    if not mine.any():
        near = np.zeros_like(near)
    measures = _measured(pixels, mine, signed)[near]
    return _Edge(window=window, near=near, core=mine & ~near, measures=measures, inside=mine[near])


def _signed(mask: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Return how far each pixel lies outside a mask; inside, from 0 down. Borders are no edges."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    drawn = mask.astype(np.uint8)
    inside = cv2.distanceTransform(np.pad(drawn, 1, "edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - drawn, cv2.DIST_L2, 5)
    return np.where(mask, 1 - inside, outside).astype(np.float32)


def _measured(
    pixels: UInt8[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"],
    signed: Float32[np.ndarray, "h w"],
) -> Float32[np.ndarray, "h w m"]:
    """Measure a window: place, colour, and colour beside the mask's and its surroundings'."""
    smooth = cv2.GaussianBlur(pixels, (0, 0), 0.7)
    colours = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB).astype(np.float32)
    around = cv2.GaussianBlur(colours, (0, 0), 2.0)
    own = colours[mask].mean(0) if mask.any() else colours.mean((0, 1))
    light = colours[..., 0]
    slope = np.hypot(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))
    planes = [np.maximum(signed, 0), np.minimum(signed, 0), slope]
    return np.concatenate(
        [np.stack(planes, -1), colours, colours - own, colours - around], -1
    ).astype(np.float32)


def _at(mask: Bool[np.ndarray, "h w"], edge: _Edge) -> Bool[np.ndarray, " n"]:
    """Return whether a mask of the image covers the pixels near an outline."""
    drawn = mask[edge.window]
    if drawn.shape != edge.near.shape:
        size = edge.near.shape[::-1]
        drawn = _shrunk(drawn, (size[0], size[1]))
    return np.asarray(drawn[edge.near], bool)


def _shrunk(mask: Bool[np.ndarray, "H W"], size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Return a mask at a smaller width and height: what at least half of a pixel's area says."""
    covered = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    return np.asarray(covered) > 127


def _thinned(
    measures: Float32[np.ndarray, "n m"], inside: Bool[np.ndarray, " n"], total: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return evenly chosen pixels, and weights that sum up to `total`."""
    step = -(-len(measures) // MOST_PIXELS)
    kept = inside[::step]
    return measures[::step], kept, np.full(len(kept), total / len(kept), np.float64)


def _fit(
    seen: Float32[np.ndarray, "n m"],
    inside: Bool[np.ndarray, " n"],
    weight: np.ndarray,
) -> Float32[np.ndarray, " _m"]:
    """Fit a weighted logistic regression by Newton's method; the bias comes first."""
    design = np.concatenate([np.ones((len(seen), 1)), seen], 1, dtype=np.float64)
    penalty = np.full(design.shape[1], PENALTY)
    penalty[0] = 1e-6
    fitted = np.zeros(design.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-(design @ fitted).clip(-30, 30)))
        slope = design.T @ (weight * (inside - chance)) - penalty * fitted
        curve = (design * (weight * chance * (1 - chance))[:, None]).T @ design
        fitted = fitted + np.linalg.solve(curve + np.diag(penalty), slope)
    return fitted.astype(np.float32)

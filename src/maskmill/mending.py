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
MENDED = 2
"""One mended mask may be wrong in its own way; so many have to be."""
LEFT_OUT = 6
"""Settled masks, each of which the others have to be able to tell."""
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
        mask: The mask there, pixels of the image.
        drawn: The same, working pixels.
        near: Which working pixels may change sides.
        measures: Of each pixel that is near, in their order.
        inside: Whether the mask covers it.
    """

    window: Window
    mask: Bool[np.ndarray, "H W"]
    drawn: Bool[np.ndarray, "h w"]
    near: Bool[np.ndarray, "h w"]
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
            settled: What people made of some masks, or kept as they were shown, by their place.
                Unless two of them were mended, and each can be told from the others better than
                it was pre-filled, all masks stay as they were.
            gone: Places of masks that people took away.
            others: Masks that people made besides; nothing is drawn over these and the settled.

        Returns:
            Each mask that is neither settled nor gone, by its place.
        """
        left = [i for i in range(len(self._masks)) if i not in settled and i not in gone]
        mended = sum(each != self._masks[i] for i, each in settled.items())
        told = {i: _at(rle.decode(settled[i]), self._edges[i]) for i in sorted(settled)}
        learns = left and mended >= MENDED and self._agree(settled, told, left)
        weights = self._learn(told, left) if learns else None
        if weights is None:
            return {i: self._masks[i] for i in left}
        taken = rle.decode(rle.union([*settled.values(), *others]))
        return {i: self._moved(i, weights, taken) for i in left}

    def _agree(
        self,
        settled: Mapping[int, Rle],
        told: Mapping[int, Bool[np.ndarray, " _n"]],
        left: Sequence[int],
    ) -> bool:
        """Tell whether settled masks, each left out in turn, come nearer by what the others say."""
        places = sorted(settled)
        gained = 0.0
        for place in places[:: -(-len(places) // LEFT_OUT)]:
            weights = self._learn({i: each for i, each in told.items() if i != place}, left)
            if weights is not None:
                drawn = [self._masks[place], self._moved(place, weights, None)]
                before, after = rle.iou(drawn, [settled[place]])[:, 0]
                gained += float(after - before)
        return gained > 0

    def _learn(
        self, told: Mapping[int, Bool[np.ndarray, " _n"]], left: Sequence[int]
    ) -> Float32[np.ndarray, " m"] | None:
        """Fit a logistic regression: the chance that a pixel near an outline lies inside.

        Args:
            told: Of settled masks, whether people have the pixels near their outlines inside.
            left: Untouched masks, which stand for themselves.
        """
        measures = [self._edges[i].measures for i in told]
        if not sum(map(len, measures)):
            return None
        one = sum(map(len, measures)) / len(measures)
        seen, inside, weight = _thinned(
            np.concatenate(measures), np.concatenate(list(told.values())), one * len(told)
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
        self,
        place: int,
        weights: Float32[np.ndarray, " m"],
        taken: Bool[np.ndarray, "h w"] | None,
    ) -> Rle:
        """Change the sides of those pixels of a mask of which the weights say so.

        It keeps as many parts as it had, and grows over nothing that is `taken`.
        """
        edge, mask = self._edges[place], self._masks[place]
        if not len(edge.measures):
            return mask
        before = np.where(edge.drawn, 1.0, -1.0).astype(np.float32)
        said = before.copy()
        seen = (edge.measures - self._mean) / self._deviation
        said[edge.near] = np.clip(seen @ weights[1:] + weights[0], -1, 1)
        old, new = (_enlarged(each, edge.mask.shape) > 0 for each in (before, said))
        # Where nothing was said anew the mask stays as it is, finer than working pixels are.
        inside = np.where(old != new, new, edge.mask)
        if taken is not None:
            inside &= edge.mask | ~taken[edge.window]
        kept = _largest(inside, _parts(edge.mask)[0])
        if not kept.any():
            return mask
        drawn = np.zeros(self._size, bool)
        drawn[edge.window] = kept
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
    covered = rle.decode(rle.union(list(masks))) if masks else np.zeros(image.shape[:2], bool)
    return [_edge(image, covered, mask) for mask in masks]


def _edge(image: UInt8[np.ndarray, "H W 3"], covered: Bool[np.ndarray, "H W"], mask: Rle) -> _Edge:
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
    pixels, whole = image[window], rle.decode(mask)[window]
    mine, theirs = whole, covered[window] & ~whole
    if scale < 1:
        size = (max(1, round(mine.shape[1] * scale)), max(1, round(mine.shape[0] * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        mine, theirs = _shrunk(mine, size), _shrunk(theirs, size)
    signed = _signed(mine)
    # A pixel between two masks is nearer to one of them: that one may grow over it.
    near = (np.abs(signed) <= reach) & (signed <= np.maximum(_signed(theirs), 0))
    if not mine.any():
        near = np.zeros_like(near)
    measures = _measured(pixels, mine, signed)[near]
    return _Edge(
        window=window, mask=whole, drawn=mine, near=near, measures=measures, inside=mine[near]
    )


def _parts(mask: Bool[np.ndarray, "h w"]) -> tuple[int, np.ndarray]:
    """Return how many parts a mask has, and which of them each pixel is of; 0 is none."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return count - 1, parts


def _largest(mask: Bool[np.ndarray, "h w"], number: int) -> Bool[np.ndarray, "h w"]:
    """Return the largest parts of a mask, so many of them."""
    count, parts = _parts(mask)
    if count <= number:
        return mask
    areas = np.bincount(parts[mask], minlength=count + 1)
    return np.asarray(mask & np.isin(parts, np.argsort(-areas, kind="stable")[:number]))


def _enlarged(
    values: Float32[np.ndarray, "h w"], size: tuple[int, ...]
) -> Float32[np.ndarray, "H W"]:
    """Bring working pixels to those of the image, bilinear."""
    if values.shape == size:
        return values
    larger = cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(larger, np.float32)


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

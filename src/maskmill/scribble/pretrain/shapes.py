"""Shapes of one kind, drawn anew for each image of a made-up project: cells, cracks, patches, ...

Source:
    Billot et al., "SynthSeg", arXiv 2107.09559, for learning from images that are made up so widely
    that real ones are one kind among many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int16, UInt8
from numpy.random import Generator

Kind = Literal[
    "patches", "curves", "net", "ellipses", "spots", "polygons", "one side", "photographed"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
CHANCES = (0.20, 0.20, 0.06, 0.20, 0.08, 0.08, 0.06, 0.12)
"""Of each kind."""
STEP = 6.0
"""Pixels between the points of a curve."""
FRACTION = 3
"""Bits of a pixel's fraction in what OpenCV draws."""

Labelled = tuple[UInt8[np.ndarray, "_h _w 3"], Int16[np.ndarray, "_h _w"]]
"""A photograph, and the number of each pixel's category; 0 is none."""


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """What all shapes of one kind in a project have in common.

    Attributes:
        kind: Which.
        scale: Width of a patch, pixels.
        cut: How rare patches are, deviations of the noise they are cut from.
        number: How many an image holds, about.
        radius: Of an ellipse, a spot or a polygon, pixels.
        spread: Of the logarithm of sizes.
        flatness: The lesser axis over the greater one.
        thickness: Of a curve, pixels.
        bend: Of a curve, radians a step.
    """

    kind: Kind
    scale: float
    cut: float
    number: int
    radius: float
    spread: float
    flatness: float
    thickness: int
    bend: float


def some_shapes(rng: Generator) -> Shapes:
    """Draw a kind of shapes."""
    kind = KINDS[rng.choice(len(KINDS), p=CHANCES)]
    return Shapes(
        kind=kind,
        scale=between(rng, 4, 60),
        cut=rng.uniform(0.5, 1.8),
        number=int(between(rng, 1, 40)),
        radius=rng.uniform(1.5, 6) if kind == "spots" else between(rng, 2.5, 35),
        spread=rng.uniform(0.05, 0.5),
        flatness=rng.uniform(0.4, 1),
        thickness=int(rng.integers(1, 7)),
        bend=rng.uniform(0.05, 0.6),
    )


def draw_shapes(
    shapes: Shapes, rng: Generator, side: int, labelled: Sequence[Labelled]
) -> Bool[np.ndarray, "side side"]:
    """Draw an image's shapes.

    Args:
        shapes: Of which kind.
        rng: Decides where.
        side: Of the image, pixels.
        labelled: Photographs whose objects' outlines may be taken.
    """
    match shapes.kind:
        case "patches":
            return noise(rng, shapes.scale, side) > shapes.cut
        case "one side":
            return noise(rng, side, side) + noise(rng, 30, side) / 5 > rng.normal(0, 0.4)
        case "curves" | "net":
            return _curves(shapes, rng, side)
        case "photographed":
            return _photographed(rng, side, labelled)
        case _:
            return _dropped(shapes, rng, side)


def between(rng: Generator, least: float, most: float) -> float:
    """Draw a number, its logarithm evenly."""
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def noise(rng: Generator, scale: float, side: int) -> Float32[np.ndarray, "side side"]:
    """Return smooth noise, its mean 0 and its deviation 1.

    Args:
        rng: Decides it.
        scale: Pixels over which it changes.
        side: Of the image, pixels.
    """
    cells = max(2, int(side / max(1.0, scale / 2)))
    drawn = rng.normal(size=(cells, cells)).astype(np.float32)
    smooth = np.asarray(cv2.resize(drawn, (side, side), interpolation=cv2.INTER_CUBIC))
    if scale < 4:
        smooth = np.asarray(cv2.GaussianBlur(smooth, (0, 0), max(0.5, scale / 2)))
    return np.asarray((smooth - smooth.mean()) / (smooth.std() + 1e-6), np.float32)


def cut_square(photo: Labelled, rng: Generator, side: int, zoom: tuple[float, float]) -> Labelled:
    """Cut a square out of a photograph, scaled by a factor within `zoom`, turned and flipped."""
    pixels, labels = photo
    room = min(pixels.shape[:2])
    reach = int(min(room, max(24, side / between(rng, *zoom))))
    top, left = (int(rng.integers(n - reach + 1)) for n in pixels.shape[:2])
    window = slice(top, top + reach), slice(left, left + reach)
    how = cv2.INTER_AREA if reach > side else cv2.INTER_LINEAR
    seen = np.asarray(cv2.resize(pixels[window], (side, side), interpolation=how))
    told = np.asarray(cv2.resize(labels[window], (side, side), interpolation=cv2.INTER_NEAREST))
    turns, flipped = int(rng.integers(4)), bool(rng.random() < 0.5)
    seen, told = np.rot90(seen, turns), np.rot90(told, turns)
    if flipped:
        seen, told = seen[:, ::-1], told[:, ::-1]
    return np.ascontiguousarray(seen), np.ascontiguousarray(told)


def _curves(shapes: Shapes, rng: Generator, side: int) -> Bool[np.ndarray, "side side"]:
    """Draw lines that wander: a few bent ones, or many straight ones that cross."""
    drawn = np.zeros((side, side), np.uint8)
    net = shapes.kind == "net"
    for _ in range(max(1, int(rng.poisson(1 + shapes.number / (3 if net else 8))))):
        turns = rng.normal(0, shapes.bend * (0.3 if net else 1), int(rng.integers(5, 60)))
        along = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
        steps = STEP * np.stack([np.cos(along), np.sin(along)], 1)
        points = rng.uniform(0, side, 2) + np.cumsum(steps, axis=0)
        thickness = max(1, round(shapes.thickness * np.exp(rng.normal(0, 0.2))))
        told = np.asarray(points * (1 << FRACTION), np.int32)
        cv2.polylines(drawn, [told], False, 1, thickness, cv2.LINE_8, FRACTION)
    return drawn > 0


def _dropped(shapes: Shapes, rng: Generator, side: int) -> Bool[np.ndarray, "side side"]:
    """Drop ellipses or polygons anywhere."""
    drawn = np.zeros((side, side), np.uint8)
    for _ in range(max(1, int(rng.poisson(shapes.number)))):
        radius = shapes.radius * float(np.exp(rng.normal(0, shapes.spread)))
        x, y = rng.uniform(0, side, 2).tolist()
        if shapes.kind == "polygons":
            around = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
            reach = radius * rng.uniform(0.7, 1.3, (len(around), 1))
            corners = (x, y) + reach * np.stack([np.cos(around), np.sin(around)], 1)
            cv2.fillPoly(drawn, [np.asarray(corners, np.int32)], 1)
        else:
            axes = max(1.5, 2 * radius), max(1.5, 2 * radius * shapes.flatness)
            cv2.ellipse(drawn, ((x, y), axes, float(rng.uniform(0, 180))), 1, -1)
    return drawn > 0


def _photographed(
    rng: Generator, side: int, labelled: Sequence[Labelled]
) -> Bool[np.ndarray, "side side"]:
    """Take the outlines of what photographs show."""
    drawn = np.zeros((side, side), bool)
    for _ in range(int(rng.integers(1, 4))):
        _, told = cut_square(labelled[int(rng.integers(len(labelled)))], rng, side, (0.4, 1.2))
        there = np.unique(told[told > 0])
        if len(there):
            drawn |= told == rng.choice(there)
    return drawn

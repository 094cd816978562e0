"""How what stands out looks on what lies beneath it, and what a camera makes of a scene.

Of a made-up project everything is decided once and varies a little from image to image: what the
ground is, how a category's pixels differ from it, and how unlike in light its images are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from numpy.random import Generator

from maskmill.scribble.pretrain.shapes import between, cut_square, noise

Kind = Literal["texture", "shift", "gain", "blur", "grain", "flat", "mirrored"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CHANCES = (0.34, 0.20, 0.16, 0.05, 0.05, 0.15, 0.05)
"""Of each kind."""
GROUNDS = ("photograph", "photographs", "flat", "pattern")
GROUND_CHANCES = (0.4, 0.3, 0.2, 0.1)

Photo = UInt8[np.ndarray, "_h _w 3"]
Picture = Float32[np.ndarray, "n n 3"]
"""RGB from about 0 to about 1."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Look:
    """How a category's pixels differ from what lies beneath them.

    Attributes:
        kind: Another texture; colours shifted; darker or brighter by a factor; blurred; with more
            grain; of one colour; or what the mirrored ground shows there.
        photo: The other texture.
        zoom: Of it.
        shift: Of colours.
        factor: Of brightness.
        towards: Brightness that the factor leaves as it is: black, or the ground's mean.
        varies: How much shift and factor vary from image to image.
        blur: Deviation, pixels.
        grain: Width of the grain, pixels, and its strength.
        colour: The one colour.
        soft: Deviation of an edge's blur, pixels.
        rim: Brightness that outlines have more.
        dome: Brightness that middles have more than edges.
    """

    kind: Kind
    photo: Photo
    zoom: float
    shift: Float32[np.ndarray, "3"]
    factor: float
    towards: bool
    varies: float
    blur: float
    grain: tuple[float, float]
    colour: Float32[np.ndarray, "3"]
    soft: float
    rim: float
    dome: float


def some_look(rng: Generator, photos: Sequence[Photo]) -> Look:
    """Draw how a category looks."""
    return Look(
        kind=KINDS[rng.choice(len(KINDS), p=CHANCES)],
        photo=photos[int(rng.integers(len(photos)))],
        zoom=between(rng, 0.4, 2.5),
        shift=(rng.normal(0, 0.22, 3) + rng.normal(0, 0.12)).astype(np.float32),
        factor=float(np.exp(rng.normal(0, 0.45))),
        towards=bool(rng.random() < 1 / 3),
        varies=rng.uniform(0, 0.3),
        blur=rng.uniform(1, 4),
        grain=(rng.uniform(1, 7), rng.uniform(0.05, 0.25)),
        colour=rng.uniform(0, 1, 3).astype(np.float32),
        soft=rng.uniform(0, 1.2),
        rim=rng.normal(0, 0.2) if rng.random() < 0.3 else 0.0,
        dome=rng.normal(0, 0.2) if rng.random() < 0.3 else 0.0,
    )


def paint(look: Look, picture: Picture, shape: Bool[np.ndarray, "n n"], rng: Generator) -> Picture:
    """Return a picture on which pixels of a shape look so."""
    inside = shape.astype(np.uint8)
    painted = _painted(look, picture, rng)
    if look.dome and shape.any():
        depth = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3))
        depth = np.minimum(1, depth / (np.percentile(depth[shape], 90) + 1e-3))
        painted = painted + (look.dome * (depth - 0.5))[..., None]
    share = inside.astype(np.float32)
    if look.soft > 0.3:
        share = np.asarray(cv2.GaussianBlur(share, (0, 0), look.soft))
    mixed = picture + (painted - picture) * share[..., None]
    if look.rim:
        rim = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        mixed = mixed + (look.rim * np.asarray(rim, np.float32))[..., None]
    return np.asarray(mixed, np.float32)


def _painted(look: Look, picture: Picture, rng: Generator) -> Float[np.ndarray, "n n 3"]:
    """Return the whole picture as it looks where the category is."""
    side, varied = len(picture), np.exp(rng.normal(0, look.varies))
    width, strength = look.grain
    match look.kind:
        case "texture":
            return cut(look.photo, rng, side, (look.zoom * 0.8, look.zoom * 1.25))
        case "shift":
            return np.asarray(picture + look.shift * varied)
        case "gain":
            factor = look.factor**varied
            kept = picture.mean() if look.towards else 0.0
            return np.asarray(picture * factor + (1 - factor) * kept)
        case "blur":
            return np.asarray(cv2.GaussianBlur(picture, (0, 0), look.blur))
        case "grain":
            return np.asarray(picture + (noise(rng, width, side) * strength)[..., None])
        case "flat":
            told = look.colour + rng.normal(0, 0.05 * look.varies, 3)
            return np.asarray(told + (noise(rng, width + 1, side) * strength * 0.3)[..., None])
        case "mirrored":
            return np.asarray(np.clip(picture[::-1, ::-1] * look.factor**0.3, 0, 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Ground:
    """What lies beneath: places of one photograph, of several, one colour, or a pattern."""

    kind: str
    photos: Sequence[Photo]
    zoom: float
    colour: Float32[np.ndarray, "3"]
    grain: tuple[float, float]


def some_ground(rng: Generator, photos: Sequence[Photo]) -> Ground:
    """Draw a ground; photographs that stand side by side are of one source, and alike."""
    first = int(rng.integers(max(1, len(photos) - 5)))
    return Ground(
        kind=GROUNDS[rng.choice(len(GROUNDS), p=GROUND_CHANCES)],
        photos=photos[first : first + 5],
        zoom=between(rng, 0.5, 3),
        colour=rng.uniform(0, 1, 3).astype(np.float32),
        grain=(rng.uniform(0.5, 8), rng.uniform(0, 0.12)),
    )


def lay(ground: Ground, rng: Generator, side: int) -> Picture:
    """Return a picture of nothing but ground."""
    if ground.kind == "photograph":
        return cut(ground.photos[0], rng, side, (ground.zoom * 0.9, ground.zoom * 1.1))
    if ground.kind == "photographs":
        return cut(ground.photos[int(rng.integers(len(ground.photos)))], rng, side, (0.5, 2))
    if ground.kind == "pattern":
        tile = cut(ground.photos[0], rng, side // 4, (0.5, 0.75))
        return np.tile(tile, (4, 4, 1))
    width, strength = ground.grain
    told = ground.colour + rng.normal(0, 0.02, 3) + (noise(rng, width, side) * strength)[..., None]
    return np.asarray(np.clip(told, 0, 1), np.float32)


def cut(photo: Photo, rng: Generator, side: int, zoom: tuple[float, float]) -> Picture:
    """Cut a square picture out of a photograph; see `shapes.cut_square`."""
    blank = np.zeros(photo.shape[:2], np.int16)
    return np.asarray(cut_square((photo, blank), rng, side, zoom)[0], np.float32) / 255


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How unlike in light a project's images are.

    Attributes:
        unlike: 0 alike, 2 very different.
        grey: It sees no colours.
        negative: It sees dark as bright.
        blur: Deviation, pixels.
        noise: Deviation.
        slope: Of the light across an image.
    """

    unlike: float
    grey: bool
    negative: bool
    blur: float
    noise: float
    slope: float


def some_camera(rng: Generator, *, real: bool = False) -> Camera:
    """Draw a camera; one that looks at photographs changes them less."""
    return Camera(
        unlike=float(rng.choice([0.1, 0.5, 1.0, 1.0 if real else 2.0])),
        grey=bool(rng.random() < 0.3),
        negative=bool(rng.random() < 0.1) and not real,
        blur=max(0.0, rng.normal(0, 0.6)),
        noise=abs(rng.normal(0, 0.025)),
        slope=abs(rng.normal(0, 0.25)),
    )


def take(camera: Camera, scene: Picture, rng: Generator) -> Picture:
    """Return what a camera makes of a scene, from 0 to 1."""
    side, unlike = len(scene), camera.unlike
    seen = np.clip(scene, 0, 1) ** np.exp(rng.normal(0, 0.15 * unlike))
    tint = np.exp(rng.normal(0, 0.12 * unlike) + rng.normal(0, 0.05 * unlike, 3))
    seen = seen * tint + rng.normal(0, 0.04 * unlike)
    across, along = min(0.6, camera.slope * unlike) / 2, rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    seen = seen * (1 + across * (np.cos(along) * x + np.sin(along) * y))[..., None]
    if camera.negative:
        seen = 1 - seen
    if camera.grey:
        seen = np.repeat(seen.mean(axis=2, keepdims=True), 3, axis=2)
    seen = seen.astype(np.float32)
    if camera.blur > 0.3:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), camera.blur))
    seen = seen + rng.normal(0, camera.noise, (side, side, 1 if camera.grey else 3))
    return np.asarray(np.clip(seen, 0, 1), np.float32)

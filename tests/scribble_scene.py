"""A drawn scene for tests: rough ground, bright discs and dark bars, and where they are."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.formats import LabelledImage, LabelledMask
from maskmill.scribble.strokes import Stroke

CATEGORIES = ("background", "disc", "bar")


def scene(seed: int, size: tuple[int, int] = (200, 260)) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and its label map."""
    random = np.random.default_rng(seed)
    labels = np.zeros(size, np.uint8)
    height, width = size
    for _ in range(5):
        x, y = int(random.integers(20, width - 20)), int(random.integers(20, height - 20))
        cv2.circle(labels, (x, y), int(random.integers(10, 16)), 1, -1)
    for _ in range(2):
        x, y = int(random.integers(40, width - 70)), int(random.integers(20, height - 20))
        cv2.line(labels, (x, y), (x + 60, y + int(random.integers(-15, 15))), 2, 9)
    colours = np.array([[110, 120, 90], [210, 200, 150], [50, 40, 60]], np.float32)
    noise = random.normal(0, 12, (*size, 1))
    image = np.clip(colours[labels] + noise, 0, 255).astype(np.uint8)
    return image, labels.astype(np.int16)


def strokes(name: str, labels: np.ndarray) -> list[Stroke]:
    """Return one short stroke per category, along a row of what is deepest in it."""
    drawn = []
    for k, category in enumerate(CATEGORIES):
        deep = cv2.distanceTransform((labels == k).astype(np.uint8), cv2.DIST_L2, 5)
        deep[:, :20] = deep[:, -20:] = 0  # room for the stroke
        y, x = (int(v) for v in np.unravel_index(deep.argmax(), deep.shape))
        points = ((x - 6, y), (x + 6, y)) if k else ((x - 15, y), (x + 15, y))
        drawn.append(Stroke(image=name, category=category, points=points, width=3))
    return drawn


def labelled(folder: Path, number: int, source: str = "scenes") -> LabelledImage:
    """Write a scene and return it with a mask of all discs and one of all bars."""
    image, labels = scene(number)
    path = folder / f"{source}-{number}.png"
    Image.fromarray(image).save(path)
    masks = tuple(LabelledMask(rle=rle.encode(labels == k), category=CATEGORIES[k]) for k in (1, 2))
    size = (labels.shape[0], labels.shape[1])
    return LabelledImage(
        image_id=path.stem, path=path, size=size, source=source, split="train", annotations=masks
    )

"""Short ways to fill a project in tests."""

import hashlib

import numpy as np

from maskmill import rle
from maskmill.store import Annotation, Create, Image, Made, NewImage, Project

BY_ANN = Made(made_by="person", author="ann", stage="assisted", seconds=3.5, clicks=2)


def new_image(name: str, size: tuple[int, int] = (20, 30), **more: object) -> NewImage:
    """An image whose file's hash follows from its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    values = {"path": f"/photos/{name}", "content_hash": digest, "source": "photos"} | more
    return NewImage(height=size[0], width=size[1], **values)  # type: ignore[arg-type]


def square(y: int, x: int, side: int, size: tuple[int, int] = (20, 30)) -> rle.Rle:
    """A square mask, its corner at (y, x)."""
    mask = np.zeros(size, bool)
    mask[y : y + side, x : x + side] = True
    return rle.encode(mask)


def add_images(project: Project, *names: str, **more: object) -> list[Image]:
    return project.images.add([new_image(name, **more) for name in names])


def add_masks(
    project: Project, image: Image, *masks: rle.Rle, made: Made = BY_ANN, **more: object
) -> list[Annotation]:
    """Put masks on an image in one operation of its own."""
    changes = [Create(image_id=image.id, rle=m, made=made, **more) for m in masks]  # type: ignore[arg-type]
    operation = hashlib.sha256(repr((image.id, masks, more)).encode()).hexdigest()
    return project.annotations.apply(operation, changes, by=made.author)

"""Small masks and changes to fill a project with."""

import numpy as np

from maskmill import rle
from maskmill.rle import Rle
from maskmill.store import Create, Image, Made, NewImage, Project

SIZE = (6, 8)
BY_PERSON = Made(made_by="person", author="ann", stage="assisted")


def rectangle(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = SIZE) -> Rle:
    """A mask that is a half-open box."""
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return rle.encode(mask)


SQUARE, BAR = rectangle(1, 1, 4, 4), rectangle(0, 5, 8, 6)


def new_image(path: str, content: str = "a", **more: object) -> NewImage:
    """An image to add; `content` stands for what is in the file."""
    known = {"height": SIZE[0], "width": SIZE[1], "source": "album", **more}
    return NewImage(path=path, content_hash=content * 64, **known)


def add_image(project: Project, path: str = "one.jpg") -> Image:
    """Add one image."""
    (image,) = project.images.add([new_image(path)])
    return image


def a_mask(image_id: int, mask: Rle = SQUARE, **more: object) -> Create:
    """A new mask by a person."""
    return Create(image_id=image_id, rle=mask, **{"made": BY_PERSON, **more})

"""The photograph behind the labels: its size, and which way up its labels were drawn.

A camera held sideways stores the pixels sideways and says so in EXIF; `read_image` turns them
upright. Tools disagree on which of the two frames their labels are in, so the size that the file
claims decides. Where it cannot (a half turn, a mirror, a square), the labels are taken to be
upright, as every browser has shown photographs since 2020 and so as people saw them.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
from jaxtyping import Bool
from PIL import ExifTags, Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.labelled import LabelledImage, LabelledMask
from maskmill.images import FORMATS, WARNINGS_LOCK
from maskmill.jpeg import HEAD, plain_jpeg_size

_TURNED_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Header:
    """What a photograph's file says of itself, without its pixels."""

    stored_size: tuple[int, int]
    """(H, W) of the pixels as they lie in the file."""
    orientation: int
    """EXIF's number, 1 to 8; 1 is upright as stored."""

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the upright photograph."""
        h, w = self.stored_size
        return (w, h) if self.orientation in _TURNED_SIDEWAYS else (h, w)


def read_header(path: Path) -> Header | None:
    """Read a photograph's size and orientation, or None if it is no image that we can open."""
    try:
        with path.open("rb", buffering=0) as file:  # one look; a buffer costs more than it saves
            plain = plain_jpeg_size(file.read(HEAD))
        if plain is not None:
            return Header(plain, 1)
        with WARNINGS_LOCK, catch_warnings():
            simplefilter("ignore")  # a huge one is refused by whoever reads its pixels
            with Image.open(path, formats=FORMATS) as image:
                size, orientation = _stored_size(image), _orientation(image)
    except Exception:  # Pillow throws nearly every class at damaged files; see images.py
        return None
    return Header(size, orientation)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    # Of a TIFF, and of it alone, Pillow gives the size after turning; its tags hold the other.
    tags = getattr(image, "tag_v2", None)
    return (tags[257], tags[256]) if tags is not None else (image.height, image.width)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata does not turn a photograph
        return 1
    return value if value in range(1, 9) else 1


def require_header(path: Path) -> Header:
    """Read a photograph's size for labels that do not say it themselves.

    Raises:
        DatasetError: If it cannot be read.
    """
    header = read_header(path)
    if header is None:
        raise DatasetError(f"its photograph {path.name} cannot be read, and only it knows the size")
    return header


def upright(image: LabelledImage) -> LabelledImage:
    """Bring an image's labels into the frame of its upright photograph.

    Args:
        image: As its file claims it: the size, and masks of that size.

    Returns:
        The image with the size that `read_image` gives. A photograph that cannot be read is left
        to whoever wants its pixels.

    Raises:
        DatasetError: If the claimed size is neither the stored nor the upright one.
    """
    header = read_header(image.path)
    if header is None or image.size == header.size:
        return image
    if image.size != header.stored_size:
        height, width = header.size
        raise DatasetError(
            f"its photograph is {width}x{height} pixels, its labels were drawn for "
            f"{image.size[1]}x{image.size[0]}; restore the original photograph or scale the labels"
        )
    turned = tuple(turn(mask, header.orientation) for mask in image.annotations)
    return replace(image, size=header.size, annotations=turned)


def turn(mask: LabelledMask, orientation: int) -> LabelledMask:
    """Turn a mask from the frame of the stored pixels into that of the upright photograph.

    Args:
        mask: The mask; its points and crop box are turned too.
        orientation: EXIF's number, 1 to 8.
    """
    size = mask.rle.size
    crop = mask.crop_box
    if crop is not None:
        (xa, ya), (xb, yb) = (_turn_point(crop[i : i + 2], size, orientation) for i in (0, 2))
        crop = (min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
    return replace(
        mask,
        rle=rle.encode(turn_pixels(rle.decode(mask.rle), orientation)),
        point_coords=tuple(_turn_point(point, size, orientation) for point in mask.point_coords),
        crop_box=crop,
        shape=None,
    )


def turn_pixels(stored: Bool[np.ndarray, "h w"], orientation: int) -> Bool[np.ndarray, "h2 w2"]:
    """Turn a stored mask upright, as Pillow's `exif_transpose` turns its photograph."""
    if orientation in _TURNED_SIDEWAYS:
        stored = stored.T
    flip_y = orientation in (3, 4, 7, 8)
    flip_x = orientation in (2, 3, 6, 7)
    return stored[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def _turn_point(
    point: tuple[float, ...], size: tuple[int, int], orientation: int
) -> tuple[float, float]:
    x, y = point
    h, w = size
    if orientation in _TURNED_SIDEWAYS:
        x, y, h, w = y, x, w, h
    if orientation in (2, 3, 6, 7):
        x = w - x
    if orientation in (3, 4, 7, 8):
        y = h - y
    return x, y

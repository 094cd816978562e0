"""Pictures that maskmill draws, and how they are told from photographs.

Overlays and masks may be written into the very folder that holds the photographs. So each picture
says in its header what it is, and no later run takes it for a photograph.
"""

import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin

from maskmill.images import list_images

MARK = "maskmill-overlay"
"""Keyword of the PNG text that makes a picture known; the text is its photograph's name."""


def picture_bytes(pixels: UInt8[np.ndarray, "h w *c"], photograph: str) -> bytes:
    """Encode a picture as a PNG that says what it is.

    Args:
        pixels: RGB or grey.
        photograph: Name of what it was drawn of.
    """
    mark = PngImagePlugin.PngInfo()
    # A name may hold bytes that are no text.
    mark.add_itxt(MARK, photograph.encode("utf-8", "replace").decode("utf-8"))
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG", pnginfo=mark)
    return png.getvalue()


def photographs(folder: Path) -> list[Path]:
    """Find the photographs of a folder: its images, but for pictures that were drawn of them.

    Args:
        folder: The folder; folders inside are searched too.

    Returns:
        Paths, in the order of their names.

    Raises:
        NotFound: If `folder` is no folder.
        ImageError: If a folder in it cannot be read.
    """
    return [path for path in list_images(folder) if not is_drawn(path)]


def is_drawn(path: Path) -> bool:
    """Tell whether an image is one of our pictures; only the header of a PNG is read."""
    if path.suffix.lower() != ".png":
        return False
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return MARK in picture.info
    except Exception:  # Pillow throws nearly every class; whoever reads the photographs says why
        return False

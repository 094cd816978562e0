"""Pictures of what everything mode found in a folder, and how they are told from photographs.

`cats/a.jpg` has its picture in `cats/a.jpg.png` of the output folder. That folder may lie inside
the folder of photographs, or be the same one. So each picture says in its header what it is, and
no later run takes it for a photograph.
"""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, PngImagePlugin

from maskmill.images import EXTENSIONS, list_images, read_image
from maskmill.overlay import draw_masks
from maskmill.rle import Rle
from maskmill.weights import write_atomically

MARK = "maskmill-overlay"
"""Keyword of the PNG text that makes a picture known; the text is its photograph's name."""


def photographs(source: Path) -> list[str]:
    """Find the photographs of a folder: its images, but for pictures that were drawn of them.

    Args:
        source: The folder; folders inside are searched too.

    Returns:
        Paths below `source`, in the order of their names.

    Raises:
        NotFound: If `source` is no folder.
        ImageError: If a folder in it cannot be read.
    """
    paths = [path for path in list_images(source) if not _is_overlay(path)]
    return [path.relative_to(source).as_posix() for path in paths]


def without_overlay(out: Path, names: Sequence[str]) -> list[str]:
    """Return the photographs that have masks and no picture of them yet."""
    return [n for n in names if (out / f"{n}.json").exists() and not (out / f"{n}.png").exists()]


def draw_overlays(
    out: Path, source: Path, names: Sequence[str], *, on_image: Callable[[], None] = lambda: None
) -> None:
    """Draw the masks of each photograph and write them beside its JSON.

    Args:
        out: The folder with the JSON.
        source: The folder with the photographs.
        names: Photographs that have a JSON, paths below `source`.
        on_image: Called after each.
    """
    for name in names:
        annotations = json.loads((out / f"{name}.json").read_bytes())["annotations"]
        masks = [Rle.from_json(annotation["segmentation"]) for annotation in annotations]
        mark = PngImagePlugin.PngInfo()
        mark.add_itxt(MARK, name)
        png = io.BytesIO()
        picture = Image.fromarray(draw_masks(read_image(source / name), masks))
        picture.save(png, "PNG", pnginfo=mark)
        # Whole or not at all: what exists is never drawn again.
        write_atomically(out / f"{name}.png", png.getvalue())
        on_image()


def _is_overlay(path: Path) -> bool:
    """Tell whether an image is one of our pictures; only what is named like one is opened."""
    if path.suffix != ".png" or Path(path.stem).suffix.lower() not in EXTENSIONS:
        return False
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return MARK in picture.info
    except (OSError, ValueError, SyntaxError):  # damaged: whoever reads the photographs says so
        return False

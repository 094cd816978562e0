"""Pictures of what everything mode found in a folder.

`cats/a.jpg` has its picture in `cats/a.jpg.png` of the output folder.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from maskmill import drawn
from maskmill.drawn import picture_bytes
from maskmill.durable import write_atomically
from maskmill.images import read_image
from maskmill.overlay import draw_masks
from maskmill.rle import Rle


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
    return [path.relative_to(source).as_posix() for path in drawn.photographs(source)]


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
        picture = draw_masks(read_image(source / name), masks)
        # Whole or not at all: what exists is never drawn again.
        write_atomically(out / f"{name}.png", picture_bytes(picture, name))
        on_image()

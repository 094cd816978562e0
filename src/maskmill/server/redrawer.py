"""The model's outlines follow people: a child process draws them, the server writes what is kept.

The child reads the photograph, so it may die; the outlines then stay as they are.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from maskmill.engine.redrawing import (
    Looked,
    commit_redrawn,
    looked_at,
    redrawn,
    redrawn_offers,
)
from maskmill.images import open_added
from maskmill.rle import Rle
from maskmill.server.child import Child
from maskmill.store import Annotation, Image, Project

TRIES = 3
"""How often people may be faster before it is left to their next change."""
Drawn = tuple[dict[int, Rle], list[Rle]]
"""Pre-filled masks that move, by row, and the offered regions."""


class Redrawer:
    """Draws an image's untouched pre-filled masks, and what a click brings up, as people draw.

    Args:
        project: Open for writing.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._child = Child(_start, name="redrawer", alone=True)
        self._asking = threading.Lock()

    def stop(self) -> None:
        """End the process."""
        self._child.close()

    def redraw(
        self, image: Image, offered: Sequence[Rle] = ()
    ) -> tuple[list[Annotation], list[Rle]]:
        """Do so for one image.

        Args:
            image: Which.
            offered: Regions of it, as the head outlined them.

        Returns:
            The masks that moved, and the regions as they are to be offered.

        Raises:
            MaskmillError: If the file is not the one that was added, or the process died of it.
        """
        with self._asking:  # a child answers one at a time
            for _ in range(TRIES):
                looked = looked_at(self._project, image.id)
                regions = list(offered) if looked.made else []
                if looked.nothing_to_do and not regions:
                    break
                moved, told = self._child.ask(looked, regions, image.path, image.content_hash)
                written = commit_redrawn(self._project, looked, moved)
                if written is not None:
                    return written, told or list(offered)
        return [], list(offered)


def _start() -> Callable[[Looked, list[Rle], str, str], Drawn]:
    """Make ready; what the child process does first."""

    def draw(looked: Looked, regions: list[Rle], path: str, content_hash: str) -> Drawn:
        pixels = open_added(Path(path), content_hash).array
        moved = {} if looked.nothing_to_do else redrawn(looked, pixels)
        return moved, redrawn_offers(looked, regions, pixels) if regions else []

    return draw

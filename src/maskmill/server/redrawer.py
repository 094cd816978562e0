"""Pre-filled masks follow what people mend: a child process draws them, the server writes them.

The child reads the photograph, so it may die; the masks then stay as they are.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from maskmill.engine.redrawing import Looked, commit_redrawn, looked_at, redrawn
from maskmill.images import open_added
from maskmill.rle import Rle
from maskmill.server.child import Child
from maskmill.store import Annotation, Image, Project

TRIES = 3
"""How often people may be faster before it is left to their next change."""


class Redrawer:
    """Draws an image's untouched pre-filled masks as people drew the others.

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

    def redraw(self, image: Image) -> list[Annotation]:
        """Do so for one image, and return the masks that moved.

        Raises:
            MaskmillError: If the file is not the one that was added, or the process died of it.
        """
        with self._asking:  # a child answers one at a time
            for _ in range(TRIES):
                looked = looked_at(self._project, image.id)
                if looked.nothing_to_do:
                    return []
                moved = self._child.ask(looked, image.path, image.content_hash)
                written = commit_redrawn(self._project, looked, moved)
                if written is not None:
                    return written
        return []


def _start() -> Callable[[Looked, str, str], dict[int, Rle]]:
    """Make ready; what the child process does first."""

    def draw(looked: Looked, path: str, content_hash: str) -> dict[int, Rle]:
        return redrawn(looked, open_added(Path(path), content_hash).array)

    return draw

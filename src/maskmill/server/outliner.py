"""The regions that pages offer under a click: a child process finds them for the open image.

It reads files of any kind and runs a native runtime, so it may die; the pages then have the decoder
alone. Of the last images the answers are remembered: people go back and forth.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskmill.engine.head_files import has_head, head_folder, read_head_card
from maskmill.engine.offering import offers, threshold_of
from maskmill.engine.region_finder import RegionFinder
from maskmill.images import read_image
from maskmill.rle import Rle
from maskmill.server.child import Child
from maskmill.store import Image, Project
from maskmill.store.embeddings import Embeddings

REMEMBERED = 64
"""Images whose regions are remembered."""
Offered = tuple[Rle, float]
"""A region and its score."""


class Outliner:
    """Finds regions on a project's images.

    Args:
        project: Open for reading or writing.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._child = Child(_start, project.folder, name="outliner", alone=True)
        self._asking = threading.Lock()
        self._known: OrderedDict[tuple[str, str, Any], list[Offered]] = OrderedDict()

    def stop(self) -> None:
        """End the process."""
        self._child.close()

    def of(self, image: Image, model_id: str) -> list[Offered]:
        """Return what is offered on an image that is embedded by this model, best first.

        Raises:
            MaskmillError: If the image cannot be read, or scikit-image is missing.
        """
        folder = head_folder(self._project.folder, "regions", model_id)
        if not has_head(folder, "regions"):
            return []
        card = read_head_card(folder, "regions", {"round"})
        if threshold_of(card) is None:
            return []
        key = (image.content_hash, model_id, card["round"])
        with self._asking:  # a child answers one at a time
            if key not in self._known:
                self._known[key] = self._child.ask(
                    folder, card["round"], image.path, image.content_hash, model_id
                )
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]


def _start(project: Path) -> Callable[[Path, Any, str, str, str], list[Offered]]:
    """Make ready; what the child process does first."""
    embeddings = Embeddings(project / "embeddings")
    loaded: tuple[Any, RegionFinder | None] = (None, None)

    def find(
        folder: Path, round_: Any, path: str, content_hash: str, model_id: str
    ) -> list[Offered]:
        nonlocal loaded
        embedding = embeddings.get(content_hash, model_id)
        if embedding is None:
            return []
        if loaded[0] != (folder, round_):
            loaded = ((folder, round_), RegionFinder(folder))
        found = offers(loaded[1], read_image(Path(path)), embedding)
        return [(region.rle, region.score) for region in found]

    return find

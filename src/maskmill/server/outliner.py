"""The regions that pages offer under a click: a child process finds them for the open image.

It reads files of any kind and runs a native runtime, so it may die; the pages then have the decoder
alone. Of the last images the answers are remembered: people go back and forth.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from maskmill.engine.head_files import has_head, head_folder, read_head_card
from maskmill.engine.offering import offers, threshold_of
from maskmill.engine.region_finder import RegionFinder
from maskmill.errors import CheckpointError
from maskmill.images import open_added
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
        self._known: OrderedDict[tuple[str, str, str], list[Offered]] = OrderedDict()

    def stop(self) -> None:
        """End the process."""
        self._child.close()

    def of(self, image: Image, model_id: str) -> list[Offered]:
        """Return what is offered on an image that is embedded by this model, best first.

        Raises:
            MaskmillError: If the file is not the one that was added, the head cannot be used, or
                scikit-image is missing.
        """
        folder = head_folder(self._project.folder, "regions", model_id)
        if not has_head(folder, "regions"):
            return []
        card = read_head_card(folder, "regions", {"model", "round", "side"})
        if threshold_of(card) is None:
            return []
        if card["model"] != model_id:
            raise CheckpointError(
                f"{folder} is the head of model {card['model']}, not of {model_id}; run a round"
            )
        which = json.dumps(card, sort_keys=True)
        key = (image.content_hash, model_id, which)
        with self._asking:  # a child answers one at a time
            if key not in self._known:
                found = self._child.ask(folder, which, image.path, image.content_hash, model_id)
                if found is None:
                    return []  # not embedded yet: another time
                self._known[key] = found
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]


def _start(project: Path) -> Callable[[Path, str, str, str, str], list[Offered] | None]:
    """Make ready; what the child process does first."""
    embeddings = Embeddings(project / "embeddings")
    loaded: tuple[tuple[Path, str] | None, RegionFinder | None] = (None, None)

    def find(
        folder: Path, which: str, path: str, content_hash: str, model_id: str
    ) -> list[Offered] | None:
        nonlocal loaded
        embedding = embeddings.get(content_hash, model_id)
        if embedding is None:
            return None
        if loaded[0] != (folder, which):
            loaded = ((folder, which), RegionFinder(folder))
        opened = open_added(Path(path), content_hash)
        found = offers(loaded[1], opened.array, embedding)
        return [(region.rle, region.score) for region in found]

    return find

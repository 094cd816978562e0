"""Which images people see next, by the engine's own rule, kept up to date beside the pages.

A thread at a low priority asks the current model how sure it is of a sample of the images that
nobody has labelled, and orders them as `engine.queue` does: a random share for the hold-out, then
those of which the model is unsure and which are unlike the rest. The embeddings are on disk
already. While nothing is known yet, images come in the order in which they were added.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from jaxtyping import Float

from maskmill.engine.children import NICE
from maskmill.engine.lineage import holdout_share
from maskmill.engine.queue import Choice, Waiting, choose, doubt, feature
from maskmill.errors import MaskmillError
from maskmill.predict import Predictor
from maskmill.store import Image, ImageFilter, Project
from maskmill.store.snapshots import SnapshotConfig
from maskmill.store.work import Reason

SAMPLE = 300
"""Most images that are looked at: a choice among so many is nearly as good as among all."""
LENGTH = 30
"""Images that are ordered ahead."""
PAUSE_SECONDS = 5.0
REST = 4.0
"""How long the thread rests after each image, times what it took: a niced thread still holds a core
and the interpreter, and somebody's browser decodes on the same machine."""
UNLABELLED = ImageFilter(has_masks=False, state="open")
REASONS: dict[str, Reason] = {
    "hold-out": "hold-out",
    "unsure and unlike the rest": "unsure",
    "random": "random",
}
log = logging.getLogger("maskmill.server")


class Planner:
    """The order of one project's queue.

    Args:
        project: Open for reading or writing.
        model: Returns the current model's folder or name, and which weights these are.
    """

    def __init__(self, project: Project, model: Callable[[], tuple[str, str]]) -> None:
        self._project, self._model = project, model
        self._known: dict[int, tuple[float, Float[np.ndarray, " d"]]] = {}
        self._model_id = ""
        self._predictor: Predictor | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="planner", daemon=True)
        self._planned: tuple[str, list[int]] = ("", [])
        self._drawn: tuple[int, list[Image]] = (0, [])
        self._order: list[tuple[int, Reason]] = []

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End soon."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def order(self) -> list[tuple[int, Reason]]:
        """Return the images that should come next, and why; empty while nothing is known."""
        return list(self._order)

    def plan(self, *, rest: float = 0.0) -> None:
        """Look at what is new, and order the queue; some tenths of a second for each new image.

        Args:
            rest: Pause after each image, times what it took.
        """
        model, model_id = self._model()
        if model_id != self._model_id:
            self._known.clear()
            self._model_id, self._predictor = model_id, None
        waiting = self._sample()
        for image in waiting:
            if self._stop.is_set() or self._model()[1] != model_id:
                return
            began = time.monotonic()
            self._look(image, model)
            self._stop.wait(rest * (time.monotonic() - began))
        known = {i.id: found for i in waiting if (found := self._known.get(i.id)) is not None}
        if (model_id, list(known)) == self._planned:
            return
        share = holdout_share(self._project)
        splits = self._project.snapshots.splits_now(SnapshotConfig(val_share=share))
        rng = np.random.default_rng([*model_id.encode()[:16]])
        described = [
            Waiting(image_id=i, split=splits.get(i, "train"), doubt=unsure, feature=looks)
            for i, (unsure, looks) in known.items()
        ]
        chosen = choose(described, LENGTH, rng, holdout_share=share) if described else []
        self._planned = (model_id, list(known))
        self._order = [(each.image_id, REASONS[each.reason]) for each in mixed(chosen, rng)]

    def _run(self) -> None:
        if hasattr(os, "setpriority"):
            with suppress(OSError):  # of this thread alone, where threads have their own
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while not self._stop.wait(PAUSE_SECONDS):
            try:
                self.plan(rest=REST)
            except MaskmillError as error:
                log.warning("the queue is not ordered: %s", error)
            except Exception:
                log.exception("the queue is not ordered")

    def _sample(self) -> list[Image]:
        """Draw images that nobody has labelled, evenly; of many, anew when a batch is gone."""
        images = self._project.images
        total = images.count(UNLABELLED)
        if total <= SAMPLE:
            return images.page(UNLABELLED, limit=SAMPLE)
        if abs(self._drawn[0] - total) >= LENGTH // 2:
            places = [int(i * total / SAMPLE) for i in range(SAMPLE)]
            drawn = [each for at in places for each in images.page_at(at, UNLABELLED, limit=1)]
            self._drawn = (total, drawn)
        return self._drawn[1]

    def _look(self, image: Image, model: str) -> None:
        if image.id in self._known:
            return
        embedding = self._project.embeddings.get(image.content_hash, self._model_id)
        if embedding is None:
            return  # not yet
        if self._predictor is None:
            self._predictor = Predictor.load(model, threads=1)
        self._known[image.id] = (doubt(self._predictor, embedding), feature(embedding))


def mixed(chosen: list[Choice], rng: np.random.Generator) -> list[Choice]:
    """Spread the hold-out's images among the others, which keep their order."""
    held = [each for each in chosen if each.reason == "hold-out"]
    rest = [each for each in chosen if each.reason != "hold-out"]
    places = set(rng.permutation(len(chosen))[: len(held)].tolist())
    return [held.pop(0) if place in places else rest.pop(0) for place in range(len(chosen))]

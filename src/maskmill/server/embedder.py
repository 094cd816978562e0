"""Embeds the images in the background: one child process, which images it does first, and how far.

What somebody is waiting for comes first, then the others in their order. The child reads files of
any kind and runs a native runtime, so it may die; it is started again, and an image that killed it
twice is left alone. It writes embeddings and thumbnails, which are caches, and no row.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from maskmill.embed import KIND, embed_image, unfinished
from maskmill.errors import ImageError, MaskmillError
from maskmill.server.child import Child, Died
from maskmill.server.events import Events
from maskmill.server.pictures import Pictures
from maskmill.store import Image, Project
from maskmill.store.embeddings import Embeddings

PAGE = 500
"""Images looked up at once."""
REPORT_SECONDS = 1
"""Time between two words to the jobs table and the browsers."""
log = logging.getLogger("maskmill.server")


class Embedder:
    """Embeds all images of a project with one model.

    Args:
        project: Open for writing; whose images.
        model: A model's name or folder.
        model_id: Which weights these are.
        events: Told of each image that is ready, and how far all are.
        threads: Threads of the encoder; by default the runtime's.
    """

    def __init__(
        self,
        project: Project,
        *,
        model: str,
        model_id: str,
        events: Events,
        threads: int | None = None,
    ) -> None:
        self._project, self._model, self._events = project, model, events
        self._model_id = model_id
        self._threads = threads
        self._child = self._new_child(model)
        self._wished: deque[int] = deque()
        self._failed: dict[int, str] = {}
        self._after = 0
        self._page: deque[Image] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="embedder", daemon=True)
        self.done = 0
        """Images seen so far that are embedded."""

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop within a second or two; what is half done is done again next time."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._child.close()
        if self._thread.is_alive():
            self._thread.join(10)

    def use(self, *, model: str, model_id: str) -> None:
        """Embed all images anew, with another model; what the old one made stays."""
        with self._wake:
            old, self._child = self._child, self._new_child(model)
            self._model, self._model_id = model, model_id
            self._failed.clear()
            self._page.clear()
            self._after = self.done = 0
            self._wake.notify_all()
        old.close()

    def more(self) -> None:
        """Look again: images were added."""
        with self._wake:
            self._wake.notify_all()

    def wish(self, image_id: int) -> None:
        """Put an image before all others; the one that was wished last comes first.

        Raises:
            ImageError: If it cannot be embedded; the message says why.
        """
        with self._wake:
            if image_id in self._failed:
                raise ImageError(self._failed[image_id])
            if image_id in self._wished:
                self._wished.remove(image_id)
            self._wished.appendleft(image_id)
            self._wake.notify_all()

    def hurry(self, image_id: int) -> None:
        """Do as `wish`, where nobody needs to know that it cannot be done."""
        with suppress(ImageError):
            self.wish(image_id)

    def _new_child(self, model: str) -> Child:
        return Child(_start, self._project.folder, model, self._threads, name="embedder")

    def _run(self) -> None:
        if not self._project.images.count():
            self._child.warm()  # the first images are on their way
        job = _Job(self._project, self._model, self._events)
        while (found := self._next()) is not None:
            image, in_order = found
            with self._wake:
                child, model, model_id = self._child, self._model, self._model_id
            if job.model != model:
                job.rest(self.done)
                job = _Job(self._project, model, self._events)
            if not self._project.embeddings.has(image.content_hash, model_id):
                job.begin()
                error = _why_not(child, image)
                if self._stopping:
                    break
                if child is not self._child:  # another model came meanwhile, and begins anew
                    continue
                if error is not None:
                    log.warning("image %d is not embedded: %s", image.id, error)
                    self._failed[image.id] = error
                    continue
                self._events.tell("embedding", image_id=image.id)
            self.done += in_order
            job.progress(self.done)
            if not self._page and not self._wished:
                job.rest(self.done)
        job.rest(self.done)

    def _next(self) -> tuple[Image, bool] | None:
        """Return the next image, and whether it is its turn; None means stop."""
        with self._wake:
            while not self._stopping:
                if self._wished:
                    return self._project.images.get(self._wished.popleft()), False
                if not self._page:
                    page = self._project.images.page(after=self._after, limit=PAGE)
                    self._page.extend(page)
                    self._after = page[-1].id if page else self._after
                if self._page:
                    return self._page.popleft(), True
                self._wake.wait(2)
        return None


class _Job:
    """The row that says how far the embedding is; there is one only while something is to do."""

    def __init__(self, project: Project, model: str, events: Events) -> None:
        self._project, self.model, self._events = project, model, events
        self._job: Any = None
        self._told = 0.0

    def begin(self) -> None:
        if self._job is not None:
            return
        jobs = self._project.jobs
        left = unfinished(self._project, self.model)
        job = left or jobs.queue(KIND, {"model": self.model})
        self._job = jobs.claim(job.id, f"server, process {os.getpid()}")

    def progress(self, done: int) -> None:
        if time.monotonic() - self._told < REPORT_SECONDS:
            return
        self._told = time.monotonic()
        total = self._project.images.count()
        self._events.tell("progress", embedded=done, images=total)
        if self._job is not None:
            self._job = self._project.jobs.progress(self._job, done, total=total)

    def rest(self, done: int) -> None:
        self._events.tell("progress", embedded=done, images=self._project.images.count())
        if self._job is not None:
            self._project.jobs.finish(self._job)
            self._job = None


def _start(folder: Path, model: str, threads: int | None) -> Callable[[str, str], None]:
    """Load the model; what the child process does first."""
    from maskmill.predict import Predictor

    predictor = Predictor.load(model, threads=threads)
    embeddings, pictures = Embeddings(folder / "embeddings"), Pictures(folder / "cache")

    def embed(content_hash: str, path: str) -> None:
        opened = embed_image(predictor, embeddings, (path, content_hash))
        if opened is not None:
            pictures.put_thumbnail(content_hash, opened.array)

    return embed


def _why_not(child: Child, image: Image) -> str | None:
    """Embed one image; returns why not, if not."""
    try:
        child.ask(image.content_hash, image.path)
    except Died as error:
        return f"{image.path}: {error}; look at the file"
    except MaskmillError as error:
        return str(error)
    return None

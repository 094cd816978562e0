"""Pre-fills images beside the pages: one run at a time, taken up again after a kill."""

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

from maskmill.engine.children import Interrupted
from maskmill.engine.labelling import UNLABELLED
from maskmill.engine.prefilling import prefill_images
from maskmill.engine.proposals import PRECISION
from maskmill.errors import MaskmillError, StoreError
from maskmill.server.events import Events
from maskmill.store import Project
from maskmill.store.jobs import Job

KIND = "prefill"
STOP_SECONDS = 15
log = logging.getLogger("maskmill.server")


class Prefiller:
    """The pre-filling of one project, as a server runs it.

    Args:
        project: Open for writing.
        events: Told of each image that has new masks.
    """

    def __init__(self, project: Project, events: Events) -> None:
        self._project, self._events = project, events
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending = False

    @property
    def working(self) -> bool:
        """Whether images are being pre-filled."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, images: int, precision: float = PRECISION, *, first: Sequence[int] = ()) -> Job:
        """Begin to pre-fill the next images without a mask; returns at once.

        Args:
            images: How many.
            precision: Share of the masks that has to be right, on the hold-out.
            first: Images that people would see next, in this order; after them come those that
                were added first.

        Raises:
            StoreError: If that is going on, or no image is left.
        """
        if self.working:
            raise StoreError("images are being pre-filled; wait, or cancel it first")
        free = self._project.work.untouched(first)
        ids = [image_id for image_id in first if image_id in free][:images]
        page = self._project.images.page(UNLABELLED, limit=images + len(ids))
        ids += [image.id for image in page if image.id not in ids][: images - len(ids)]
        if not ids:
            raise StoreError("every image has masks or is done; there is none to pre-fill")
        settings = {"image_ids": ids, "precision": precision}
        job = self._project.jobs.queue(KIND, settings, total=len(ids))
        return self._begin(job)

    def go_on(self) -> None:
        """Take up what was going on when the last server ended."""
        left = self._project.jobs.all(kind=KIND, running=True)
        if left:
            self._begin(left[-1])

    def cancel(self) -> None:
        """End it; the masks that are there stay.

        Raises:
            StoreError: If nothing is going on.
        """
        if not self.working:
            raise StoreError("no image is being pre-filled; there is nothing to cancel")
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """End with the server; what was going on goes on when it starts again."""
        self._ending = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def last(self) -> Job | None:
        """Return the last run, ended or not; its settings hold the calibration once it is known."""
        jobs = self._project.jobs.all(kind=KIND)
        return jobs[-1] if jobs else None

    def _begin(self, job: Job) -> Job:
        job = self._project.jobs.claim(job.id, f"server, process {os.getpid()}")
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._run, args=(job,), name="prefiller", daemon=True
        )
        self._thread.start()
        self._events.tell("engine")
        return job

    def _run(self, job: Job) -> None:
        jobs = self._project.jobs
        ids = list(dict(job.settings or {})["image_ids"])

        def progress(done: int, masks: int) -> None:
            jobs.progress(job, done, message=str(masks))
            self._events.tell("image", image_id=ids[done - 1])
            self._events.tell("engine")

        try:
            folder = self._project.folder / "prefilled" / f"{job.id:06d}"
            found = prefill_images(
                self._project, ids, folder,
                precision=asked_of(job), stop=self._stop, progress=progress,
            )  # fmt: skip
            jobs.finish(job, message=None if found.threshold is not None else "no threshold")
        except Interrupted:
            if not self._ending:
                jobs.finish(job, message="cancelled")
        except MaskmillError as error:
            jobs.finish(job, status="failed", message=str(error))
        except Exception:
            log.exception("pre-filling ended with an error")
            jobs.finish(job, status="failed", message="an error; see the server's output")
        finally:
            self._events.tell("engine")


def asked_of(job: Job) -> float:
    """Return the share of masks that a run wanted right."""
    return float(dict(job.settings or {}).get("precision", PRECISION))


def calibration_of(project: Project, job: Job) -> dict[str, Any] | None:
    """Return what a run's calibration said; None before it has spoken."""
    import json

    path = project.folder / "prefilled" / f"{job.id:06d}" / "calibration.json"
    if not path.is_file():
        return None
    told: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return told

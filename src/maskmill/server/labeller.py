"""Runs stage 3 beside the pages: first a look at the hold-out, then the job, which survives a kill.

What the hold-out says is found by a child process, what the model finds on the rest by another;
this process, which holds the project, commits. Until the thresholds are chosen there is no job: a
server that ends before has lost a few minutes of looking, and nobody's masks.
"""

import logging
import threading

from maskmill.engine import labelling
from maskmill.engine.calibration import choose, chosen
from maskmill.engine.children import Interrupted
from maskmill.errors import MaskmillError, StoreError
from maskmill.server.events import Events
from maskmill.store import Project
from maskmill.store.jobs import Job

STOP_SECONDS = 15
log = logging.getLogger("maskmill.server")


class Labeller:
    """Stage 3 of one project, as a server runs it.

    Args:
        project: Open for writing.
        events: Told when there is something new to show.
    """

    def __init__(self, project: Project, events: Events) -> None:
        self._project, self._events = project, events
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.measuring = False
        """Whether the hold-out is being looked at, before the first image is labelled."""
        self.trouble: str | None = None
        """Why the last attempt came to nothing before there was a job."""

    @property
    def working(self) -> bool:
        """Whether the hold-out is looked at, or images are labelled."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, *, precision: float) -> None:
        """Begin to label every image without a mask, or go on with it; returns at once.

        Args:
            precision: Share of the masks kept that has to be right on the hold-out.

        Raises:
            StoreError: If that is going on, or no image is left.
        """
        if self.working:
            raise StoreError("images are being labelled; wait, or cancel it first")
        if not self._project.images.count(labelling.UNLABELLED):
            raise StoreError("every image has masks or is done; there is none to label")
        self._begin(precision)

    def go_on(self) -> None:
        """Take up what was going on when the last server ended."""
        if labelling.unfinished(self._project) is not None:
            self._begin(None)

    def cancel(self) -> None:
        """End it; the masks that are there stay.

        Raises:
            StoreError: If nothing is going on.
        """
        if not self.working:
            raise StoreError("no image is being labelled; there is nothing to cancel")
        job = labelling.unfinished(self._project)
        if job is not None:
            self._project.jobs.cancel(job.id)
        self._end(None)

    def stop(self) -> None:
        """End with the server; what was going on goes on when it starts again."""
        self._end(STOP_SECONDS)

    def last(self) -> Job | None:
        """Return the last job, ended or not."""
        jobs = self._project.jobs.all(kind=labelling.KIND)
        return jobs[-1] if jobs else None

    def _end(self, patience: float | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(patience)

    def _begin(self, precision: float | None) -> None:
        self._stop.clear()
        self.trouble = None
        self.measuring = precision is not None
        self._thread = threading.Thread(
            target=self._run, args=(precision,), name="labeller", daemon=True
        )
        self._thread.start()
        self._events.tell("engine")

    def _run(self, precision: float | None) -> None:
        try:
            job = labelling.unfinished(self._project) if precision is None else None
            if precision is not None:
                settings, _ = choose(self._project, precision=precision, stop=self._stop)
                self.measuring = False
            else:
                settings = labelling.LabelSettings.from_json(dict(job.settings or {}))  # type: ignore[union-attr]
            labelling.label_project(
                self._project, settings,
                job=job, progress=lambda _: self._events.tell("engine"), stop=self._stop,
            )  # fmt: skip
        except Interrupted:
            pass  # somebody cancelled it, or the server ends
        except MaskmillError as error:
            self.trouble = str(error)
        except Exception:
            log.exception("labelling ended with an error")
            self.trouble = "an error; see the server's output"
        finally:
            self.measuring = False
            self._events.tell("engine")


def words_of(project: Project) -> list[str]:
    """Return what the last look at the hold-out said, in words; empty if there was none."""
    found = chosen(project)
    return [] if found is None else found[1]

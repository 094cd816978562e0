"""Runs rounds beside the pages: one at a time, in a thread that waits for child processes.

All that a round writes to the project is written here, by the process that holds it; training,
exporting and judging are children at a low priority. A job row stands while a round is meant
to be going on: a server that was killed finds it when it starts again, and goes on. A round that a
person paused has none, and waits.
"""

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from maskmill.engine import rounds
from maskmill.engine.children import Interrupted
from maskmill.engine.judging import read_verdict
from maskmill.engine.lineage import run_folder
from maskmill.engine.rounds import RoundConfig
from maskmill.errors import MaskmillError, StoreError
from maskmill.server.events import Events
from maskmill.store import Project
from maskmill.store.models import Round
from maskmill.train.report import read_metrics

KIND = "round"
LOOK_SECONDS = 1.0
"""Time between two words to the browsers."""
MOST_POINTS = 300
"""Points of a curve, however long the training is."""
STOP_SECONDS = 15
"""How long a child may take to keep a checkpoint when the server is stopped."""
Phase = Literal["collect", "train", "export", "gate", "detect"]
log = logging.getLogger("maskmill.server")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a round is.

    Attributes:
        number: The round.
        phase: What it does.
        step: Training steps done.
        steps: Training steps in all; None before the first.
        seconds_left: Until the training ends, at the pace of its last steps.
    """

    number: int
    phase: Phase
    step: int
    steps: int | None
    seconds_left: float | None


class Trainer:
    """The rounds of one project, as a server runs them.

    Args:
        project: Open for writing.
        events: Told how far a round is, and when there is something new to look at.
    """

    def __init__(self, project: Project, events: Events) -> None:
        self._project, self._events = project, events
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._watcher: threading.Thread | None = None
        self._ending = False
        self.promoted: Callable[[], None] = lambda: None
        """Called when another model has become the project's."""

    @property
    def working(self) -> bool:
        """Whether a round is going on."""
        return self._thread is not None and self._thread.is_alive()

    def go_on(self) -> None:
        """Take up the round that was going on when the last server ended."""
        left = self._project.jobs.all(kind=KIND, running=True)
        open_ = any(r.ended_at is None for r in self._project.models.rounds())
        if left and open_:
            self.start(None)

    def start(self, config: RoundConfig | None) -> None:
        """Begin a round, or go on with the open one; returns at once.

        Raises:
            StoreError: If one is going on, or waits for a person's decision.
        """
        with self._lock:
            if self.working:
                raise StoreError("a round is going on; pause or cancel it first")
            open_ = [r for r in self._project.models.rounds() if r.ended_at is None]
            if config is not None and open_:
                raise StoreError(f"round {open_[0].number} is open; resume or cancel it first")
            if config is None and not open_:
                raise StoreError("no round is open; start one")
            if open_ and open_[0].status == "gating" and open_[0].reason:
                raise StoreError(f"round {open_[0].number} waits for a decision: promote or keep")
            jobs = self._project.jobs
            left = jobs.all(kind=KIND, running=True)
            job = left[0] if left else jobs.queue(KIND, {} if config is None else asdict(config))
            job = jobs.claim(job.id, f"server, process {os.getpid()}")
            self._stop.clear()
            self._thread = threading.Thread(
                target=self._run, args=(config, job), name="trainer", daemon=True
            )
            self._thread.start()
            self._watcher = threading.Thread(target=self._watch, name="curve", daemon=True)
            self._watcher.start()
        self._events.tell("engine")

    def pause(self) -> None:
        """Let the round rest; returns once its checkpoint is kept.

        Raises:
            StoreError: If none is going on.
        """
        if not self.working:
            raise StoreError("no round is going on; there is nothing to pause")
        self._halt()

    def cancel(self, *, by: str) -> Round:
        """Give the open round up.

        Raises:
            StoreError: If none is open.
        """
        self._halt()
        ended = rounds.cancel(self._project, by=by)
        self._events.tell("engine")
        return ended

    def decide(self, *, promote: bool, by: str) -> Round:
        """End the round that waits for a decision.

        Raises:
            StoreError: If none does.
        """
        ended = rounds.decide(self._project, promote=promote, by=by)
        if promote:
            self.promoted()
        self._events.tell("engine")
        return ended

    def roll_back(self, *, by: str) -> Round:
        """Go back to the model before the current one.

        Raises:
            StoreError: If there is none, or a round is open.
        """
        made = rounds.roll_back(self._project, by=by)
        self.promoted()
        self._events.tell("engine")
        return made

    def stop(self) -> None:
        """End with the server; what was going on goes on when it starts again."""
        self._ending = True
        self._stop.set()
        for thread in (self._thread, self._watcher):  # both use the database, which is closed next
            if thread is not None:
                thread.join(STOP_SECONDS)

    def progress(self) -> Progress | None:
        """Say how far the open round is; None if none is open."""
        open_ = [r for r in self._project.models.rounds() if r.ended_at is None]
        return progress_of(self._project, open_[0]) if open_ else None

    def _halt(self) -> None:
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self, config: RoundConfig | None, job: Any) -> None:
        jobs = self._project.jobs
        try:
            ended = rounds.run_round(self._project, config, say=log.info, stop=self._stop)
            if ended.status == "promoted":
                self.promoted()
            jobs.finish(job, message=ended.reason)
        except Interrupted as error:
            if self._ending:
                return  # the job stands: the next server takes it up
            jobs.finish(job, status="done", message=str(error))
        except MaskmillError as error:
            jobs.finish(job, status="failed", message=str(error))
        except Exception:
            log.exception("a round ended with an error")
            jobs.finish(job, status="failed", message="an error; see the server's output")
        finally:
            self._events.tell("engine")

    def _watch(self) -> None:
        """Tell the browsers of each new point while the round goes on."""
        told = -1.0
        while self._thread is not None:
            self._thread.join(LOOK_SECONDS)
            if not self.working:
                return
            open_ = [r for r in self._project.models.rounds() if r.ended_at is None]
            if not open_:
                return
            points = [p for p in curve(self._project, open_[0], most=None) if p["step"] > told]
            told = max([told, *(p["step"] for p in points)])
            progress = asdict(progress_of(self._project, open_[0]))
            self._events.tell("round", **progress, points=points[-MOST_POINTS:])


def progress_of(project: Project, round_: Round) -> Progress:
    """Read off a round's folder how far it is."""
    run = run_folder(project, round_)
    lines = read_metrics(run / "metrics.jsonl")
    step = int(lines[-1]["step"]) + 1 if lines else 0
    steps = _steps(project, round_)
    phase: Phase = "collect"
    if read_verdict(run) is not None:
        phase = "detect"
    elif round_.status == "gating":
        phase = "gate"
    elif (run / "model").is_dir():
        phase = "export" if dict(round_.settings or {}).get("export", True) else "gate"
    elif round_.snapshot_id is not None:
        phase = "train"
    pace = [line["seconds"] for line in lines[-20:] if "seconds" in line]
    left = None
    if phase == "train" and pace and steps is not None:
        left = sum(pace) / len(pace) * (steps - step)
    return Progress(number=round_.number, phase=phase, step=step, steps=steps, seconds_left=left)


def curve(
    project: Project, round_: Round, *, most: int | None = MOST_POINTS
) -> list[dict[str, float]]:
    """Return the points of a round's training curve: step, loss, iou, val_loss, val_iou.

    Args:
        project: Whose.
        round_: Its training.
        most: Points, about evenly spread; those of the validation are all there. None gives all.
    """
    lines = read_metrics(run_folder(project, round_) / "metrics.jsonl")
    every = 1 if most is None else max(1, -(-len(lines) // most))
    points = []
    for place, line in enumerate(lines):
        if place % every and "val_loss" not in line:
            continue
        points.append({short: line[name] for name, short in NAMES if name in line})
    return points


NAMES = (
    ("step", "step"),
    ("loss", "loss"),
    ("iou_from_point", "iou"),
    ("val_loss", "val_loss"),
    ("val_iou_from_point", "val_iou"),
)


def _steps(project: Project, round_: Round) -> int | None:
    """Return the steps of a training; the run's own folder says it once it has begun."""
    import json

    path = run_folder(project, round_) / "settings.json"
    if not path.is_file():
        return None
    try:
        return int(json.loads(path.read_text("utf-8"))["steps"])
    except (ValueError, KeyError, StoreError):
        return None

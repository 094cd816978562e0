"""Masks of a folder of thousands of images, as a run that may be killed at any moment.

What is done is what lies in the output folder: one SA-1B JSON per image, written whole or not at
all. So a run that was killed goes on by looking, without a journal that could disagree. Beside them
lie `automask.plan`, the settings all were made with, and `errors.jsonl`, the images that the
last run could not use. Everything mode is one way to find masks; others come as a `Finder`.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from maskmill.automask.generate import AutoMask, automask
from maskmill.automask.limits import refuse_nonsense
from maskmill.automask.overlays import photographs
from maskmill.config import AutomaskConfig
from maskmill.errors import ConfigError, NotFound
from maskmill.executor import run
from maskmill.formats.sa1b import write_sa1b
from maskmill.images import open_image
from maskmill.predict import Predictor

PLAN, ERRORS, LOCK = "automask.plan", "errors.jsonl", "automask.lock"
"""Files in the output folder beside the masks; none ends as masks or images do."""


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """What a run over a folder did.

    Attributes:
        images: Photographs in the folder.
        already_done: Of these, done by an earlier run.
        masks: Masks found by this run.
        failed: Path below the folder and reason of each image that could not be used.
        notes: Path below the folder and what this run had to do to read it, for each unusual image.
    """

    images: int
    already_done: int
    masks: int
    failed: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def done(self) -> int:
        """Images whose masks this run wrote."""
        return self.images - self.already_done - len(self.failed)


Find = Callable[[UInt8[np.ndarray, "h w 3"]], Sequence[AutoMask]]
"""Finds the masks of an RGB image."""


@runtime_checkable
class Finder(Protocol):
    """A way to find masks; picklable, for it is loaded in every worker."""

    def plan(self) -> dict[str, Any]:
        """Return what masks are made with, as JSON; a run goes on only with the same."""
        ...

    def load(self) -> Find:
        """Load what it takes, with one thread."""
        ...


def load_tiny() -> Predictor:
    """Load the model that ships inside the package, for a worker: with one thread."""
    return Predictor.load("tiny", threads=1)


def automask_folder(
    source: Path,
    out: Path,
    config: AutomaskConfig | None = None,
    *,
    load: Callable[[], Predictor] = load_tiny,
    workers: int | None = None,
    progress: bool = True,
) -> FolderReport:
    """Find the masks of every image of a folder by everything mode; see `label_folder`.

    Args:
        source: The images; folders inside are searched too.
        out: Where to write; made if it is missing.
        config: Grid, crops and thresholds.
        load: Loads the model, with one thread; called in every worker, so it must be picklable.
        workers: As of `label_folder`.
        progress: As of `label_folder`.

    Raises:
        NotFound: If the folder or the model is missing.
        ConfigError: As of `label_folder`, or if a setting makes no sense.
    """
    finder = Everything(AutomaskConfig() if config is None else config, load)
    return label_folder(source, out, finder, workers=workers, progress=progress)


@dataclass(frozen=True)
class Everything:
    """Everything mode, as a `Finder`; its attributes are those of `automask_folder`."""

    config: AutomaskConfig
    load_predictor: Callable[[], Predictor]

    def plan(self) -> dict[str, Any]:
        """Return the settings that decide which masks there are, and the model.

        Raises:
            ConfigError: If a setting makes no sense.
        """
        refuse_nonsense(self.config)
        predictor = self.load_predictor()
        settled = self.config.for_model(predictor.config)
        plan = {"model": predictor.model_id, **asdict(settled)}
        del plan["points_per_batch"]  # changes speed and memory, no mask
        return plan

    def load(self) -> Find:
        """Load the model."""
        predictor = self.load_predictor()
        return partial(automask, predictor, config=self.config.for_model(predictor.config))


def label_folder(
    source: Path,
    out: Path,
    finder: Finder,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> FolderReport:
    """Find the masks of every image of a folder and write them as SA-1B JSON.

    The tree is mirrored, and an image keeps its ending: `cats/a.png` becomes `cats/a.png.json`. An
    image with a JSON is done. One that cannot be used is recorded in `errors.jsonl` with the
    reason, and tried again by the next run. Workers are spawned: a script that calls this needs
    `if __name__ == "__main__":`.

    Args:
        source: The images; folders inside are searched too.
        out: Where to write; made if it is missing.
        finder: Finds them.
        workers: Processes, by default one per core; 0 works in this process.
        progress: Show a bar with rate and time left on standard error.

    Returns:
        Counts, and the images that failed.

    Raises:
        NotFound: If the folder or what finds masks is missing.
        ConfigError: If what finds masks is set to nonsense, `out` holds masks of other settings,
            another model or another folder, or another run is at work there.
    """
    if not source.is_dir():
        raise NotFound(f"{source} is not a folder; give the folder that holds the images")
    # Loaded here once so that a missing model is one error and not one per worker.
    plan = {"source": str(source.resolve()), **finder.plan()}
    out.mkdir(parents=True, exist_ok=True)
    names = photographs(source)
    with _locked(out):
        _settle_plan(out, names, plan)
        _sweep(out)
        left = [name for name in names if not _target(out, name).exists()]
        workers = _cores() if workers is None else workers
        start = partial(_start, source, out, finder)
        failed: list[tuple[str, str]] = []
        notes: list[tuple[str, str]] = []
        masks = 0
        with (out / ERRORS).open("w", encoding="utf-8") as errors, _bar(progress, left) as show:
            for outcome in run(start, left, workers=min(workers, len(left))) if left else ():
                if outcome.error is not None:
                    failed.append((outcome.item, outcome.error))
                    _record(errors, outcome.item, outcome.error)
                if outcome.result is not None:
                    masks += outcome.result[0]
                    notes += [(outcome.item, note) for note in outcome.result[1]]
                show(outcome.error is None)
    return FolderReport(
        images=len(names),
        already_done=len(names) - len(left),
        masks=masks,
        failed=tuple(sorted(failed)),
        notes=tuple(sorted(notes)),
    )


def _cores() -> int:
    """Return how many cores this process may use, which a container may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start(source: Path, out: Path, finder: Finder) -> Callable[[str], tuple[int, tuple[str, ...]]]:
    """Load what a worker needs and return its work; see `maskmill.executor.run`."""
    return partial(_do_image, finder.load(), source, out)


def _do_image(find: Find, source: Path, out: Path, name: str) -> tuple[int, tuple[str, ...]]:
    """Write one image's masks; return how many there are, and what was done to read the image."""
    opened = open_image(source / name)
    masks = find(opened.array)
    target = _target(out, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_sa1b(
        target,
        image_id=name,
        file_name=Path(name).name,
        size=(opened.array.shape[0], opened.array.shape[1]),
        masks=masks,
    )
    return len(masks), opened.notes


def _target(out: Path, name: str) -> Path:
    # The image's ending stays, or a.png and a.jpg would be one.
    return out / f"{name}.json"


def _record(errors: IO[str], name: str, reason: str) -> None:
    errors.write(json.dumps({"image": name, "reason": reason}) + "\n")
    errors.flush()


def _settle_plan(out: Path, names: list[str], plan: dict[str, Any]) -> None:
    """Write down what masks here are made with, or make sure that it is what was written down."""
    path = out / PLAN
    if not path.exists():
        foreign = next((name for name in names if _target(out, name).exists()), None)
        if foreign is not None:
            raise ConfigError(
                f"{_target(out, foreign)} exists, but no {PLAN} says how it was made; "
                "choose another output folder"
            )
        partial_path = path.with_name(f".{PLAN}.part")
        with partial_path.open("w", encoding="utf-8") as file:
            json.dump(plan, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial_path.replace(path)
        return
    try:
        before = json.loads(path.read_text("utf-8"))
        differences = [
            f"{key} was {before.get(key)!r} and is now {value!r}"
            for key, value in plan.items()
            if before.get(key) != value
        ]
    except (ValueError, AttributeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is damaged ({error}); choose another output folder") from error
    if differences:
        raise ConfigError(
            f"{out} holds masks made otherwise: {'; '.join(differences)}; choose another output "
            "folder, or delete this one to start anew"
        )


def _sweep(out: Path) -> None:
    """Remove what killed workers left half written; nobody else writes while we hold the lock."""
    for path in out.rglob(".*.json.*.part"):
        path.unlink(missing_ok=True)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the output folder; the system lets go of it however this process ends."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs would do some images twice, and still write them whole.
        yield
        return
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"another run is writing to {out}; wait for it, or choose another output folder"
            ) from error
        yield


@contextmanager
def _bar(progress: bool, left: list[str]) -> Iterator[Callable[[bool], None]]:
    """Show a progress bar; yields what to call after each image with whether it went well."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]} images/s, {task.fields[failed]} failed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=Console(stderr=True),
        disable=not progress,
    ) as bar:
        task = bar.add_task("automask", total=len(left), rate="-", failed=0)
        failed = 0

        def show(well: bool) -> None:
            nonlocal failed
            failed += not well
            bar.advance(task)
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{bar.tasks[0].completed / elapsed:.2f}" if elapsed else "-"
            bar.update(task, rate=rate, failed=failed)

        yield show

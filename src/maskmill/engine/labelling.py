"""Stage 3: a model labels all that nobody has labelled, as a job that may be killed at any moment.

Worker processes read images, find masks and hand them back; this process, which holds the project,
commits some images at a time in one transaction. An image and its masks are one operation that
carries the job's name and the image's, so whatever happens none is written twice: what was not
committed is done again, what was committed is passed over. `maskmill verify` reads those operations
and finds a mask that is missing or double. People label on meanwhile: whether an image is still
bare, open and nobody's is looked at again in the transaction that would write its masks.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from maskmill.automask.limits import refuse_nonsense
from maskmill.config import AutomaskConfig
from maskmill.engine import proposals
from maskmill.engine.children import Interrupted
from maskmill.engine.head_files import Kind
from maskmill.engine.heads import Heads, open_heads
from maskmill.engine.proposals import Proposal, Way, nearly_open
from maskmill.executor import Outcome, run
from maskmill.images import open_added
from maskmill.predict import Predictor
from maskmill.store import ImageFilter, Made, Project
from maskmill.store.bulk import Labelled, NewMask, add_labelled, already_done, count_done
from maskmill.store.images import Image, NewImage
from maskmill.store.jobs import Job

KIND = "label"
IMAGES_AT_ONCE = 16
SECONDS_AT_ONCE = 1.0
"""What is finished is committed when so many images or seconds have gathered."""
PAGE = 500
DATA_ENGINE = AutomaskConfig(
    points_per_side=32,
    crop_n_layers=2,
    crop_n_points_downscale_factor=2,
    min_mask_region_area=100,
)
"""Everything mode as SA-1B was made: 32x32 points on the image, 16x16 on each of 2x2 overlapping
crops and 8x8 on each of 4x4, three masks a point, small holes and islands below 100 pixels cleaned.
Source: Kirillov et al., arXiv 2304.02643, appendix B."""
UNLABELLED = ImageFilter(has_masks=False, state="open")
"""What is labelled: an image without a mask that a person called complete holds no object."""
LARGEST = 0.95
"""Masks that cover more of the image are left out, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """How a job labels; kept in its row, so that it goes on as it began.

    Attributes:
        model: The model's folder or name.
        detector: The detector's folder; None where there is none, or it is not wanted.
        regions: The same of the region head.
        categories: The same of the category head.
        thresholds: Score from which each way's masks are kept, the best way first; a way that is
            not named is not run. Everything mode's may be None: then the model's own two
            thresholds decide.
        automask: Everything mode.
        model_id: The model's row, for the masks' record.
        round_id: The round that made it.
    """

    model: str
    detector: str | None = None
    regions: str | None = None
    categories: str | None = None
    thresholds: Mapping[Way, float | None] = field(
        default_factory=lambda: {"everything mode": None}
    )
    automask: AutomaskConfig = DATA_ENGINE
    model_id: int | None = None
    round_id: int | None = None

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "LabelSettings":
        """Read what `asdict` made of settings, out of a job's row."""
        return cls(**{**told, "automask": AutomaskConfig(**told["automask"])})


@dataclass(kw_only=True)
class LabelReport:
    """What a run did.

    Attributes:
        job: The job's row.
        images: Images committed by this run.
        masks: Masks committed by this run.
        failed: Path and reason of each image that could not be used; tried again by the next run.
        passed_over: Images that people had taken up before their masks were committed.
        images_per_second: Rate of this run.
        stopped: Why it ended early: cancelled, or taken over by another process.
    """

    job: int
    images: int = 0
    masks: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    passed_over: int = 0
    images_per_second: float = 0.0
    stopped: str | None = None


def unfinished(project: Project) -> Job | None:
    """Return the job that was begun and did not end; the next run goes on with it."""
    going = project.jobs.all(kind=KIND, running=True)
    return going[-1] if going else None


def label_project(
    project: Project,
    settings: LabelSettings,
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    job: Job | None = None,
    stop: threading.Event | None = None,
) -> LabelReport:
    """Label every image that holds no mask, or go on with the job that was begun.

    Args:
        project: Open for writing.
        settings: How; a job that was begun keeps its own.
        workers: Processes; 0 works in this one.
        progress: Called with the number of images after each commit.
        job: A queued job; None takes over an unfinished one, or makes one.
        stop: Set by whoever wants it to end now; the next run goes on with the job.

    Returns:
        Counts, and the images that failed.

    Raises:
        ConfigError: If a setting of everything mode makes no sense.
        MaskmillError: If the model or the detector cannot be loaded; the job has failed then.
    """
    refuse_nonsense(settings.automask)
    left = project.images.count(UNLABELLED)
    job = job or unfinished(project) or project.jobs.queue(KIND, asdict(settings), total=left)
    settings = LabelSettings.from_json(dict(job.settings or {}))
    job = project.jobs.claim(job.id, f"{socket.gethostname()}, process {os.getpid()}")
    report = LabelReport(job=job.id)
    outcomes = run(partial(_start, settings), _items(project, job), workers=workers)
    try:
        job = project.jobs.progress(job, count_done(project, operation_of(job.id)))
        _work(project, job, settings, _until(stop, outcomes), report, progress)
        project.jobs.finish(job, message=_summary(report))
    except Interrupted as stopped:
        report.stopped = str(stopped)
    except Exception as error:  # an interruption leaves it as it is: the next run takes it over
        now = project.jobs.get(job.id)
        if (now.status, now.token) == ("running", job.token):
            project.jobs.finish(job, status="failed", message=str(error))
            raise
        report.stopped = str(error)
    finally:
        outcomes.close()  # type: ignore[attr-defined]
    return report


def _until(
    stop: threading.Event | None, outcomes: Iterator[Outcome[Image, list[Proposal]]]
) -> Iterator[Outcome[Image, list[Proposal]]]:
    """Hand outcomes on until somebody wants an end.

    Raises:
        Interrupted: Then.
    """
    for outcome in outcomes:
        if stop is not None and stop.is_set():
            raise Interrupted("labelling was stopped; run it again, and it goes on")
        yield outcome


def operation_of(job_id: int) -> str:
    """Name a job's operations; each image's path is added to it."""
    return f"label-{job_id}"


def _items(project: Project, job: Job) -> Iterator[Image]:
    """List what is left, page by page: no mask, and not committed by this job before."""
    after = 0
    while page := project.images.page(UNLABELLED, after=after, limit=PAGE):
        after = page[-1].id
        done = already_done(project, operation_of(job.id), [image.path for image in page])
        yield from (image for image in page if image.path not in done)


def _work(
    project: Project,
    job: Job,
    settings: LabelSettings,
    outcomes: Iterator[Outcome[Image, list[Proposal]]],
    report: LabelReport,
    progress: Callable[[int], None] | None,
) -> None:
    ready: list[Labelled] = []
    known = frozenset(category.name for category in project.categories.all())
    began = committed = time.monotonic()
    with _errors(project, job).open("w", encoding="utf-8") as errors:

        def commit() -> None:
            nonlocal committed
            name = operation_of(job.id)
            added = add_labelled(project, name, ready, by=settings.model, untouched_only=True)
            report.images += len(ready) - added.passed_over
            report.passed_over += added.passed_over
            report.masks += added.masks
            report.images_per_second = report.images / max(1e-9, time.monotonic() - began)
            done = job.done + report.images
            said = f"{report.images_per_second:.2f} images/s, {_left(job, done, report)}"
            project.jobs.progress(job, done, message=said)
            if progress is not None:
                progress(len(ready))
            ready.clear()
            committed = time.monotonic()

        for outcome in outcomes:
            if outcome.result is None:
                reason = outcome.error or "unknown"
                report.failed.append((outcome.item.path, reason))
                errors.write(json.dumps({"image": outcome.item.path, "reason": reason}) + "\n")
                errors.flush()
                continue
            ready.append(_labelled(outcome.item, outcome.result, settings, known))
            if len(ready) >= IMAGES_AT_ONCE or time.monotonic() - committed >= SECONDS_AT_ONCE:
                commit()
        if ready:
            commit()


def _left(job: Job, done: int, report: LabelReport) -> str:
    images = max(0, (job.total or 0) - done - len(report.failed) - report.passed_over)
    seconds = images / max(1e-9, report.images_per_second)
    return f"{seconds / 60:.0f} min left"


def _errors(project: Project, job: Job) -> Path:
    """Return the file that lists the images which the job's last run could not use."""
    folder = project.folder / "labelling"
    folder.mkdir(exist_ok=True)
    return folder / f"{operation_of(job.id)}-errors.jsonl"


def _summary(report: LabelReport) -> str:
    text = f"{report.masks} masks on {report.images} images"
    if report.passed_over:
        text += f", {report.passed_over} were taken up by people"
    return text + (f", {len(report.failed)} could not be used" if report.failed else "")


def _labelled(
    image: Image, found: list[Proposal], settings: LabelSettings, known: frozenset[str]
) -> Labelled:
    new = {name: getattr(image, name) for name in NewImage.__dataclass_fields__}
    masks = tuple(
        NewMask(
            rle=each.rle,
            category=each.category if each.category in known else None,
            made=Made(
                made_by="model",
                author=each.by,
                stage="automatic",
                model_id=settings.model_id,
                round_id=settings.round_id,
                predicted_iou=each.predicted_iou,
                stability_score=each.stability_score,
                prompts=[{"points": [list(each.point)]}],
            ),
            attributes={"score": round(each.score, 6), "crop_box": list(each.crop_box)},
        )
        for each in found
    )
    return Labelled(image=NewImage(**new), masks=masks)


def _start(settings: LabelSettings) -> Callable[[Image], list[Proposal]]:
    """Load a worker's models and return its work; see `maskmill.executor.run`."""
    predictor = Predictor.load(settings.model, threads=1)
    folders: dict[Kind, str | None] = {
        "detector": settings.detector,
        "regions": settings.regions,
        "categories": settings.categories,
    }
    heads = open_heads({kind: Path(at) for kind, at in folders.items() if at is not None})
    return partial(_label, predictor, heads, settings)


def _label(
    predictor: Predictor, heads: Heads, settings: LabelSettings, image: Image
) -> list[Proposal]:
    opened = open_added(Path(image.path), image.content_hash)
    return find_masks(predictor, opened.array, settings, heads)


def find_masks(
    predictor: Predictor, pixels: Any, settings: LabelSettings, heads: Heads | None = None
) -> list[Proposal]:
    """Find the masks of one image that are kept, by every way that has a threshold.

    Args:
        predictor: The model.
        pixels: The image, uint8 RGB `h w 3`.
        settings: Thresholds, and everything mode's settings.
        heads: Where their ways have thresholds.

    Returns:
        The first way's masks; of each further way's what overlaps none of those by half.
    """
    kept: list[Proposal] = []
    largest = LARGEST * pixels.shape[0] * pixels.shape[1]
    for way, threshold in settings.thresholds.items():
        grid = settings.automask if threshold is None else nearly_open(settings.automask)
        found = proposals.found_by(way, predictor, pixels, heads or Heads(), grid)
        sure = [m for m in found if m.area <= largest and m.score >= (threshold or 0.0)]
        kept += proposals.without_overlaps(sure, [mask.rle for mask in kept])
    return kept

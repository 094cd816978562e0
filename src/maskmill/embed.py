"""Embeddings of a project's images, computed in the background as a job that may be killed.

A worker process reads an image, makes sure that it is still the one that was added, and writes its
embedding into the project's cache, from where every predictor takes it. What is done is what lies
there whole, so a job that was killed goes on by looking; one that was cancelled stops at its next
word to the database. Only the process that opened the project writes its rows.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from maskmill.executor import Outcome, run
from maskmill.images import OpenedImage, open_added
from maskmill.predict import Predictor
from maskmill.store import ImageFilter, Project
from maskmill.store.embeddings import Embeddings
from maskmill.store.jobs import Job

KIND = "embed"
SECONDS_BETWEEN_WORDS = 1.0
"""How often a job says how far it is, and hears whether it was cancelled."""
PAGE = 1000

Item = tuple[str, str]
"""Path and content hash of an image."""


@dataclass(kw_only=True)
class Embedded:
    """What a job did.

    Attributes:
        images: Images that were looked at.
        computed: Of these, embedded now; the others were there, whole.
        no_room: Images left out because the cache may grow no larger.
        failed: Path and reason of each image that could not be used.
        stopped: Why it ended early: cancelled, or taken over by another process.
    """

    images: int = 0
    computed: int = 0
    no_room: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    stopped: str | None = None


def embed_project(
    project: Project,
    load: Callable[[], Predictor],
    *,
    model: str,
    which: ImageFilter | None = None,
    limit: int | None = None,
    workers: int = 1,
    job: Job | None = None,
    progress: Callable[[int], None] | None = None,
) -> Embedded:
    """Compute the embeddings that are missing or damaged.

    A job of the same model that did not end (its process was killed) is taken over.

    Args:
        project: Open for writing.
        load: Loads the model; called in each worker, so it must be picklable.
        model: Its name, for the job's row.
        which: Only these images.
        limit: Bytes that the cache may have; those not used for longest go, and images for which
            there is no room are left out.
        workers: Processes; 0 works in this one.
        job: A queued job; None takes over a dead one, or makes one.
        progress: Called after each image.

    Raises:
        MaskmillError: If the model cannot be loaded; the job has failed then.
    """
    total = project.images.count(which)
    job = job or unfinished(project, model) or project.jobs.queue(KIND, {"model": model})
    job = project.jobs.claim(job.id, f"{socket.gethostname()}, process {os.getpid()}")
    report = Embedded()
    items = _items(project, which)
    folder = project.folder / "embeddings"
    outcomes = run(partial(_start, folder, load), items, workers=workers)
    try:
        job = project.jobs.progress(job, 0, total=total)
        _work(project, job, outcomes, report, limit=limit, total=total, progress=progress)
        project.jobs.finish(job, message=_summary(report))
    except Exception as error:  # an interruption leaves it as it is: the next one takes it over
        now = project.jobs.get(job.id)
        if (now.status, now.token) == ("running", job.token):
            project.jobs.finish(job, status="failed", message=str(error))
            raise
        report.stopped = str(error)
    return report


def start_embedding(
    project: Project,
    load: Callable[[], Predictor],
    *,
    model: str,
    which: ImageFilter | None = None,
    limit: int | None = None,
) -> tuple[Job, threading.Thread]:
    """Begin `embed_project` with one worker process, beside what this process does, as a server.

    Returns:
        The job, to be watched and cancelled by its id, and the thread, to be joined before the
        project is closed.
    """
    job = unfinished(project, model) or project.jobs.queue(KIND, {"model": model})
    work = partial(embed_project, project, load, model=model, which=which, limit=limit, job=job)
    thread = threading.Thread(target=work, name=f"embed {job.id}", daemon=True)
    thread.start()
    return job, thread


def _work(
    project: Project,
    job: Job,
    outcomes: Iterator[Outcome[Item, tuple[bool, int]]],
    report: Embedded,
    *,
    limit: int | None,
    total: int,
    progress: Callable[[int], None] | None,
) -> None:
    said = time.monotonic()
    room: int | None = None
    try:
        for outcome in outcomes:
            report.images += 1
            if outcome.result is None:
                report.failed.append((outcome.item[0], outcome.error or "unknown"))
            else:
                new, size = outcome.result
                report.computed += new
                room = limit // size if limit is not None else None
            if progress is not None:
                progress(1)
            if room is not None and report.images - len(report.failed) >= room:
                report.no_room = total - report.images
                break
            if time.monotonic() - said >= SECONDS_BETWEEN_WORDS:
                job = project.jobs.progress(job, report.images)
                _evict(project, limit)
                said = time.monotonic()
        project.jobs.progress(job, report.images)
    finally:
        outcomes.close()  # type: ignore[attr-defined]
        _evict(project, limit)


def _evict(project: Project, limit: int | None) -> None:
    if limit is not None:
        project.embeddings.evict(limit)


def unfinished(project: Project, model: str) -> Job | None:
    """Find a model's job that its process did not end; whoever embeds with it takes it over."""
    jobs = project.jobs.all(kind=KIND, running=True)
    return next((job for job in jobs if (job.settings or {}).get("model") == model), None)


def _summary(report: Embedded) -> str:
    text = f"{report.computed} computed of {report.images}"
    if report.failed:
        text += f", {len(report.failed)} could not be used"
    return text + (f", no room for {report.no_room}" if report.no_room else "")


def _items(project: Project, which: ImageFilter | None) -> Iterator[Item]:
    """List the images page by page; a job over a large project keeps none of them."""
    after = 0
    while page := project.images.page(which, after=after, limit=PAGE):
        after = page[-1].id
        yield from ((image.path, image.content_hash) for image in page)


def _start(folder: Path, load: Callable[[], Predictor]) -> Callable[[Item], tuple[bool, int]]:
    predictor, cache = load(), Embeddings(folder)
    return partial(_embed, predictor, cache)


def _embed(predictor: Predictor, cache: Embeddings, item: Item) -> tuple[bool, int]:
    """Embed an image unless it is there; returns whether it was made now, and its bytes."""
    missing = embed_image(predictor, cache, item) is not None
    return missing, cache.size_of(item[1], predictor.model_id)


def embed_image(predictor: Predictor, cache: Embeddings, item: Item) -> OpenedImage | None:
    """Write an image's embedding into a project's cache, unless it lies there whole.

    What every process that embeds in the background does to each image.

    Returns:
        The image, if it had to be read.

    Raises:
        ImageError: If it cannot be used, or is not the file that was added.
    """
    path, expected = Path(item[0]), item[1]
    if cache.get(expected, predictor.model_id) is not None:  # a damaged one is removed by this
        return None
    opened = open_added(path, expected)
    cache.put(expected, predictor.embed(opened.array))
    return opened

"""The audit by people: which masks were drawn, what became of each, and what that says of the rest.

A sample of machine-made masks is drawn once and written down. Each is a task, "correct this mask as
well as you can": keep it as it is, mend it, or remove it. What people did is read from the masks'
own history, so an audit can be stopped, shared and reported on at any time. With it images are
drawn at random, those without a mask included. Answers to "are all objects of this image found?"
say of them what the sample cannot: what is missing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from maskmill import rle
from maskmill.engine.audit import Share, by_size, draw_sample, shares, wilson
from maskmill.engine.dataset import answered_for
from maskmill.engine.missing import (
    Answer,
    by_stage_three,
    draw_images,
    estimate_recall,
    passed_by_stage_three,
    recall_interval,
)
from maskmill.errors import NotFound, StoreError
from maskmill.store import Annotation, ImageFilter, Project
from maskmill.store.models import Metric

SAMPLE, FOUND = "audit", "all found"
"""Names under which the project keeps samples and answers, among its metrics."""
IMAGES = 20
"""Images that are drawn with a sample."""
PAGE = 500

State = Literal["waiting", "kept", "corrected", "removed"]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """A sample of masks that was drawn.

    Attributes:
        number: 1, 2, 3 ...
        seed: Decided the draw.
        drawn: (annotation, version) of each mask, at what the machine made.
        masks: How many it was drawn from.
        by: Who drew it.
        at: When, seconds since 1970.
        images: Images drawn at random among all that stage 3 had looked at; none in audits of
            before they were drawn, and where no job of stage 3 is known.
    """

    number: int
    seed: int
    drawn: tuple[tuple[int, int], ...]
    masks: int
    by: str
    at: float
    images: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AuditTask:
    """One mask of a sample, and what people made of it.

    Attributes:
        annotation_id: The mask.
        version: The version that the machine made.
        image_id: Its image.
        area: Pixels of what the machine made.
        state: Waiting for a person, kept as it was, corrected, or removed as no object.
        iou: Of what the machine made with what became of it; 0 where removed, None while waiting.
    """

    annotation_id: int
    version: int
    image_id: int
    area: int
    state: State
    iou: float | None


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What an audit says.

    Attributes:
        number: Which audit.
        seed: Decided the draw.
        masks: How many the sample stands for.
        drawn: Masks in the sample.
        done: Of these, looked at by people.
        shares: Shares of them above IoU 0.90 and 0.75, with 95 % intervals.
        by_size: The same by mask size.
        images_drawn: Images drawn at random to be asked about.
        at_random: Whether what follows is of those of them that people answered for; else it is of
            all images with an answer, which have masks as a rule, so its recall is too high where
            others are empty.
        images_asked: Images of which people said whether all objects were found.
        images_complete: Share of these on which all were, with its 95 % interval.
        recall: Estimated share of the objects on those images that have a mask; None if nobody
            counted. Masks that nobody looked at count by the share of the sample that shows an
            object.
        recall_interval: Its 95 % interval, a bootstrap over the images and the sample; None unless
            five or more that hold objects were drawn at random and answered for.
    """

    number: int
    seed: int
    masks: int
    drawn: int
    done: int
    shares: tuple[Share, ...]
    by_size: dict[str, list[Share]]
    images_drawn: int
    at_random: bool
    images_asked: int
    images_complete: tuple[float, float, float]
    recall: float | None
    recall_interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return asdict(self)


def draw_audit(
    project: Project, *, size: int, images: int = IMAGES, seed: int = 0, by: str
) -> Audit:
    """Draw masks of stage 3 that no person has looked at, and images, and write them down.

    The masks are drawn evenly over sizes. The images are drawn at random among all that stage 3 has
    looked at and nobody has labelled since, those on which it found nothing included.

    Args:
        project: Open for writing.
        size: Masks wanted; all, if there are fewer.
        images: Images wanted, to ask what is missing on them; all, if there are fewer.
        seed: Decides which.
        by: Who asks.

    Raises:
        StoreError: If there is no such mask, `size` is below 1, or `images` below 0.
    """
    if size < 1:
        raise StoreError(f"an audit of {size} masks says nothing; draw at least 1")
    if images < 0:
        raise StoreError(f"{images} images cannot be drawn; give 0 or more")
    waiting = sorted(_unseen(project))
    if not waiting:
        raise StoreError("no machine-made mask waits for a look; run `maskmill label` first")
    areas = np.array([area for _, _, area in waiting], np.int64)
    rng = np.random.default_rng(seed)
    chosen = draw_sample(areas, size, rng)
    detail = {
        "number": len(audits(project)) + 1,
        "seed": seed,
        "drawn": [waiting[i][:2] for i in chosen],
        "masks": len(waiting),
        "images": draw_images(passed_by_stage_three(project), images, rng),
        "by": by,
    }
    project.models.record({SAMPLE: float(len(chosen))}, detail=detail)
    return audits(project)[-1]


def audits(project: Project) -> list[Audit]:
    """Return all samples that were drawn, the first one first."""
    return [_audit(metric) for metric in project.models.metrics(SAMPLE)]


def find_audit(project: Project, number: int | None = None) -> Audit:
    """Return an audit by its number, or the last one.

    Raises:
        NotFound: If there is none.
    """
    known = audits(project)
    found = [a for a in known if number in (None, a.number)]
    if not found:
        there = f"there are {len(known)}" if known else "draw one with `maskmill audit draw`"
        raise NotFound(f"no audit {'yet' if number is None else number}; {there}")
    return found[-1]


def tasks(project: Project, audit: Audit) -> list[AuditTask]:
    """Say of each mask of a sample what people made of it so far, in the order of the draw."""
    return [_task(project.annotations.history(key), version) for key, version in audit.drawn]


def waiting_images(project: Project, audit: Audit) -> list[int]:
    """Return those of an audit's living images that nobody has answered for since the draw."""
    answered = {answer["image_id"] for answer in _answers(project, since=audit.at)}
    left = [image_id for image_id in audit.images if image_id not in answered]
    return [image_id for image_id in left if not project.images.get(image_id).deleted]


def answer_found(project: Project, image_id: int, *, missing: int, by: str) -> None:
    """Keep a person's answer to "are all objects of this image found?".

    Args:
        project: Open for writing.
        image_id: The image.
        missing: Objects without a mask; 0 if all were found.
        by: Who looked.

    Raises:
        NotFound: If there is no such image.
        StoreError: If `missing` is below 0.
    """
    if missing < 0:
        raise StoreError(f"{missing} objects cannot be missing; give 0 or more")
    image = project.images.get(image_id)
    kept = [m for m in project.annotations.of_image(image.id) if m.review != "rejected"]
    stood_for = [mask for mask in kept if answered_for(mask)]
    detail = {
        "image_id": image_id,
        "missing": missing,
        "masks": len(kept),
        "unseen": len(kept) - len(stood_for),
        "added": sum(not by_stage_three(project, mask) for mask in stood_for),
        "by": by,
    }
    project.models.record({FOUND: float(missing == 0)}, detail=detail)


def report(project: Project, audit: Audit) -> AuditReport:
    """Say what an audit has shown so far."""
    looked = [task for task in tasks(project, audit) if task.iou is not None]
    at_random = _of_drawn(project, audit)
    return report_of(
        np.array([task.iou for task in looked], float),
        np.array([task.area for task in looked], np.int64),
        audit=audit,
        answers=at_random or _of_any(project),
        at_random=bool(at_random),
    )


def report_of(
    iou: np.ndarray,
    areas: np.ndarray,
    *,
    audit: Audit,
    answers: Sequence[Answer] = (),
    at_random: bool = False,
) -> AuditReport:
    """Put together what corrected pairs and answers say.

    Args:
        iou: Of each machine-made mask with what a person made of it, `n`.
        areas: Pixels of each, `n`.
        audit: The sample they are of.
        answers: For each image that was asked about, its masks, those of them that nobody had
            looked at, and the objects without one.
        at_random: Whether those images were drawn at random.
    """
    complete = sum(missing == 0 for *_, missing in answers)
    low, high = wilson(complete, len(answers))
    return AuditReport(
        number=audit.number,
        seed=audit.seed,
        masks=audit.masks,
        drawn=len(audit.drawn),
        done=len(iou),
        shares=tuple(shares(iou)),
        by_size=by_size(iou, areas),
        images_drawn=len(audit.images),
        at_random=at_random,
        images_asked=len(answers),
        images_complete=(complete / max(1, len(answers)), low, high),
        recall=estimate_recall(iou, answers),
        recall_interval=recall_interval(iou, answers, seed=audit.seed) if at_random else None,
    )


def _of_drawn(project: Project, audit: Audit) -> list[Answer]:
    """Return the answers for images drawn at random; what people added there was missing."""
    told = {a["image_id"]: a for a in _answers(project, since=audit.at)}
    return [
        (a["masks"] - a["added"], a["unseen"], a["missing"] + a["added"])
        for a in (told[image_id] for image_id in audit.images if image_id in told)
    ]


def _of_any(project: Project) -> list[Answer]:
    told = {a["image_id"]: a for a in _answers(project)}  # the last word on an image counts
    return [(a["masks"], a.get("unseen", a["masks"]), a["missing"]) for a in told.values()]


def _audit(metric: Metric) -> Audit:
    told = dict(metric.detail)
    drawn = tuple((int(key), int(version)) for key, version in told.pop("drawn"))
    images = tuple(int(image_id) for image_id in told.pop("images", ()))
    return Audit(**told, drawn=drawn, images=images, at=metric.at)


def _answers(project: Project, *, since: float = 0.0) -> list[dict[str, Any]]:
    """Return the answers for images, the first one first, or those after a time."""
    return [dict(m.detail) for m in project.models.metrics(FOUND) if m.at >= since]


def _unseen(project: Project) -> list[tuple[int, int, int]]:
    """Return (annotation, version, area) of the masks of stage 3 that nobody has judged."""
    found: list[tuple[int, int, int]] = []
    after = 0
    which = ImageFilter(stage="automatic")
    while page := project.images.page(which, after=after, limit=PAGE):
        after = page[-1].id
        masks = project.annotations.of_images([i.id for i in page], stage="automatic")
        found += [
            (m.id, m.version, m.area)
            for each in masks.values()
            for m in each
            if m.review is None and m.made.made_by == "model"
        ]
    return found


def _task(history: list[Annotation], version: int) -> AuditTask:
    first = next(v for v in history if v.version == version)
    last = history[-1]
    state: State = "waiting"
    iou: float | None = None
    if last.deleted or last.review == "rejected":
        state, iou = "removed", 0.0
    elif last.rle != first.rle:
        state, iou = "corrected", float(rle.iou([first.rle], [last.rle])[0, 0])
    elif last.review == "accepted":
        state, iou = "kept", 1.0
    return AuditTask(
        annotation_id=first.id,
        version=version,
        image_id=first.image_id,
        area=first.area,
        state=state,
        iou=iou,
    )

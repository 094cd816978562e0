"""Played people at work in a real project: what they do is written as real people's work is.

An oracle that sees hidden labels, or a record of what real people made, sits down at an image,
looks at what is pre-filled, and makes the rest; after stage 3 it corrects the audit's sample. Every
write is named after what it is of, so a simulation that was killed does none twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from maskmill import rle
from maskmill.engine import auditing
from maskmill.engine.dataset import answered_for
from maskmill.engine.oracle import HandMade, OracleConfig, Sitting, label_image
from maskmill.engine.proposals import Proposal
from maskmill.engine.time_model import TimeModel
from maskmill.mending import Mending
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.store import Create, Edit, Made, Project
from maskmill.store.changes import Stage
from maskmill.values import Embedding

ORACLE = "oracle"
SAME = 0.995
"""IoU from which a person who corrects a mask leaves it as it is."""
OTHER = 0.3
"""IoU below which a mask is of no object, and removed."""


@runtime_checkable
class Person(Protocol):
    """Who labels: sees the truth of an image, and answers for its seconds."""

    def truths(self, path: str) -> Sequence[Rle]:
        """Return all objects of an image."""
        ...

    def label(
        self,
        predictor: Predictor,
        embedding: Embedding,
        path: str,
        rng: np.random.Generator,
        prefilled: Sequence[Rle],
        mending: Mending | None,
        offered: Sequence[Rle],
        offering: Mending | None,
    ) -> Sitting:
        """Sit down at an image."""
        ...


@dataclass(frozen=True)
class Oracle:
    """A simulated person: sees the labels, clicks and errs as `OracleConfig` says."""

    labels: Mapping[str, Sequence[Rle]]
    config: OracleConfig
    times: TimeModel

    def truths(self, path: str) -> Sequence[Rle]:
        """Return the labels of an image."""
        return self.labels[path]

    def label(
        self,
        predictor: Predictor,
        embedding: Embedding,
        path: str,
        rng: np.random.Generator,
        prefilled: Sequence[Rle],
        mending: Mending | None,
        offered: Sequence[Rle],
        offering: Mending | None,
    ) -> Sitting:
        """Play a person."""
        return label_image(
            predictor, embedding, self.labels[path], rng, prefilled=prefilled, mending=mending,
            offered=offered, offering=offering, config=self.config, times=self.times,
        )  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """People whose work was recorded: their masks are the truth, their seconds the cost.

    What a model now pre-fills they would have checked; what it leaves, they made as they did, or
    checked where a model had made it for them.
    """

    work: Mapping[str, Sequence[HandMade]]
    config: OracleConfig
    times: TimeModel

    def truths(self, path: str) -> Sequence[Rle]:
        """Return what people made on an image."""
        return [mask.rle for mask in self.work[path]]

    def label(
        self,
        predictor: Predictor,
        embedding: Embedding,
        path: str,
        rng: np.random.Generator,
        prefilled: Sequence[Rle],
        mending: Mending | None,
        offered: Sequence[Rle],
        offering: Mending | None,
    ) -> Sitting:
        """Let recorded people work."""
        return label_image(
            predictor, embedding, self.truths(path), rng, prefilled=prefilled, mending=mending,
            recorded=self.work[path], config=self.config, times=self.times,
        )  # fmt: skip


def record_of(project: Project, times: TimeModel | None = None) -> dict[str, list[HandMade]]:
    """Read what people made in a project, by path, in the order in which they worked.

    A pre-filled mask that they kept is of an object like those that they made, and took them a
    check. Other masks without recorded seconds (imported ones, say) were made by nobody whose time
    is known, and are left out, as are images without any other.

    Args:
        project: Open for reading or writing.
        times: What a check costs.
    """
    check = (times or TimeModel()).check
    found: dict[str, list[HandMade]] = {}
    began: dict[str, int] = {}
    after = 0
    while page := project.images.page(after=after, limit=200):
        after = page[-1].id
        masks = project.annotations.of_images([image.id for image in page])
        for image in page:
            made = [
                m
                for m in masks.get(image.id, ())
                if answered_for(m) and (m.made.seconds or _was_prefilled(m.made))
            ]
            if made:
                found[image.path] = [_hand_made(m.rle, m.made, check) for m in made]
                began[image.path] = min(m.sequence for m in made)
    return dict(sorted(found.items(), key=lambda item: began[item[0]]))


def _was_prefilled(made: Made) -> bool:
    """Tell whether a model made a mask for a person who then sat down at its image.

    One of stage 3 that an audit's sample kept is none: nobody looked at the rest of its image.
    """
    return made.made_by == "model" and made.stage not in ("automatic", "imported")


def _hand_made(mask: Rle, made: Made, check: float) -> HandMade:
    return HandMade(
        rle=mask,
        seconds=made.seconds or check,
        clicks=made.clicks or 0,
        strokes=made.edits or 0,
        predicted_iou=made.predicted_iou,
        prompts=made.prompts,
        iou=None,
    )


def sit(
    project: Project,
    person: Person,
    predictor: Predictor,
    image_id: int,
    chosen: Sequence[Proposal],
    *,
    pixels: Any,
    stage: Stage,
    rng: np.random.Generator,
    offered: Sequence[Rle] = (),
    follows: bool = True,
) -> Sitting:
    """Pre-fill an image, let a person label it, and write what they do.

    Args:
        project: Open for writing.
        person: Who labels.
        predictor: The model in use.
        image_id: The image.
        chosen: What is pre-filled.
        pixels: The image.
        stage: Of the data engine.
        rng: The person's own.
        offered: Regions that a click brings up.
        follows: Whether pre-filled masks and offered regions follow what people do on the image.
    """
    written = prefill(project, image_id, chosen, stage)
    path = project.images.get(image_id).path
    embedding = predictor.embed(pixels)
    there = [mask.rle for mask in chosen]
    mending = Mending(pixels, there) if follows and there else None
    offering = Mending(pixels, offered) if follows and offered else None
    sitting = person.label(predictor, embedding, path, rng, there, mending, offered, offering)
    changes: list[Any] = [
        Edit(annotation_id=written[i], based_on=1, review="rejected") for i in sitting.rejected
    ]
    rows = {mask.id: mask for mask in project.annotations.of_image(image_id)}
    for i, mask in sitting.kept.items():
        keep = Edit(annotation_id=written[i], based_on=1, review="accepted")
        moved = mask != there[i]
        changes.append(replace(keep, rle=mask, made=rows[written[i]].made) if moved else keep)
    changes += [
        Edit(annotation_id=written[i], based_on=1, rle=mask.rle, made=_made(mask, stage))
        for i, mask in sitting.mended
    ]
    changes += [
        Create(image_id=image_id, rle=mask.rle, made=_made(mask, stage))
        for mask in sitting.made
        if rle.area(mask.rle)
    ]
    if changes:
        project.annotations.apply(f"sitting-{image_id}", changes, by=ORACLE)
    project.work.set_state(image_id, "complete", name=ORACLE)
    return sitting


def prefill(
    project: Project, image_id: int, masks: Sequence[Proposal], stage: Stage, **made: Any
) -> list[int]:
    """Write a model's masks on an image as such: nobody has looked at them yet.

    Args:
        project: Open for writing.
        image_id: The image; it is pre-filled once in each stage, whatever is asked later.
        masks: What to write.
        stage: Of the data engine.
        **made: What else is known of how they were made: `model_id` and `round_id`.

    Returns:
        Their rows.
    """
    if not masks:
        return []
    changes = [
        Create(
            image_id=image_id,
            rle=mask.rle,
            made=Made(
                made_by="model", author=mask.by, stage=stage, predicted_iou=mask.predicted_iou,
                stability_score=mask.stability_score, prompts=[{"points": [list(mask.point)]}],
                **made,
            ),
        )
        for mask in masks
    ]  # fmt: skip
    name = f"prefill-{stage}-{image_id}"
    return [each.id for each in project.annotations.apply(name, changes, by="model")]


def correct_sample(project: Project, person: Person, audit: auditing.Audit) -> None:
    """Let a person correct an audit's sample as well as they can, and say what is missing.

    They say it of the images drawn at random; of the sample's images where none were drawn.
    """
    of_sample = {task.image_id for task in auditing.tasks(project, audit)}
    for image_id in audit.images or sorted(of_sample):
        truths = list(person.truths(project.images.get(image_id).path))
        there = [m for m in project.annotations.of_image(image_id) if m.review != "rejected"]
        iou = rle.iou([m.rle for m in there], truths) if there and truths else None
        missing = len(truths) if iou is None else int((iou.max(0) < 0.5).sum())
        auditing.answer_found(project, image_id, missing=missing, by=ORACLE)
    changes = [
        _correction(task, project, person)
        for task in auditing.tasks(project, audit)
        if task.state == "waiting"
    ]
    if changes:
        project.annotations.apply(f"audit-{audit.number}", changes, by=ORACLE)


def _correction(task: auditing.AuditTask, project: Project, person: Person) -> Edit:
    truths = list(person.truths(project.images.get(task.image_id).path))
    mask = project.annotations.get(task.annotation_id)
    iou = rle.iou([mask.rle], truths)[0] if truths else np.zeros(1)
    best = int(iou.argmax())
    based_on = mask.version
    if iou[best] < OTHER:
        return Edit(annotation_id=mask.id, based_on=based_on, review="rejected")
    if iou[best] >= SAME:
        return Edit(annotation_id=mask.id, based_on=based_on, review="accepted")
    made = Made(made_by="person", author=ORACLE, stage="automatic")
    return Edit(annotation_id=mask.id, based_on=based_on, rle=truths[best], made=made)


def _made(mask: HandMade, stage: Stage) -> Made:
    return Made(
        made_by="person", author=ORACLE, stage=stage, seconds=mask.seconds, clicks=mask.clicks,
        edits=mask.strokes, predicted_iou=mask.predicted_iou, prompts=mask.prompts,
    )  # fmt: skip

"""Periods between rounds: what people made in each, what became of pre-filled masks."""

import time

import numpy as np
import pytest

from maskmill import rle
from maskmill.store import Create, Delete, Edit, Made, NewImage, Project
from maskmill.store.round_work import Work, answered_masks, work_between


@pytest.fixture
def image(project: Project) -> int:
    new = NewImage(path="/a.png", content_hash="a" * 64, width=20, height=10, source="s")
    project.images.add([new])
    return project.images.page(limit=1)[0].id


def make(project: Project, image: int, op: str, **made: object) -> int:
    mask = np.zeros((10, 20), bool)
    mask[2:5, 3:9] = True
    values = {"made_by": "person", "author": "Ada", "stage": "assisted", **made}
    create = Create(image_id=image, rle=rle.encode(mask), made=Made(**values))  # type: ignore[arg-type]
    return project.annotations.apply(op, [create], by="Ada")[0].id


def test_masks_belong_to_the_period_in_which_they_were_made(project: Project, image: int) -> None:
    first = make(project, image, "1", seconds=10.0, clicks=2, edits=1)
    time.sleep(0.01)
    between = time.time()
    time.sleep(0.01)
    make(project, image, "2", seconds=4.0, clicks=1)
    make(project, image, "3")
    make(project, image, "4", stage="imported")
    semi = {"made_by": "model", "stage": "semi"}
    kept, rejected, _ = (make(project, image, f"m{i}", **semi) for i in range(3))
    edits = [
        Edit(annotation_id=kept, based_on=1, review="accepted"),
        Delete(annotation_id=rejected, based_on=1),
        Edit(annotation_id=first, based_on=1, review="accepted"),  # changed later, made before
    ]
    project.annotations.apply("review", edits, by="Ada")
    before, after = work_between(project.database, project.id, [between])
    assert before == Work(masks=1, images=1, timed_masks=1, seconds=10.0, clicks=2, edits=1)
    assert after == Work(
        masks=2, images=1, timed_masks=1, seconds=4.0, clicks=1, kept=1, rejected=1, unseen=1
    )
    (all_,) = work_between(project.database, project.id, [])
    assert (all_.masks, all_.seconds) == (3, 14.0)
    answered = {key for key, _, _ in answered_masks(project.database, project.id)}
    assert len(answered) == 5
    assert kept in answered
    assert rejected not in answered
    refuse = Edit(annotation_id=first, based_on=2, review="rejected")
    project.annotations.apply("refuse", [refuse], by="Bob")
    answered = {key for key, _, _ in answered_masks(project.database, project.id)}
    assert len(answered) == 4
    assert first not in answered

"""Audits by people: what was drawn stays drawn, and what people made of it is read from history."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scene

from maskmill import rle
from maskmill.engine.auditing import (
    AuditTask,
    answer_found,
    audits,
    draw_audit,
    find_audit,
    report,
    tasks,
)
from maskmill.errors import NotFound, StoreError
from maskmill.exchange.importing import import_labelled
from maskmill.store import Create, Delete, Edit, Made, Project
from maskmill.store.changes import Review

AUTOMATIC = Made(made_by="model", author="everything mode", stage="automatic", predicted_iou=0.9)
PERSON = Made(made_by="person", author="Ada", stage="automatic", seconds=5.0)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of two images with ten machine-made squares each, of sides 5 to 14."""
    with Project.create(tmp_path / "project") as made:
        scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(2)]
        bare = [replace(scene, annotations=()) for scene in scenes]
        import_labelled(made, bare, name="scenes", by="test")
        for image in made.images.page(limit=10):
            squares = [square(image.size, 5 + i) for i in range(10)]
            changes = [Create(image_id=image.id, rle=s, made=AUTOMATIC) for s in squares]
            made.annotations.apply(f"{image.id}", changes, by="test")
        yield made


def square(size: tuple[int, int], side: int, shift: int = 0) -> rle.Rle:
    mask = np.zeros(size, bool)
    mask[2 : 2 + side, 2 + shift : 2 + shift + side] = True
    return rle.encode(mask)


def test_a_draw_is_written_down_with_its_seed_and_covers_every_size(project: Project) -> None:
    drawn = draw_audit(project, size=10, seed=7, by="Ada")
    assert (drawn.number, drawn.seed, drawn.masks, len(drawn.drawn)) == (1, 7, 20, 10)
    assert audits(project) == [drawn] == [find_audit(project, 1)]
    areas = np.array([task.area for task in tasks(project, drawn)])
    for low, high in ((25, 36), (49, 64), (81, 100), (121, 144), (169, 196)):
        assert ((areas >= low) & (areas <= high)).sum() == 2, "two of each fifth of the sizes"
    assert draw_audit(project, size=10, seed=7, by="Bo").drawn == drawn.drawn
    assert draw_audit(project, size=10, seed=8, by="Bo").drawn != drawn.drawn


def test_what_people_made_of_each_mask_is_read_from_its_history(project: Project) -> None:
    drawn = draw_audit(project, size=20, by="Ada")
    before = tasks(project, drawn)
    assert {task.state for task in before} == {"waiting"}
    first, second, third, fourth, fifth, *_ = before
    size = project.images.get(first.image_id).size
    side = round(second.area**0.5)
    change(project, Edit(annotation_id=first.annotation_id, based_on=1, review="accepted"))
    mended = square(size, side, shift=1)
    key = second.annotation_id
    change(project, Edit(annotation_id=key, based_on=1, rle=mended, made=PERSON))
    change(project, Delete(annotation_id=third.annotation_id, based_on=1))
    change(project, Edit(annotation_id=fourth.annotation_id, based_on=1, review="rejected"))
    change(project, Edit(annotation_id=fifth.annotation_id, based_on=1, category_id=None))
    after = {task.annotation_id: task for task in tasks(project, drawn)}
    shifted = side * (side - 1) / (side * (side + 1))
    assert told(after[first.annotation_id]) == ("kept", 1.0)
    assert told(after[key]) == ("corrected", pytest.approx(shifted))
    assert told(after[third.annotation_id]) == ("removed", 0.0)
    assert told(after[fourth.annotation_id]) == ("removed", 0.0)
    assert told(after[fifth.annotation_id]) == ("waiting", None), "a category is no look at a mask"
    said = report(project, drawn)
    assert (said.drawn, said.done) == (20, 4)
    assert said.shares[0].pairs == 4
    assert said.shares[0].share == pytest.approx(0.25 + 0.25 * (shifted > 0.9))
    assert sum(each[0].pairs for each in said.by_size.values()) == 4
    assert said.recall is None


def test_masks_that_people_judged_are_not_drawn(project: Project) -> None:
    image = project.images.page(limit=1)[0]
    for mask in project.annotations.of_image(image.id):
        change(project, Edit(annotation_id=mask.id, based_on=1, review="accepted"))
    assert draw_audit(project, size=100, by="Ada").masks == 10


def test_answers_say_what_is_missing_and_the_last_word_counts(project: Project) -> None:
    drawn = draw_audit(project, size=5, by="Ada")
    one, two = project.images.page(limit=10)
    answer_found(project, one.id, missing=4, by="Ada")
    answer_found(project, one.id, missing=0, by="Ada")
    answer_found(project, two.id, missing=5, by="Bo")
    said = report(project, drawn)
    assert said.images_asked == 2
    assert said.images_complete[0] == 0.5
    assert said.recall is None, "nobody knows yet whether the masks show objects"


def test_masks_that_show_nothing_are_no_found_objects(project: Project) -> None:
    """Twenty masks, of which people saw four, and half of those were none."""
    drawn = draw_audit(project, size=4, by="Ada")
    for place, (key, version) in enumerate(drawn.drawn):
        verdict: Review = "accepted" if place % 2 else "rejected"
        change(project, Edit(annotation_id=key, based_on=version, review=verdict))
    for image in project.images.page(limit=10):
        answer_found(project, image.id, missing=5, by="Ada")
    found = 2 + 16 * 0.5
    assert report(project, drawn).recall == pytest.approx(found / (found + 10))


def test_what_cannot_be_drawn_or_found_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no audit yet"):
        find_audit(project)
    with pytest.raises(StoreError, match="at least 1"):
        draw_audit(project, size=0, by="Ada")
    with pytest.raises(StoreError, match="cannot be missing"):
        answer_found(project, 1, missing=-1, by="Ada")
    with pytest.raises(NotFound, match="image 99"):
        answer_found(project, 99, missing=0, by="Ada")
    with (
        Project.create(tmp_path / "empty") as empty,
        pytest.raises(StoreError, match="maskmill label"),
    ):
        draw_audit(empty, size=5, by="Ada")


def change(project: Project, what: Edit | Delete) -> None:
    project.annotations.apply(f"change {what.annotation_id}", [what], by="Ada")


def told(task: AuditTask) -> tuple[str, float | None]:
    return task.state, task.iou

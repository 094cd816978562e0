"""What a round learns from: frozen masks that people answer for, and nothing else."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scene

from maskmill import rle
from maskmill.engine.dataset import labelled_images
from maskmill.exchange.exporting import labelled_images as exported
from maskmill.exchange.importing import import_labelled
from maskmill.store import Create, Delete, Edit, Made, Project
from maskmill.store.snapshots import SnapshotConfig

NO_HOLDOUT = SnapshotConfig(val_share=0.0)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of one image without masks."""
    scene = write_scene(tmp_path, "scene", seed=3)
    bare = [type(scene)(image_id="1", path=scene.path, size=scene.size, source="s")]
    with Project.create(tmp_path / "project") as made:
        import_labelled(made, bare, name="s", by="test")
        yield made


def add(project: Project, made_by: str, review: str | None = None, row: int = 5) -> int:
    image = project.images.page(limit=1)[0]
    mask = np.zeros(image.size, bool)
    mask[row : row + 20, 10:40] = True
    made = Made(made_by=made_by, author="Ada", stage="assisted")  # type: ignore[arg-type]
    change = Create(image_id=image.id, rle=rle.encode(mask), made=made, review=review)  # type: ignore[arg-type]
    return project.annotations.apply(uuid.uuid4().hex, [change], by="Ada")[0].id


def test_a_models_own_masks_teach_only_when_a_person_accepted_them(project: Project) -> None:
    person, accepted = add(project, "person"), add(project, "model", "accepted", row=8)
    add(project, "model", row=11)
    add(project, "model", "rejected", row=14)
    snapshot = project.snapshots.take("one", NO_HOLDOUT)
    (image,) = labelled_images(project, snapshot, "train")
    assert [m.annotation_id for m in image.annotations] == [person, accepted]
    assert labelled_images(project, snapshot, "val") == []


def test_an_image_is_whole_once_somebody_finished_it(project: Project) -> None:
    image = project.images.page(limit=1)[0]
    add(project, "person")

    def whole(name: str) -> int:
        snapshot = project.snapshots.take(name, NO_HOLDOUT)
        return len(labelled_images(project, snapshot, "train", whole=True))

    assert whole("one mask of an open image") == 0
    project.work.set_state(image.id, "in_review", name="Ada")
    assert whole("finished") == 1
    finished = project.snapshots.get("finished")
    waiting = add(project, "model", row=9)
    assert whole("a model's mask that nobody has looked at") == 0
    assert labelled_images(project, finished, "train", whole=True) == [], "something was missing"
    accept = Edit(annotation_id=waiting, based_on=1, review="accepted")
    project.annotations.apply("accept", [accept], by="Ada")
    assert whole("accepted") == 1
    project.work.set_state(image.id, "returned", name="Bob")
    assert whole("returned") == 0


def test_an_import_with_masks_is_whole_also_when_all_were_corrected(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, [write_scene(tmp_path, "a", seed=1)], name="s", by="test")
        image = project.images.page(limit=1)[0]
        made = Made(made_by="person", author="Ada", stage="assisted")
        for name in ("one", "two"):
            snapshot = project.snapshots.take(name, NO_HOLDOUT)
            (found,) = labelled_images(project, snapshot, "train", whole=True)
            assert len(found.annotations) == 3
            edits = [
                Edit(annotation_id=m.id, based_on=m.version, rle=m.rle, made=made)
                for m in project.annotations.of_image(image.id)
            ]
            project.annotations.apply(name, edits, by="Ada")
        with Project.create(tmp_path / "other") as other:
            import_labelled(other, exported(project), name="made elsewhere", by="Bo")
            snapshot = other.snapshots.take("three", NO_HOLDOUT)
            assert len(labelled_images(other, snapshot, "train", whole=True)) == 1


def test_later_edits_and_deletions_do_not_reach_a_snapshot(project: Project) -> None:
    edited, deleted = add(project, "person"), add(project, "person", row=9)
    snapshot = project.snapshots.take("one", NO_HOLDOUT)
    (before,) = labelled_images(project, snapshot, "train")
    size = project.images.page(limit=1)[0].size
    other = rle.encode(np.eye(*size, dtype=bool))
    made = Made(made_by="person", author="Bob", stage="assisted")
    project.annotations.apply(
        "later",
        [
            Edit(annotation_id=edited, based_on=1, rle=other, made=made),
            Delete(annotation_id=deleted, based_on=1),
        ],
        by="Bob",
    )
    (after,) = labelled_images(project, snapshot, "train")
    assert [m.rle for m in after.annotations] == [m.rle for m in before.annotations]
    (now,) = labelled_images(project, project.snapshots.take("two", NO_HOLDOUT), "train")
    assert [m.rle for m in now.annotations] == [other]


def test_what_was_learned_is_left_out_until_it_is_edited(project: Project) -> None:
    learned = add(project, "person")
    first = project.snapshots.take("one", NO_HOLDOUT)
    known = set(project.snapshots.annotation_versions(first).items())
    assert labelled_images(project, first, "train", known=known) == []
    new = add(project, "person", row=9)
    (image,) = labelled_images(
        project, project.snapshots.take("two", NO_HOLDOUT), "train", known=known
    )
    assert [m.annotation_id for m in image.annotations] == [new]
    project.annotations.apply(
        "edit",
        [
            Edit(
                annotation_id=learned, based_on=1, rle=image.annotations[0].rle,
                made=Made(made_by="person", author="Ada", stage="assisted"),
            )
        ],
        by="Ada",
    )  # fmt: skip
    third = project.snapshots.take("three", NO_HOLDOUT)
    (image,) = labelled_images(project, third, "train", known=known)
    assert [m.annotation_id for m in image.annotations] == [learned, new]

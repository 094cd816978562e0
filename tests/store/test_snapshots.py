"""Snapshots: frozen, hashed, and no group on both sides of a split."""

import pytest
from sqlalchemy import update

from maskmill.errors import NotFound, StoreError
from maskmill.store import Delete, Edit, Project
from maskmill.store.schema import annotations
from maskmill.store.snapshots import SnapshotConfig

from .records import BY_ANN, add_images, add_masks, square


def test_a_snapshot_stays_what_it_was(project: Project) -> None:
    first, second = add_images(project, "a.jpg", "b.jpg")
    kept, edited, deleted = add_masks(project, first, *(square(i, i, 4) for i in range(3)))
    before = project.snapshots.take("before")
    edit = Edit(annotation_id=edited.id, based_on=1, rle=square(9, 9, 5), made=BY_ANN)
    delete = Delete(annotation_id=deleted.id, based_on=1)
    project.annotations.apply("change", [edit, delete], by="bob")
    add_masks(project, second, square(2, 2, 2))
    add_images(project, "c.jpg")
    after = project.snapshots.take("after")
    assert project.snapshots.annotation_versions(before) == {
        kept.id: 1,
        edited.id: 1,
        deleted.id: 1,
    }
    assert project.snapshots.verify(before)
    assert project.snapshots.verify(after)
    found = project.snapshots.difference(before, after)
    assert (found.images_added, found.images_removed) == (1, 0)
    assert (found.masks_added, found.masks_removed, found.masks_changed) == (1, 1, 1)
    assert before.statistics["masks"] == after.statistics["masks"] == 3
    assert [s.name for s in project.snapshots.all()] == ["before", "after"]


def test_the_digest_says_what_is_in_it_and_nothing_else(project: Project) -> None:
    (image,) = add_images(project, "a.jpg")
    (mask,) = add_masks(project, image, square(1, 1, 3))
    first, same = project.snapshots.take("one"), project.snapshots.take("two")
    assert first.digest == same.digest
    cat = project.categories.ensure(["cat"])["cat"]
    edit = Edit(annotation_id=mask.id, based_on=1, category_id=cat)
    project.annotations.apply("name it", [edit], by="ann")
    assert project.snapshots.take("three").digest != first.digest


def test_a_mask_that_was_tampered_with_is_noticed(project: Project) -> None:
    (image,) = add_images(project, "a.jpg")
    (mask,) = add_masks(project, image, square(1, 1, 3))
    taken = project.snapshots.take("one")
    with project.database.write() as connection:
        other = square(1, 1, 4).counts
        connection.execute(
            update(annotations).where(annotations.c.id == mask.id).values(counts=other)
        )
    assert not project.snapshots.verify(taken)


def test_groups_and_copies_stay_on_one_side(project: Project) -> None:
    for scene in range(40):
        add_images(project, *(f"{scene}-{i}.jpg" for i in range(3)), group_name=f"scene {scene}")
    add_images(project, "copy-a.jpg", "copy-b.jpg", content_hash="c" * 64)
    splits = project.snapshots.splits(
        project.snapshots.take("one", SnapshotConfig(val_share=0.3, seed=1))
    )
    sides: dict[str, set[str]] = {}
    for image in project.images.page(limit=1000):
        group = image.group_name or image.content_hash
        sides.setdefault(group, set()).add(splits[image.id])
    assert all(len(found) == 1 for found in sides.values())
    assert 5 <= sum("val" in found for found in sides.values()) <= 20


def test_a_group_goes_where_one_of_its_images_is_already(project: Project) -> None:
    (given,) = add_images(project, "a.jpg", group_name="scene", split="val")
    (free,) = add_images(project, "b.jpg", group_name="scene")
    taken = project.snapshots.take("one", SnapshotConfig(val_share=0.0))
    assert project.snapshots.splits(taken) == {given.id: "val", free.id: "val"}


def test_a_group_on_both_sides_is_refused_by_name(project: Project) -> None:
    add_images(project, "a.jpg", group_name="scene 7", split="val")
    add_images(project, "b.jpg", group_name="scene 7", split="train")
    with pytest.raises(StoreError, match=r"'scene 7' stands in val and in train"):
        project.snapshots.take("one")
    assert project.snapshots.all() == []


def test_splits_do_not_depend_on_what_else_is_there(project: Project) -> None:
    images = add_images(project, *(f"{i}.jpg" for i in range(50)))
    config = SnapshotConfig(val_share=0.3)
    before = project.snapshots.splits(project.snapshots.take("one", config))
    add_images(project, *(f"later {i}.jpg" for i in range(50)))
    after = project.snapshots.splits(project.snapshots.take("two", config))
    assert all(before[image.id] == after[image.id] for image in images)


def test_only_the_wanted_stages_and_verdicts_go_in(project: Project) -> None:
    (image,) = add_images(project, "a.jpg")
    (accepted,) = add_masks(project, image, square(0, 0, 2), review="accepted")
    (plain,) = add_masks(project, image, square(4, 4, 2))
    add_masks(project, image, square(8, 8, 2), review="rejected")
    taken = project.snapshots.take("all but rejected")
    assert project.snapshots.annotation_versions(taken).keys() == {accepted.id, plain.id}
    taken = project.snapshots.take("accepted", SnapshotConfig(reviews=("accepted",)))
    assert project.snapshots.annotation_versions(taken).keys() == {accepted.id}
    taken = project.snapshots.take("automatic", SnapshotConfig(stages=("automatic",)))
    assert project.snapshots.annotation_versions(taken) == {}


def test_what_cannot_be_taken_or_found_is_named(project: Project) -> None:
    with pytest.raises(StoreError, match="holds no image"):
        project.snapshots.take("one")
    add_images(project, "a.jpg")
    project.snapshots.take("one")
    with pytest.raises(StoreError, match="'one' exists already"):
        project.snapshots.take("one")
    with pytest.raises(StoreError, match=r"val_share is 1.5"):
        project.snapshots.take("two", SnapshotConfig(val_share=1.5))
    with pytest.raises(NotFound, match="'three'"):
        project.snapshots.get("three")

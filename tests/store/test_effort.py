"""What masks cost: by the day on which they were made, without what models made."""

from dataclasses import replace

import pytest

from maskmill.store import Delete, Edit, Project
from maskmill.store import annotations as writing
from maskmill.store.effort import count_states, effort

from .masks import BAR, BY_PERSON, a_mask, add_image, new_image

DAY = 86400


@pytest.fixture
def worked(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Two days of two people; something edited the day after, and something deleted."""
    image = add_image(project)
    (other,) = project.images.add([new_image("two.jpg")])
    model = project.models.add("m-1", name="m")
    ann = replace(BY_PERSON, seconds=10.0, clicks=2, edits=1, model_id=model.id)
    bob = replace(BY_PERSON, author="bob", seconds=None, clicks=None)
    automatic = replace(BY_PERSON, made_by="model", seconds=5.0)
    imported = replace(BY_PERSON, stage="imported", seconds=5.0)
    monkeypatch.setattr(writing, "now", lambda: 100 * DAY + 5.0)
    makers = (ann, ann, bob, automatic, imported)
    made = project.annotations.apply("1", [a_mask(image.id, made=m) for m in makers], by="ann")
    monkeypatch.setattr(writing, "now", lambda: 101 * DAY - 5.0)
    project.annotations.apply("2", [a_mask(other.id, made=ann), a_mask(other.id)], by="ann")
    monkeypatch.setattr(writing, "now", lambda: 101 * DAY + 5.0)
    longer = replace(ann, seconds=30.0, edits=None)
    edit = Edit(annotation_id=made[0].id, based_on=1, rle=BAR, made=longer)
    project.annotations.apply("3", [edit], by="ann")
    project.annotations.apply("4", [Delete(annotation_id=made[1].id, based_on=1)], by="ann")
    project.annotations.apply("5", [a_mask(other.id, made=bob)], by="bob")
    return project


def test_by_day(worked: Project) -> None:
    first, second = effort(worked.database, worked.id, ("day",))
    assert (first.key, first.masks, first.images) == (("1970-04-11",), 4, 2)
    assert (first.timed_masks, first.seconds, first.clicks, first.edits) == (2, 40.0, 4, 1)
    assert (second.key, second.masks, second.seconds) == (("1970-04-12",), 1, 0.0)


def test_by_person_and_model_and_both(worked: Project) -> None:
    people = {row.key[0]: row.masks for row in effort(worked.database, worked.id, ("person",))}
    assert people == {"ann": 3, "bob": 2}
    models = {row.key[0]: row.masks for row in effort(worked.database, worked.id, ("model",))}
    assert models == {"": 3, "m-1": 2}
    pairs = effort(worked.database, worked.id, ("day", "person"))
    assert [row.key for row in pairs] == [
        ("1970-04-11", "ann"),
        ("1970-04-11", "bob"),
        ("1970-04-12", "bob"),
    ]


def test_days_begin_where_the_reader_lives(worked: Project) -> None:
    rows = effort(worked.database, worked.id, ("day",), utc_offset_minutes=60)
    assert [(row.key[0], row.masks) for row in rows] == [("1970-04-11", 2), ("1970-04-12", 3)]


def test_an_empty_project_has_none(project: Project) -> None:
    assert effort(project.database, project.id, ("day",)) == []
    states = {"open": 0, "in_review": 0, "returned": 0, "complete": 0}
    assert count_states(project.database, project.id) == states


def test_states_are_counted(worked: Project) -> None:
    (image, _) = worked.images.page()
    worked.work.set_state(image.id, "complete", name="bob")
    found = count_states(worked.database, worked.id)
    assert found == {"open": 1, "in_review": 0, "returned": 0, "complete": 1}

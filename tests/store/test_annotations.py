"""Masks and their history, on both databases."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from sqlalchemy import insert

from maskmill.errors import Conflict, MaskError, NotFound, StoreError
from maskmill.rle import Rle
from maskmill.store import (
    Annotation,
    Create,
    Delete,
    Edit,
    Project,
    Restore,
    annotations,
    images,
)
from maskmill.store.changes import Change
from maskmill.store.schema import models, rounds

from .conftest import Creator
from .masks import BAR, BY_PERSON, SQUARE, a_mask, add_image, rectangle


class Desk:
    """A project with one image, and operations that number themselves."""

    def __init__(self, project: Project) -> None:
        self.project, self.image = project, add_image(project)
        self._numbers = count(1)

    def does(self, *changes: Change, by: str = "ann") -> list[Annotation]:
        return self.project.annotations.apply(f"op-{next(self._numbers)}", changes, by=by)

    def makes(self, **more: Any) -> Annotation:
        (made,) = self.does(a_mask(self.image.id, **more))
        return made

    def mask_count(self) -> int:
        return self.project.images.get(self.image.id).mask_count


@pytest.fixture
def desk(project: Project) -> Desk:
    return Desk(project)


def test_a_created_mask_is_read_back_with_its_measures(desk: Desk) -> None:
    made = desk.makes(attributes={"occluded": True}, review="accepted")
    assert made == desk.project.annotations.get(made.id)
    assert (made.version, made.deleted, made.changed_by) == (1, False, "ann")
    assert (made.rle, made.area, made.box) == (SQUARE, 9, (1, 1, 4, 4))
    assert (made.attributes, made.review) == ({"occluded": True}, "accepted")


def test_an_edit_keeps_what_it_does_not_name_and_who_made_the_mask(desk: Desk) -> None:
    first = desk.makes(attributes={"a": 1})
    (second,) = desk.does(
        Edit(annotation_id=first.id, based_on=1, review="rejected"), by="the reviewer"
    )
    assert second == replace(
        first,
        version=2,
        review="rejected",
        changed_by="the reviewer",
        operation_id="op-2",
        sequence=second.sequence,
        at=second.at,
    )
    assert second.sequence > first.sequence


def test_an_edit_can_empty_what_it_names(desk: Desk) -> None:
    category = desk.project.categories.ensure(["cat"])["cat"]
    first = desk.makes(attributes={"a": 1}, review="accepted", category_id=category)
    emptied = Edit(
        annotation_id=first.id, based_on=1, review=None, attributes=None, category_id=None
    )
    (second,) = desk.does(emptied)
    assert (second.review, second.attributes, second.category_id) == (None, None, None)


def test_a_new_mask_comes_with_how_it_was_made(desk: Desk) -> None:
    first = desk.makes()
    made = replace(BY_PERSON, author="bob", seconds=3.5, clicks=2)
    (second,) = desk.does(Edit(annotation_id=first.id, based_on=1, rle=BAR, made=made))
    assert (second.rle, second.box, second.area) == (BAR, (0, 5, 8, 6), 8)
    assert second.made == made
    for half in ({"rle": SQUARE}, {"made": made}):
        with pytest.raises(StoreError, match="give both"):
            desk.does(Edit(annotation_id=first.id, based_on=2, **half))


def test_deleting_and_restoring_are_versions_and_the_history_has_all(desk: Desk) -> None:
    first = desk.makes()
    (second,) = desk.does(Edit(annotation_id=first.id, based_on=1, rle=BAR, made=BY_PERSON))
    (third,) = desk.does(Delete(annotation_id=first.id, based_on=2))
    (fourth,) = desk.does(Restore(annotation_id=first.id, based_on=3))
    assert [each.deleted for each in (first, second, third, fourth)] == [False, False, True, False]
    assert fourth.rle == BAR
    assert desk.project.annotations.history(first.id) == [first, second, third, fourth]
    assert desk.project.annotations.get(first.id) == fourth


def test_a_tombstone_hides_the_mask_but_can_be_listed_and_read(desk: Desk) -> None:
    kept, gone = desk.makes(), desk.makes(mask=BAR)
    (tombstone,) = desk.does(Delete(annotation_id=gone.id, based_on=1))
    store = desk.project.annotations
    assert store.of_image(desk.image.id) == [kept]
    assert store.of_image(desk.image.id, deleted=True) == [tombstone]
    assert store.get(gone.id).deleted


def test_what_is_deleted_is_not_edited_and_what_lives_is_not_restored(desk: Desk) -> None:
    made = desk.makes()
    with pytest.raises(StoreError, match="living"):
        desk.does(Restore(annotation_id=made.id, based_on=1))
    desk.does(Delete(annotation_id=made.id, based_on=1))
    for change in (Edit, Delete):
        with pytest.raises(StoreError, match="restore it first"):
            desk.does(change(annotation_id=made.id, based_on=2))
    assert len(desk.project.annotations.history(made.id)) == 2


def test_the_images_count_follows_every_change(desk: Desk) -> None:
    counts = [desk.mask_count()]
    made = desk.makes()
    counts.append(desk.mask_count())
    desk.does(*(a_mask(desk.image.id) for _ in range(3)))
    counts.append(desk.mask_count())
    desk.does(Delete(annotation_id=made.id, based_on=1), a_mask(desk.image.id))
    counts.append(desk.mask_count())
    desk.does(Restore(annotation_id=made.id, based_on=2))
    counts.append(desk.mask_count())
    desk.does(Edit(annotation_id=made.id, based_on=3, review="accepted"))
    counts.append(desk.mask_count())
    assert counts == [0, 1, 4, 4, 5, 5]
    assert counts[-1] == len(desk.project.annotations.of_image(desk.image.id))


def test_a_repeated_operation_is_answered_as_the_first_time_and_done_once(desk: Desk) -> None:
    category = desk.project.categories.ensure(["cat"])["cat"]
    # Tuples and whole seconds: what JSON and the database write in another way.
    made = replace(
        BY_PERSON, seconds=3, clicks=2, prompts={"points": ((1, 2.5), (3, 4))}, candidates=(1, 2)
    )
    asked = [a_mask(desk.image.id, made=made, category_id=category, attributes={"t": (1,)})]
    first = desk.project.annotations.apply("the id", asked, by="ann")
    assert desk.project.annotations.apply("the id", asked, by="ann") == first
    desk.does(Edit(annotation_id=first[0].id, based_on=1, rle=BAR, made=BY_PERSON))
    desk.does(Delete(annotation_id=first[0].id, based_on=2))
    assert desk.project.annotations.apply("the id", asked, by="ann") == first
    assert desk.mask_count() == 0
    assert len(desk.project.annotations.history(first[0].id)) == 3


def test_a_repeated_edit_is_no_conflict_with_itself(desk: Desk) -> None:
    made = desk.makes()
    asked = [Edit(annotation_id=made.id, based_on=1, review="accepted")]
    first = desk.project.annotations.apply("again", asked, by="ann")
    assert desk.project.annotations.apply("again", asked, by="ann") == first
    # Control: the same change under another id is one.
    with pytest.raises(Conflict):
        desk.project.annotations.apply("another", asked, by="ann")


def test_another_content_under_the_same_id_is_refused(desk: Desk) -> None:
    apply = desk.project.annotations.apply
    apply("the id", [a_mask(desk.image.id)], by="ann")
    for changes, by in (
        ([a_mask(desk.image.id, BAR)], "ann"),
        ([a_mask(desk.image.id)], "bob"),
        ([a_mask(desk.image.id)] * 2, "ann"),
        ([a_mask(desk.image.id, is_crowd=True)], "ann"),
        ([a_mask(desk.image.id, made=replace(BY_PERSON, clicks=1))], "ann"),
    ):
        with pytest.raises(StoreError, match="used for other changes"):
            apply("the id", changes, by=by)
    assert desk.mask_count() == 1


def test_a_stale_change_is_a_conflict_that_carries_both(desk: Desk) -> None:
    made = desk.makes()
    (newer,) = desk.does(Edit(annotation_id=made.id, based_on=1, rle=BAR, made=BY_PERSON), by="bob")
    for kind in (Edit, Delete, Restore):
        for based_on in (1, 3, 0, -1):
            stale = kind(annotation_id=made.id, based_on=based_on)
            with pytest.raises(Conflict, match="changed by bob") as conflict:
                desk.does(stale)
            assert conflict.value.current == newer
            assert conflict.value.attempted == stale
    assert desk.project.annotations.history(made.id) == [made, newer]


def test_of_a_batch_all_is_done_or_nothing(desk: Desk) -> None:
    first, second = desk.makes(), desk.makes()
    desk.does(Delete(annotation_id=second.id, based_on=1))
    before = desk.project.annotations.since(0)
    faults: list[tuple[type[Exception], Change]] = [
        (Conflict, Delete(annotation_id=second.id, based_on=1)),
        (StoreError, Delete(annotation_id=second.id, based_on=2)),
        (NotFound, Delete(annotation_id=999_999, based_on=1)),
        (NotFound, a_mask(999_999)),
        (MaskError, a_mask(desk.image.id, rectangle(0, 0, 0, 0))),
    ]
    for error, fault in faults:
        for batch in (
            [a_mask(desk.image.id), Edit(annotation_id=first.id, based_on=1), fault],
            [fault, a_mask(desk.image.id)],
        ):
            with pytest.raises(error):
                desk.project.annotations.apply("bad", batch, by="ann")
    assert desk.project.annotations.since(0) == before
    assert desk.mask_count() == 1
    # The refused operation's id is free: nothing of it was kept.
    assert desk.project.annotations.apply("bad", [a_mask(desk.image.id)], by="ann")


def test_a_batch_answers_in_the_order_of_its_changes(desk: Desk) -> None:
    old = desk.makes()
    masks = [rectangle(x, 0, x + 1, 1) for x in range(6)]
    made = desk.does(
        *(a_mask(desk.image.id, mask) for mask in masks[:3]),
        Edit(annotation_id=old.id, based_on=1, review="accepted"),
        *(a_mask(desk.image.id, mask) for mask in masks[3:]),
    )
    assert [each.rle for each in made] == [*masks[:3], SQUARE, *masks[3:]]
    assert [each.sequence for each in made] == list(
        range(made[0].sequence, made[0].sequence + len(made))
    )


def test_one_annotation_twice_in_an_operation_is_refused(desk: Desk) -> None:
    made = desk.makes()
    with pytest.raises(StoreError, match="twice"):
        desk.does(
            Edit(annotation_id=made.id, based_on=1), Delete(annotation_id=made.id, based_on=2)
        )


@pytest.mark.parametrize("operation_id", ["", " ", "a\0b", "\ud800"])
def test_an_operation_needs_an_id_that_a_database_can_keep(desk: Desk, operation_id: str) -> None:
    with pytest.raises(StoreError, match="operation_id"):
        desk.project.annotations.apply(operation_id, [a_mask(desk.image.id)], by="ann")


def test_an_operation_needs_changes_and_somebody_who_makes_them(desk: Desk) -> None:
    with pytest.raises(StoreError, match="at least one change"):
        desk.project.annotations.apply("an id", [], by="ann")
    with pytest.raises(StoreError, match="who makes the change"):
        desk.project.annotations.apply("an id", [a_mask(desk.image.id)], by="")


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (rectangle(1, 1, 4, 4, (8, 6)), "its image"),
        (rectangle(0, 0, 0, 0), "empty"),
        (Rle((6, 8), b"garbage"), "character|7 characters|run"),
        (Rle((6, 8), b""), "characters"),
    ],
    ids=["turned", "empty", "garbage", "nothing"],
)
def test_a_mask_that_does_not_fit_is_refused(desk: Desk, mask: Rle, said: str) -> None:
    with pytest.raises(MaskError, match=said):
        desk.makes(mask=mask)
    made = desk.makes()
    with pytest.raises(MaskError, match=said):
        desk.does(Edit(annotation_id=made.id, based_on=1, rle=mask, made=BY_PERSON))


@pytest.mark.parametrize("number", [999_999, 0, -1, 2**40, 2**70])
def test_a_number_of_nothing_is_not_found_by_its_name(desk: Desk, number: int) -> None:
    made = desk.makes()
    asked: list[tuple[str, Change]] = [
        ("image", a_mask(number)),
        ("category", a_mask(desk.image.id, category_id=number)),
        ("model", a_mask(desk.image.id, made=replace(BY_PERSON, model_id=number))),
        ("round", a_mask(desk.image.id, made=replace(BY_PERSON, round_id=number))),
        ("category", Edit(annotation_id=made.id, based_on=1, category_id=number)),
        ("annotation", Delete(annotation_id=number, based_on=1)),
    ]
    for what, change in asked:
        with pytest.raises(NotFound, match=f"{what} {number} does not exist"):
            desk.does(change)
    with pytest.raises(NotFound, match=f"annotation {number} "):
        desk.project.annotations.get(number)
    with pytest.raises(NotFound, match=f"annotation {number} "):
        desk.project.annotations.history(number)
    assert desk.project.annotations.of_image(number) == []


BAD_RECORDS: dict[str, Any] = {
    "NaN": {"points": [[1.0, math.nan]]},
    "infinity": [math.inf],
    "half a surrogate pair": ["\ud800"],
    "a key with one": {"\udfff": 1},
    "NUL": {"text": "a\0b"},
    "a key that is no text": {1: "a"},
    "a set": {"tags": {1, 2}},
    "bytes": b"abc",
    "a number that browsers round": [2**53 + 1],
    "an integer of a million digits": [10**5000],
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_what_json_cannot_say_everywhere_is_refused_by_the_columns_name(
    desk: Desk, name: str
) -> None:
    bad = BAD_RECORDS[name]
    for field in ("prompts", "candidates"):
        with pytest.raises(StoreError, match=field):
            desk.makes(made=replace(BY_PERSON, **{field: bad}))
    if isinstance(bad, dict) and name != "a key that is no text":  # whose type forbids it
        with pytest.raises(StoreError, match="attributes"):
            desk.makes(attributes=bad)
        made = desk.makes()
        with pytest.raises(StoreError, match="attributes"):
            desk.does(Edit(annotation_id=made.id, based_on=1, attributes=bad))


def test_a_record_without_a_bottom_is_refused(desk: Desk) -> None:
    round_and_round: list[Any] = []
    round_and_round.append(round_and_round)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for bad in (round_and_round, deep):
        with pytest.raises(StoreError, match="nested"):
            desk.makes(made=replace(BY_PERSON, prompts=bad))


GOOD_RECORD = {
    "text": "größer 数 🙂 \u2028 \x7f \\u0000",
    "numbers": [0, -1, 1.5, 1e-300, 2**53, -(2**53), 0.1, 1e15],
    "rest": [True, None, [], {}, [[[]]], ""],
}


def test_what_json_can_say_comes_back_equal(desk: Desk) -> None:
    made = desk.makes(made=replace(BY_PERSON, prompts=GOOD_RECORD), attributes=GOOD_RECORD)
    found = desk.project.annotations.get(made.id)
    assert found.made.prompts == GOOD_RECORD
    assert found.attributes == GOOD_RECORD


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("seconds", math.nan),
        ("predicted_iou", math.inf),
        ("stability_score", -math.inf),
        ("clicks", 2**31),
        ("author", "a\0"),
        ("author", "\udc80"),
    ],
)
def test_a_value_that_no_database_keeps_is_refused_by_name(
    desk: Desk, field: str, bad: object
) -> None:
    with pytest.raises(StoreError, match=field):
        desk.makes(made=replace(BY_PERSON, **{field: bad}))
    assert desk.mask_count() == 0


def test_a_late_mask_of_a_category_that_was_put_away_brings_it_back(desk: Desk) -> None:
    """Somebody worked offline while another tidied up; the work is not refused."""
    categories = desk.project.categories
    cat, dog = categories.ensure(["cat", "dog"]).values()
    categories.delete(cat)
    made = desk.makes(category_id=cat)
    assert [each.id for each in categories.all()] == [cat, dog]
    categories.delete(dog)
    desk.does(Edit(annotation_id=made.id, based_on=1, category_id=dog))
    assert [each.id for each in categories.all()] == [cat, dog]
    categories.delete(cat)
    assert [each.id for each in categories.all()] == [dog]


def test_a_restored_mask_brings_its_category_back(desk: Desk) -> None:
    cat = desk.project.categories.ensure(["cat"])["cat"]
    made = desk.makes(category_id=cat)
    desk.does(Delete(annotation_id=made.id, based_on=1))
    desk.project.categories.delete(cat)
    assert desk.project.categories.all() == []
    (back,) = desk.does(Restore(annotation_id=made.id, based_on=2))
    assert back.category_id == cat
    assert [each.id for each in desk.project.categories.all()] == [cat]


def test_a_late_mask_on_a_deleted_image_waits_there(desk: Desk) -> None:
    desk.project.images.delete(desk.image.id)
    made = desk.makes()
    desk.project.images.restore(desk.image.id)
    assert desk.project.annotations.of_image(desk.image.id) == [made]
    assert desk.mask_count() == 1


def test_many_images_and_many_masks_are_no_more_than_a_statement_takes(desk: Desk) -> None:
    made = desk.does(*(a_mask(desk.image.id) for _ in range(600)))
    assert desk.mask_count() == 600
    found = desk.project.annotations.of_images(range(desk.image.id, desk.image.id + 66_000))
    assert found == {desk.image.id: made}
    deleted = desk.does(*(Delete(annotation_id=each.id, based_on=1) for each in made))
    assert len(deleted) == 600
    assert desk.mask_count() == 0


def test_since_tells_what_changed_in_order_and_page_by_page(desk: Desk) -> None:
    made = desk.does(*(a_mask(desk.image.id) for _ in range(5)))
    desk.does(Edit(annotation_id=made[1].id, based_on=1, review="accepted"))
    desk.does(Delete(annotation_id=made[0].id, based_on=1))
    everything = desk.project.annotations.since(0)
    assert [each.id for each in everything] == [made[place].id for place in (2, 3, 4, 1, 0)]
    assert everything[-1].deleted
    paged: list[Annotation] = []
    while page := desk.project.annotations.since(paged[-1].sequence if paged else 0, limit=2):
        paged += page
    assert paged == everything


def test_a_clock_that_jumps_changes_no_order(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[float] = iter([2e9, 1e9, 1.9e9, 0.0, 3e9, -5.0])
    monkeypatch.setattr(annotations, "now", lambda: next(clock))
    monkeypatch.setattr(images, "now", lambda: next(clock))
    made = desk.makes()
    for version in (1, 2, 3):
        desk.does(Edit(annotation_id=made.id, based_on=version, review="accepted"))
    newer = desk.makes()
    history = desk.project.annotations.history(made.id)
    assert [each.version for each in history] == [1, 2, 3, 4]
    assert [each.sequence for each in history] == sorted(each.sequence for each in history)
    times = [each.at for each in history]
    assert times != sorted(times)  # the clock did jump
    assert [each.id for each in desk.project.annotations.since(0)] == [made.id, newer.id]


def test_the_model_and_the_round_of_a_mask_are_kept(desk: Desk) -> None:
    model_id, round_id = a_model(desk.project), a_round(desk.project)
    made = replace(
        BY_PERSON, made_by="model", stage="automatic", model_id=model_id, round_id=round_id
    )
    assert desk.makes(made=made).made == made


def test_two_projects_in_one_database_do_not_see_each_other(create: Creator) -> None:
    ours, theirs = Desk(create("ours")), Desk(create("theirs"))
    their_category = theirs.project.categories.ensure(["cat"])["cat"]
    their_model, their_round = a_model(theirs.project), a_round(theirs.project)
    there = theirs.makes(category_id=their_category)
    if theirs.project.database.kind == "postgresql":  # SQLite has a file for each
        assert there.image_id != ours.image.id
        for change in (
            a_mask(theirs.image.id),
            a_mask(ours.image.id, category_id=their_category),
            a_mask(ours.image.id, made=replace(BY_PERSON, model_id=their_model)),
            a_mask(ours.image.id, made=replace(BY_PERSON, round_id=their_round)),
            Edit(annotation_id=there.id, based_on=1, review="accepted"),
            Delete(annotation_id=there.id, based_on=1),
            Restore(annotation_id=there.id, based_on=1),
        ):
            with pytest.raises(NotFound):
                ours.does(change)
        with pytest.raises(NotFound):
            ours.project.annotations.get(there.id)
        with pytest.raises(NotFound):
            ours.project.annotations.history(there.id)
        assert ours.project.annotations.of_image(theirs.image.id) == []
    assert ours.project.annotations.since(0) == []
    # The same operation id in both is two operations.
    here = ours.project.annotations.apply("op-1", [a_mask(ours.image.id, BAR)], by="ann")
    assert here[0].rle == BAR
    assert theirs.project.annotations.history(there.id) == [there]
    assert theirs.mask_count() == 1


def a_model(project: Project) -> int:
    row = {"model_id": "tiny", "name": "tiny", "added_at": 0, "project_id": project.id}
    with project.database.write() as connection:
        return connection.execute(insert(models).values(row).returning(models.c.id)).scalar_one()


def a_round(project: Project) -> int:
    row = {"number": 1, "stage": "assisted", "status": "open", "started_at": 0}
    with project.database.write() as connection:
        statement = insert(rounds).values(project_id=project.id, **row).returning(rounds.c.id)
        return connection.execute(statement).scalar_one()


def test_a_create_is_a_value(desk: Desk) -> None:
    """Nothing writes into what it was given."""
    attributes = {"a": [1]}
    asked = Create(image_id=desk.image.id, rle=SQUARE, made=BY_PERSON, attributes=attributes)
    (made,) = desk.does(asked)
    assert isinstance(made.attributes, dict)
    made.attributes["a"].append(2)
    assert attributes == {"a": [1]}
    assert desk.project.annotations.get(made.id).attributes == {"a": [1]}


def test_a_change_goes_before_those_of_an_author_who_stands_back(desk: Desk) -> None:
    made = desk.makes()
    desk.does(Edit(annotation_id=made.id, based_on=1, rle=BAR, made=BY_PERSON), by="machine")
    desk.does(Edit(annotation_id=made.id, based_on=2, review="accepted"), by="machine")
    mine = Edit(annotation_id=made.id, based_on=1, rle=SQUARE, made=BY_PERSON)
    with pytest.raises(Conflict):
        desk.does(mine)
    with pytest.raises(Conflict):
        desk.project.annotations.apply("other", [mine], by="ann", over="somebody")
    (done,) = desk.project.annotations.apply("mine", [mine], by="ann", over="machine")
    assert (done.version, done.rle, done.changed_by) == (4, SQUARE, "ann")
    desk.does(Edit(annotation_id=made.id, based_on=4, review="rejected"), by="machine")
    late = Edit(annotation_id=made.id, based_on=3, review="accepted")
    with pytest.raises(Conflict):
        desk.project.annotations.apply("late", [late], by="bob", over="machine")
    ahead = Edit(annotation_id=made.id, based_on=9, review="accepted")
    with pytest.raises(Conflict):
        desk.project.annotations.apply("ahead", [ahead], by="bob", over="machine")


def test_the_originals_of_an_image_are_its_masks_first_versions(desk: Desk) -> None:
    first, second, third = desk.makes(), desk.makes(), desk.makes()
    desk.does(Edit(annotation_id=first.id, based_on=1, rle=BAR, made=BY_PERSON))
    desk.does(Edit(annotation_id=first.id, based_on=2, review="accepted"))
    desk.does(Delete(annotation_id=third.id, based_on=1))
    other = add_image(desk.project, "b.jpg")
    desk.does(a_mask(other.id))
    found = desk.project.annotations.originals(desk.image.id)
    assert list(found.values()) == [first, second, third]
    assert desk.project.annotations.originals(10**6) == {}

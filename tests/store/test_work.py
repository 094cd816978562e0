"""States, assignments and leases; which image comes next, for many at once too."""

import threading

import pytest

from maskmill.errors import Conflict, NotFound, StoreError
from maskmill.store import Delete, Edit, Made, Project
from maskmill.store import work as module
from maskmill.store.work import LEASE_SECONDS, Standing

from .masks import a_mask, new_image


@pytest.fixture
def ids(project: Project) -> list[int]:
    return [image.id for image in project.images.add([new_image(f"{n}.jpg") for n in range(6)])]


def test_an_image_stands_where_it_was_put(project: Project, ids: list[int]) -> None:
    assert project.work.of(ids[:1]) == {ids[0]: Standing()}
    project.work.set_state(ids[0], "returned", name="bob", note="look again")
    project.work.assign(ids[:2], "ann")
    project.work.lease(ids[0], "ann")
    found = project.work.of(ids[:2])
    assert found[ids[0]] == Standing(
        state="returned", note="look again", assigned_to="ann", leased_by="ann"
    )
    assert found[ids[1]] == Standing(assigned_to="ann")
    project.work.set_state(ids[0], "open", name="bob")
    project.work.assign(ids[:1], None)
    project.work.release(ids[0], "somebody else")
    assert project.work.of(ids[:1])[ids[0]] == Standing(leased_by="ann")
    project.work.release(ids[0], "ann")
    assert project.work.of(ids[:1])[ids[0]] == Standing()


def test_what_is_not_there_is_refused(project: Project, ids: list[int]) -> None:
    with pytest.raises(NotFound):
        project.work.set_state(10**6, "complete", name="bob")
    with pytest.raises(StoreError, match="in_review"):
        project.work.set_state(ids[0], "done", name="bob")
    with pytest.raises(NotFound):
        project.work.assign([ids[0], 10**6], "ann")
    assert project.work.of(ids[:1])[ids[0]] == Standing()
    with pytest.raises(NotFound):
        project.work.lease(10**6, "ann")


def test_a_lease_holds_for_a_while(
    project: Project, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "now", lambda: 1000.0)
    assert project.work.lease(ids[0], "ann") == 1000 + LEASE_SECONDS
    with pytest.raises(Conflict, match="ann works on"):
        project.work.lease(ids[0], "bob")
    monkeypatch.setattr(module, "now", lambda: 1001.0 + LEASE_SECONDS)
    assert project.work.of(ids[:1])[ids[0]].leased_by is None
    project.work.lease(ids[0], "bob")
    assert project.work.of(ids[:1])[ids[0]].leased_by == "bob"


def test_the_order_of_the_queue(project: Project, ids: list[int]) -> None:
    project.annotations.apply("masks", [a_mask(ids[0]), a_mask(ids[1])], by="ann")
    project.work.set_state(ids[1], "returned", name="bob")
    project.work.assign([ids[5]], "ann")
    project.work.assign([ids[2]], "somebody else")
    project.work.set_state(ids[3], "complete", name="bob")
    found = []
    while (following := project.work.next("ann")) is not None:
        found.append((following.image_id, following.reason))
        project.work.set_state(following.image_id, "in_review", name="ann")
        project.work.release(following.image_id, "ann")
    assert found == [
        (ids[5], "assigned"),
        (ids[1], "returned"),
        (ids[4], "unlabelled"),
        (ids[0], "begun"),
    ]
    following = project.work.next("bob", review=True)
    assert following is not None
    assert (following.image_id, following.reason) == (ids[0], "in_review")


def test_what_nobody_took_up_is_untouched(project: Project, ids: list[int]) -> None:
    project.annotations.apply("masks", [a_mask(ids[0])], by="ann")
    project.work.set_state(ids[1], "complete", name="bob")
    project.work.lease(ids[2], "ann")
    project.images.delete(ids[3])
    project.work.assign([ids[4]], "ann")
    assert project.work.untouched(ids) == {ids[4], ids[5]}
    project.work.release(ids[2], "ann")
    assert project.work.untouched(ids[:3]) == {ids[2]}


def test_pre_filled_images_come_before_bare_ones_until_they_are_answered(
    project: Project, ids: list[int]
) -> None:
    made = Made(made_by="model", author="everything mode", stage="semi")
    seen, waiting, gone = project.annotations.apply(
        "prefill", [a_mask(i, made=made) for i in (ids[2], ids[4], ids[5])], by="model"
    )
    changes = [
        Edit(annotation_id=seen.id, based_on=1, review="accepted"),
        Delete(annotation_id=gone.id, based_on=1),
    ]
    project.annotations.apply("look", changes, by="ann")
    found = []
    while (following := project.work.next("ann")) is not None:
        found.append((following.image_id, following.reason))
        project.work.set_state(following.image_id, "in_review", name="ann")
    bare = [(ids[n], "unlabelled") for n in (0, 1, 3, 5)]
    assert found == [(waiting.image_id, "prefilled"), *bare, (ids[2], "begun")]


def test_passing_over_goes_on_and_comes_round(project: Project, ids: list[int]) -> None:
    found = []
    after = 0
    for _ in range(8):
        following = project.work.next("ann", after=after)
        assert following is not None
        after = following.image_id
        found.append(after)
    assert found == [*ids, *ids[:2]]


def test_deleted_images_do_not_come(project: Project, ids: list[int]) -> None:
    project.images.delete(ids[0])
    following = project.work.next("ann")
    assert following is not None
    assert following.image_id == ids[1]


def test_many_who_ask_at_once_get_different_images(project: Project, ids: list[int]) -> None:
    found: list[int] = []

    def ask(name: str) -> None:
        following = project.work.next(name)
        assert following is not None
        found.append(following.image_id)

    people = [threading.Thread(target=ask, args=(f"person {n}",)) for n in range(6)]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert sorted(found) == ids
    assert project.work.next("too late") is None

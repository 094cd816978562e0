"""Strokes and rules: written whole, on top of what was seen, once per operation."""

import threading

import pytest

from maskmill.errors import Conflict, NotFound, StoreError
from maskmill.store import Project
from maskmill.store.removal import remove_rows

from .masks import add_image

LINE = {"category_id": 0, "width": 3.0, "points": [[1.5, 2.0], [4.0, 5.0]]}
DOT = {"category_id": None, "width": 1.0, "points": [[0.0, 0.0]]}
RULES = {"version": 1, "categories": {}, "decisions": []}


def test_what_was_drawn_last_is_there(project: Project) -> None:
    image, other = add_image(project), add_image(project, "b.jpg")
    assert project.scribbles.of_image(image.id).version == 0
    first = project.scribbles.draw("one", image.id, [LINE], based_on=0, by="ann")
    second = project.scribbles.draw("two", image.id, [LINE, DOT], based_on=1, by="bob")
    assert (first.version, second.version) == (1, 2)
    found = project.scribbles.of_image(image.id)
    assert found == second
    assert found.strokes == (LINE, DOT)
    assert found.changed_by == "bob"
    assert [each.image_id for each in project.scribbles.all()] == [image.id]
    project.scribbles.draw("three", image.id, [], based_on=2, by="bob")
    assert project.scribbles.all() == [], "an image whose strokes were taken away carries none"
    assert project.scribbles.of_image(other.id).strokes == ()


def test_a_repeat_is_answered_and_a_stale_version_is_a_conflict(project: Project) -> None:
    image = add_image(project)
    first = project.scribbles.draw("one", image.id, [LINE], based_on=0, by="ann")
    assert project.scribbles.draw("one", image.id, [LINE], based_on=0, by="ann") == first
    with pytest.raises(StoreError, match="operation one was used for other changes"):
        project.scribbles.draw("one", image.id, [DOT], based_on=0, by="ann")
    with pytest.raises(Conflict, match="ann drew on image") as caught:
        project.scribbles.draw("two", image.id, [DOT], based_on=0, by="bob")
    assert caught.value.current == first
    assert caught.value.attempted == (DOT,)
    assert project.scribbles.of_image(image.id) == first


def test_of_two_who_draw_at_once_one_is_told(project: Project) -> None:
    image = add_image(project)
    outcomes: list[str] = []

    def draw(name: str) -> None:
        try:
            project.scribbles.draw(name, image.id, [LINE], based_on=0, by=name)
            outcomes.append("written")
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=draw, args=(f"p{i}",)) for i in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == ["conflict"] * 7 + ["written"]
    assert project.scribbles.of_image(image.id).version == 1


def test_an_image_that_is_not_there_and_numbers_that_are_none_are_refused(project: Project) -> None:
    with pytest.raises(NotFound, match="image 99 does not exist"):
        project.scribbles.draw("one", 99, [LINE], based_on=0, by="ann")
    image = add_image(project)
    with pytest.raises(StoreError, match="drawn of strokes"):
        project.scribbles.draw(
            "two", image.id, [{**LINE, "width": float("nan")}], based_on=0, by="ann"
        )
    assert project.scribbles.of_image(image.id).version == 0


def test_rules_are_kept_and_replaced(project: Project) -> None:
    assert project.scribbles.rules().rules is None
    first = project.scribbles.set_rules("one", RULES, based_on=0, by="ann")
    assert project.scribbles.set_rules("one", RULES, based_on=0, by="ann") == first
    other = {**RULES, "decisions": [{"rule": "count", "category": "a", "most": 3}]}
    with pytest.raises(Conflict, match="ann changed the rules"):
        project.scribbles.set_rules("two", other, based_on=0, by="bob")
    assert project.scribbles.set_rules("two", other, based_on=1, by="bob").version == 2
    assert project.scribbles.rules().rules == other


def test_removing_the_project_removes_them(project: Project) -> None:
    image = add_image(project)
    project.scribbles.draw("one", image.id, [LINE], based_on=0, by="ann")
    project.scribbles.set_rules("two", RULES, based_on=0, by="ann")
    remove_rows(project)
    assert project.scribbles.all() == []
    assert project.scribbles.rules().version == 0

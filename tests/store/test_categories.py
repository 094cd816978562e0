"""Kinds of objects, on both databases."""

import pytest

from maskmill.errors import NotFound, StoreError
from maskmill.store import Delete, Project
from maskmill.store.categories import PALETTE

from .conftest import Creator
from .masks import a_mask, add_image


def test_categories_are_made_once_in_order_each_with_a_colour(project: Project) -> None:
    first = project.categories.ensure(["cat", "dog", "cat"])
    again = project.categories.ensure(["bird", "cat"])
    assert again["cat"] == first["cat"]
    found = project.categories.all()
    assert [each.name for each in found] == ["cat", "dog", "bird"]
    assert [each.colour for each in found] == list(PALETTE[:3])


def test_colours_begin_anew_after_the_last(project: Project) -> None:
    project.categories.ensure([f"kind {number}" for number in range(len(PALETTE) + 1)])
    assert project.categories.all()[-1].colour == PALETTE[0]


@pytest.mark.parametrize("name", ["", "  ", "a\0", "\ud800"])
def test_a_name_that_says_nothing_is_refused(project: Project, name: str) -> None:
    with pytest.raises(StoreError, match="category's name"):
        project.categories.ensure(["good", name])
    assert project.categories.all() == []
    made = project.categories.ensure(["good"])["good"]
    with pytest.raises(StoreError, match="category's name"):
        project.categories.change(made, name=name)


def test_a_category_is_renamed_and_recoloured_but_not_onto_another(project: Project) -> None:
    cat, dog = project.categories.ensure(["cat", "dog"]).values()
    project.categories.change(cat, name="lion", colour="#00ff00")
    project.categories.change(cat, name="lion")  # its own name is free to it
    with pytest.raises(StoreError, match="'dog' exists already"):
        project.categories.change(cat, name="dog")
    assert [(each.name, each.colour) for each in project.categories.all()] == [
        ("lion", "#00ff00"),
        ("dog", PALETTE[1]),
    ]
    assert dog == project.categories.ensure(["dog"])["dog"]


@pytest.mark.parametrize("colour", ["red", "#12", "#12345g", "123456", "#1234567", ""])
def test_a_colour_is_six_digits(project: Project, colour: str) -> None:
    cat = project.categories.ensure(["cat"])["cat"]
    with pytest.raises(StoreError, match="#rrggbb"):
        project.categories.change(cat, colour=colour)


def test_a_category_goes_only_without_living_masks_and_comes_back_as_it_was(
    project: Project,
) -> None:
    cat = project.categories.ensure(["cat"])["cat"]
    project.categories.change(cat, colour="#00ff00")
    image = add_image(project)
    (made,) = project.annotations.apply("one", [a_mask(image.id, category_id=cat)], by="ann")
    project.images.delete(image.id)  # its masks are put away with it, and come back with it
    with pytest.raises(StoreError, match="give them another category first"):
        project.categories.delete(cat)
    project.annotations.apply("two", [Delete(annotation_id=made.id, based_on=1)], by="ann")
    project.categories.delete(cat)
    assert project.categories.all() == []
    assert project.categories.ensure(["cat"]) == {"cat": cat}
    assert project.categories.all()[0].colour == "#00ff00"


@pytest.mark.parametrize("number", [999_999, 0, -1, 2**40, 2**70])
def test_a_number_of_no_category_is_not_found(project: Project, number: int) -> None:
    for ask in (
        lambda: project.categories.change(number, name="x"),
        lambda: project.categories.change(number),
        lambda: project.categories.delete(number),
    ):
        with pytest.raises(NotFound, match=f"category {number} does not exist"):
            ask()


def test_two_projects_in_one_database_have_their_own_categories(create: Creator) -> None:
    ours, theirs = create("ours"), create("theirs")
    there = theirs.categories.ensure(["cat", "dog"])["dog"]
    assert ours.categories.all() == []
    here = ours.categories.ensure(["bird"])["bird"]
    ours.categories.change(here, name="cat")
    for ask in (
        lambda: ours.categories.change(there, name="x"),
        lambda: ours.categories.delete(there),
    ):
        with pytest.raises(NotFound):
            ask()
    assert [each.name for each in theirs.categories.all()] == ["cat", "dog"]
    assert [each.name for each in ours.categories.all()] == ["cat"]

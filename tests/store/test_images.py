"""The images of a project, on both databases."""

import unicodedata
from dataclasses import replace
from typing import Any

import pytest

from maskmill.errors import NotFound, StoreError
from maskmill.store import Delete, Image, ImageFilter, Project

from .conftest import Creator
from .masks import BY_PERSON, a_mask, add_image, new_image


def test_an_image_comes_back_as_it_was_added(project: Project) -> None:
    told: dict[str, Any] = {
        "perceptual_hash": -0x0123456789ABCDEF,
        "external_id": "a/7",
        "split": "train",
        "group_name": "scene 3",
        "licence": "CC-BY",
        "metadata": {"country": "Öland", "n": [1, 2.5]},
    }
    asked = new_image("one.jpg", **told)
    (added,) = project.images.add([asked])
    assert {name: getattr(added, name) for name in vars(asked)} == vars(asked)
    assert (added.mask_count, added.deleted, added.size) == (0, False, (6, 8))
    assert project.images.get(added.id) == added


def test_the_answer_keeps_the_order_and_known_paths_are_not_added_again(project: Project) -> None:
    first = project.images.add([new_image("b"), new_image("a")])
    again = project.images.add([new_image("c"), new_image("a"), new_image("c"), new_image("b")])
    assert [image.path for image in again] == ["c", "a", "c", "b"]
    assert [again[3], again[1]] == first
    assert again[0] == again[2]
    assert project.images.count() == 3


def test_a_path_whose_file_changed_is_refused_and_nothing_is_added(project: Project) -> None:
    project.images.add([new_image("a")])
    with pytest.raises(StoreError, match="not the file"):
        project.images.add([new_image("b"), new_image("a", "f")])
    with pytest.raises(StoreError, match="not the file"):
        project.images.add([new_image("c"), new_image("c", "f")])
    assert [image.path for image in project.images.page()] == ["a"]


def test_the_same_name_in_two_folders_and_the_same_content_twice_are_two_images(
    project: Project,
) -> None:
    paths = ["x/1.jpg", "y/1.jpg", "x/1.JPG", "X/1.jpg"]
    added = project.images.add([new_image(path) for path in paths])
    assert len({image.id for image in added}) == 4
    assert set(project.images.by_path(paths)) == set(paths)


def test_names_that_look_alike_are_kept_apart_and_as_they_were(project: Project) -> None:
    composed = unicodedata.normalize("NFC", "Ångström é.jpg")
    decomposed = unicodedata.normalize("NFD", composed)
    odd = ["\u202egpj.exe", "a\nb.jpg", " a.jpg", "a.jpg ", "'\";--.jpg", "%_?#.jpg", "数.jpg"]
    paths = [composed, decomposed, *odd]
    assert composed != decomposed
    project.images.add([new_image(path) for path in paths])
    assert [image.path for image in project.images.page()] == paths
    for path in paths:
        assert list(project.images.by_path([path])) == [path]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"path": ""}, "path of images"),
        ({"path": "a\0b"}, "path of images"),
        ({"path": "bild\udce9.jpg"}, "UTF-8"),
        ({"content_hash": "a" * 65}, "content_hash"),
        ({"perceptual_hash": 2**63}, "perceptual_hash"),
        ({"metadata": {"x": float("nan")}}, "metadata"),
        ({"metadata": {"x": "\ud800"}}, "metadata"),
        ({"source": "\0"}, "source"),
        ({"height": 0}, "0 x 8 pixels"),
        ({"width": -1}, "6 x -1 pixels"),
        ({"width": 2**31}, "width"),
    ],
)
def test_an_image_that_no_database_keeps_is_refused_by_name(
    project: Project, fault: dict[str, Any], said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        project.images.add([new_image("good"), replace(new_image("bad"), **fault)])
    assert project.images.count() == 0


def test_a_batch_larger_than_a_statement_is_added_whole(project: Project) -> None:
    added = project.images.add([new_image(f"{place}.jpg") for place in range(1203)])
    assert project.images.count() == len({image.id for image in added}) == 1203
    assert [image.sequence for image in added] == list(range(1, 1204))
    assert project.images.add([]) == []


@pytest.fixture
def album(project: Project) -> dict[str, Image]:
    """Nine images and the masks that the filters tell apart, by path."""
    told = [
        ("a", {"source": "s1", "split": "train", "group_name": "g1"}),
        ("b", {"source": "s1", "split": "val", "group_name": "g1"}),
        ("c", {"source": "s2", "split": "train", "group_name": "g2"}),
        ("d", {"source": "s2"}),
        ("e", {"source": "s1", "split": "train"}),
        ("f", {"source": "s1"}),
        ("g", {"source": "s3"}),
    ]
    added = project.images.add([new_image(path, **more) for path, more in told])
    at = {image.path: image for image in added}
    cat, dog = project.categories.ensure(["cat", "dog"]).values()
    automatic = replace(
        BY_PERSON, made_by="model", author="run 1", stage="automatic", predicted_iou=0.7
    )
    made = project.annotations.apply(
        "masks",
        [
            a_mask(at["a"].id, category_id=cat, review="accepted"),
            a_mask(at["b"].id, category_id=cat, review="rejected", made=automatic),
            # The category of one mask and the verdict on another: no mask has both.
            a_mask(at["c"].id, category_id=cat),
            a_mask(at["c"].id, category_id=dog, review="accepted"),
            a_mask(at["e"].id, category_id=cat, review="accepted"),
            a_mask(at["f"].id, category_id=cat),
            a_mask(at["a"].id, made=replace(automatic, stage="assisted", predicted_iou=0.9)),
        ],
        by="ann",
    )
    project.annotations.apply("gone", [Delete(annotation_id=made[4].id, based_on=1)], by="ann")
    project.work.set_state(at["b"].id, "in_review", name="ann")
    project.work.assign([at["a"].id, at["d"].id], "bob")
    project.images.delete(at["f"].id)
    return at


NO_CATEGORY = -5
FILTERS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "abcdeg"),
    "source": ({"source": "s1"}, "abe"),
    "split": ({"split": "train"}, "ace"),
    "group": ({"group_name": "g1"}, "ab"),
    "with masks": ({"has_masks": True}, "abc"),
    "without masks": ({"has_masks": False}, "deg"),
    "category": ({"category_id": 0}, "abc"),
    "stage": ({"stage": "automatic"}, "b"),
    "review": ({"review": "accepted"}, "ac"),
    "waiting for review": ({"review": "unreviewed"}, "ac"),
    "author": ({"author": "run 1"}, "ab"),
    "author and stage of one mask": ({"author": "run 1", "stage": "assisted"}, "a"),
    "low predicted IoU": ({"predicted_iou_below": 0.8}, "b"),
    "predicted IoU and split": ({"predicted_iou_below": 0.95, "split": "train"}, "a"),
    "without category": ({"category_id": NO_CATEGORY}, "a"),
    "category and source": ({"category_id": 0, "source": "s1"}, "ab"),
    "category of deleted images": ({"category_id": 0, "deleted": True}, "f"),
    "category and review of one mask": ({"category_id": 0, "review": "accepted"}, "a"),
    "deleted": ({"deleted": True}, "f"),
    "all together": (
        {"source": "s1", "split": "train", "group_name": "g1", "has_masks": True, "category_id": 0},
        "a",
    ),
    "in review": ({"state": "in_review"}, "b"),
    "open, with masks": ({"state": "open", "has_masks": True}, "ac"),
    "somebody's": ({"assigned_to": "bob"}, "ad"),
    "what nothing is": ({"source": "s9"}, ""),
}


@pytest.mark.parametrize("name", FILTERS)
def test_pages_and_counts_agree_under_every_filter(
    project: Project, album: dict[str, Image], name: str
) -> None:
    asked, expected = FILTERS[name]
    if asked.get("category_id") == NO_CATEGORY:
        asked = {**asked, "category_id": 0}
    elif "category_id" in asked:
        cat = next(each.id for each in project.categories.all() if each.name == "cat")
        asked = {**asked, "category_id": cat}
    which = ImageFilter(**asked)
    assert project.images.count(which) == len(expected)
    paged: list[Image] = []
    while page := project.images.page(which, after=paged[-1].id if paged else 0, limit=2):
        paged += page
    assert "".join(image.path for image in paged) == expected
    for offset in range(len(expected) + 1):
        jumped = project.images.page_at(offset, which, limit=2)
        assert "".join(image.path for image in jumped) == expected[offset : offset + 2]


def test_a_count_that_is_kept_never_outlives_a_change(project: Project) -> None:
    """Nor does a page that is found from the end, which the count tells."""
    paths = [str(i) for i in range(7)]
    for path in paths:
        add_image(project, path)
    which = ImageFilter(has_masks=False)
    for i in range(4):
        assert project.images.count(which) == 7 - i
        for offset in range(8 - i):
            page = project.images.page_at(offset, which, limit=3)
            assert [image.path for image in page] == paths[offset : offset + 3]
        last = project.images.page_at(6 - i, which)[0]
        project.annotations.apply(str(i), [a_mask(last.id)], by="ann")
        assert project.images.page_at(6 - i, which) == []
        paths.pop()


def test_every_filter_leaves_something_out_and_lets_something_in() -> None:
    named = {field for asked, expected in FILTERS.values() if expected for field in asked}
    assert named == {field for field in vars(ImageFilter())}


def test_sources_count_living_images(project: Project, album: dict[str, Image]) -> None:
    assert project.images.sources() == {"s1": 3, "s2": 2, "s3": 1}


def test_what_is_known_of_an_image_can_be_changed(project: Project) -> None:
    image = add_image(project)
    project.images.describe(image.id, split="val", metadata={"a": 1}, path="moved.jpg")
    changed = project.images.get(image.id)
    assert (changed.split, changed.metadata, changed.path) == ("val", {"a": 1}, "moved.jpg")
    assert changed.sequence > image.sequence
    project.images.describe(image.id, split=None, path="moved.jpg")
    assert project.images.get(image.id).split is None


def test_what_follows_from_the_file_is_not_changed(project: Project) -> None:
    image = add_image(project)
    for field in ("height", "content_hash", "mask_count", "deleted", "no_such"):
        with pytest.raises(StoreError, match=field):
            project.images.describe(image.id, **{field: 1})
    with pytest.raises(StoreError, match="metadata"):
        project.images.describe(image.id, metadata={"a": float("inf")})
    with pytest.raises(StoreError, match="path"):
        project.images.describe(image.id, path=" ")
    assert project.images.get(image.id) == image


def test_an_image_does_not_move_onto_another(project: Project) -> None:
    first, second = add_image(project, "1"), add_image(project, "2")
    project.images.delete(second.id)
    with pytest.raises(StoreError, match="another image has the path 2"):
        project.images.describe(first.id, path="2")
    assert project.images.get(first.id) == first


def test_a_deleted_image_comes_back_with_its_masks(project: Project) -> None:
    image = add_image(project)
    made = project.annotations.apply("one", [a_mask(image.id)], by="ann")
    project.images.delete(image.id)
    assert project.images.page() == []
    assert project.images.get(image.id).deleted
    assert project.images.add([new_image("one.jpg")])[0].deleted  # known, and as it is
    project.images.restore(image.id)
    assert project.images.page()[0].mask_count == 1
    assert project.annotations.of_image(image.id) == made


@pytest.mark.parametrize("number", [999_999, 0, -1, 2**40, 2**70])
def test_a_number_of_no_image_is_not_found(project: Project, number: int) -> None:
    images = project.images
    for ask in (
        lambda: images.get(number),
        lambda: images.describe(number, split="val"),
        lambda: images.describe(number, path="x"),
        lambda: images.delete(number),
        lambda: images.restore(number),
    ):
        with pytest.raises(NotFound, match=f"image {number} does not exist"):
            ask()


def test_two_projects_in_one_database_do_not_share_images(create: Creator) -> None:
    ours, theirs = create("ours"), create("theirs")
    theirs.images.add([new_image("a", source="hidden"), new_image("b", "f")])
    there = theirs.images.by_path(["a"])["a"]
    assert ours.images.page() == ours.images.page_at(0) == []
    assert ours.images.count() == 0
    assert ours.images.sources() == {}
    assert ours.images.by_path(["a"]) == {}
    (here,) = ours.images.add([new_image("b", "c")])  # the same path with another content
    ours.images.describe(here.id, path="a")
    if ours.database.kind == "postgresql":
        assert here.id != there.id
        with pytest.raises(NotFound):
            ours.images.get(there.id)
        for change in (ours.images.delete, ours.images.restore, ours.images.describe):
            with pytest.raises(NotFound):
                change(there.id)
    # A mask of the neighbour's never counts.
    theirs.annotations.apply("op", [a_mask(there.id, review="accepted")], by="bob")
    assert ours.images.page(ImageFilter(review="accepted")) == []
    assert theirs.images.get(there.id).mask_count == 1
    assert ours.images.get(here.id).mask_count == 0

"""Imports write whole images at once, and again without doing anything twice."""

import pytest

from maskmill.errors import MaskError, StoreError
from maskmill.rle import Rle
from maskmill.store import Edit, Made, Project
from maskmill.store.bulk import Labelled, NewMask, add_labelled, count_done

from .records import BY_ANN, new_image, square

IMPORTED = Made(made_by="person", author="set.json", stage="imported", prompts=[{"x": 1, "y": 2}])


def some_batch(*names: str, masks: int = 3) -> list[Labelled]:
    return [
        Labelled(
            image=new_image(name),
            masks=tuple(
                NewMask(
                    rle=square(i, 2 * i, 4),
                    made=IMPORTED,
                    category=("cat", "dog", None)[i % 3],
                    is_crowd=i == 1,
                    attributes={"truncated": True} if i == 2 else None,
                )
                for i in range(masks)
            ),
        )
        for name in names
    ]


def test_what_goes_in_is_what_single_operations_would_have_written(project: Project) -> None:
    added = add_labelled(project, "set", some_batch("a.jpg", "b.jpg"), by="ann")
    assert (added.images, added.masks, added.repeated) == (2, 6, 0)
    first, second = project.images.page()
    assert (first.mask_count, second.mask_count) == (3, 3)
    found = project.annotations.of_image(first.id)
    names = {c.id: c.name for c in project.categories.all()}
    assert [names.get(a.category_id or 0) for a in found] == ["cat", "dog", None]
    assert [a.is_crowd for a in found] == [False, True, False]
    assert [a.attributes for a in found] == [None, None, {"truncated": True}]
    assert [a.rle for a in found] == [square(i, 2 * i, 4) for i in range(3)]
    assert found[1].box == (2, 1, 6, 5)
    assert found[1].area == 16
    assert all(a.made == IMPORTED and a.changed_by == "ann" for a in found)
    edit = Edit(annotation_id=found[0].id, based_on=1, rle=square(9, 9, 2), made=BY_ANN)
    assert project.annotations.apply("edit", [edit], by="bob")[0].version == 2


def test_a_repetition_adds_only_what_is_missing(project: Project) -> None:
    add_labelled(project, "set", some_batch("a.jpg"), by="ann")
    again = add_labelled(project, "set", some_batch("a.jpg", "b.jpg"), by="ann")
    assert (again.images, again.masks, again.repeated, again.differing) == (1, 3, 1, ())
    assert [image.mask_count for image in project.images.page()] == [3, 3]


def test_a_later_import_does_not_touch_what_somebody_edited(project: Project) -> None:
    add_labelled(project, "set", some_batch("a.jpg"), by="ann")
    (image,) = project.images.page()
    mask = project.annotations.of_image(image.id)[0]
    edit = Edit(annotation_id=mask.id, based_on=1, rle=square(9, 9, 2), made=BY_ANN)
    project.annotations.apply("edit", [edit], by="bob")
    again = add_labelled(project, "set", some_batch("a.jpg", masks=2), by="ann")
    assert again.differing == (image.path,)
    assert project.annotations.get(mask.id).rle == square(9, 9, 2)
    assert len(project.annotations.of_image(image.id)) == 3


def test_another_import_adds_its_masks_to_a_known_image(project: Project) -> None:
    add_labelled(project, "set", some_batch("a.jpg"), by="ann")
    added = add_labelled(project, "other set", some_batch("a.jpg", masks=1), by="ann")
    assert (added.images, added.masks) == (0, 1)
    assert project.images.page()[0].mask_count == 4


def test_images_that_people_took_up_can_be_left_alone(project: Project) -> None:
    add_labelled(project, "set", some_batch("a.jpg", "b.jpg", "c.jpg", masks=0), by="ann")
    first, second, _ = project.images.page()
    project.work.lease(first.id, "ann")
    project.work.set_state(second.id, "complete", name="ann")
    batch = some_batch("a.jpg", "b.jpg", "c.jpg", "new.jpg", masks=1)
    added = add_labelled(project, "model", batch, by="model", untouched_only=True)
    assert (added.masks, added.passed_over) == (2, 2)
    assert count_done(project, "model") == 2
    assert [image.mask_count for image in project.images.page()] == [0, 0, 1, 1]
    again = add_labelled(project, "model", batch, by="model", untouched_only=True)
    assert (again.masks, again.repeated, again.passed_over) == (0, 2, 2)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (square(0, 0, 2, (30, 20)), r"\(30, 20\)"),
        (Rle((20, 30), b"broken"), "counts|runs|character"),
        (Rle((20, 30), b"hb0"), "empty"),
    ],
)
def test_one_wrong_mask_stops_its_batch_and_nothing_of_it_stays(
    project: Project, mask: Rle, words: str
) -> None:
    batch = some_batch("a.jpg", "b.jpg")
    wrong = Labelled(image=new_image("c.jpg"), masks=(NewMask(rle=mask, made=IMPORTED),))
    with pytest.raises(MaskError, match=words):
        add_labelled(project, "set", [*batch, wrong], by="ann")
    assert project.images.page() == []
    assert project.categories.all() == []
    assert add_labelled(project, "set", batch, by="ann").masks == 6


def test_a_path_that_holds_another_file_now_is_refused(project: Project) -> None:
    add_labelled(project, "set", some_batch("a.jpg"), by="ann")
    changed = [Labelled(image=new_image("a.jpg", content_hash="f" * 64))]
    with pytest.raises(StoreError, match="is not the file"):
        add_labelled(project, "set", changed, by="ann")

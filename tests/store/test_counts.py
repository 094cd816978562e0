"""What is counted on writing is what counting anew finds, whatever was done in which order."""

import random
from dataclasses import replace

import pytest

from maskmill.store import Create, Delete, Edit, ImageFilter, Project, Restore
from maskmill.store.changes import Change
from maskmill.store.counts import PLACE_BINS, SIZE_BINS, Counted, bins_of, groups_of
from maskmill.store.schema import ANY, NONE
from maskmill.store.statistics import statistics
from maskmill.store.verify import verify

from .masks import BY_PERSON, a_mask, new_image, rectangle

ONE = Counted(7, 3, "semi", None, "ann", 0.9, 0.5, 0.25, 0.75)


def test_a_mask_counts_under_its_category_and_under_any() -> None:
    found = groups_of([ONE, ONE._replace(predicted_iou=None), ONE._replace(predicted_iou=0.4)])
    assert found == {
        (ANY, 7, "semi", "unreviewed", "ann"): (3, 0.4),
        (3, 7, "semi", "unreviewed", "ann"): (3, 0.4),
    }
    assert (NONE, 7, "semi", "accepted", "ann") in groups_of(
        [ONE._replace(category_id=None, review="accepted")]
    )


def test_the_lowest_iou_is_that_of_the_masks_that_have_one() -> None:
    without = ONE._replace(predicted_iou=None)
    for order in ([without, ONE], [ONE, without]):
        assert set(groups_of(order).values()) == {(2, 0.9)}
    assert set(groups_of([without]).values()) == {(1, None)}


def test_a_mask_lies_in_one_part_of_each_distribution() -> None:
    whole = ONE._replace(relative_size=1.0, centre_x=1.0, centre_y=1.0)
    assert bins_of([ONE, whole]) == {
        ("size", SIZE_BINS // 2): 1,
        ("size", SIZE_BINS - 1): 1,
        ("centre", PLACE_BINS * 3 // 4 * PLACE_BINS + PLACE_BINS // 4): 1,
        ("centre", PLACE_BINS * PLACE_BINS - 1): 1,
    }


@pytest.mark.parametrize("seed", range(3))
def test_after_anything_the_counts_are_those_of_counting_anew(project: Project, seed: int) -> None:
    rng = random.Random(seed)
    images = project.images.add([new_image(f"{i}.jpg") for i in range(4)])
    kinds = [None, *project.categories.ensure(["cat", "dog"]).values()]
    alive: dict[int, int] = {}
    dead: dict[int, int] = {}

    def mask() -> dict[str, object]:
        made = replace(
            BY_PERSON,
            author=rng.choice(["ann", "bob"]),
            predicted_iou=rng.choice([None, 0.5, 0.9]),
        )
        x, y = rng.randrange(6), rng.randrange(4)
        return {"rle": rectangle(x, y, x + 2, y + 2), "made": made}

    def change() -> Change:
        kind = rng.randrange(4)
        key = rng.choice(sorted(alive)) if alive else 0
        if kind == 0 and dead:
            key = rng.choice(sorted(dead))
            return Restore(annotation_id=key, based_on=dead[key])
        if kind == 1 and alive:
            return Delete(annotation_id=key, based_on=alive[key])
        if kind == 2 and alive:
            verdict, category = rng.choice([None, "accepted", "rejected"]), rng.choice(kinds)
            return Edit(
                annotation_id=key,
                based_on=alive[key],
                review=verdict,
                category_id=category,
                **mask(),
            )  # type: ignore[arg-type]
        image = rng.choice(images)
        return Create(image_id=image.id, category_id=rng.choice(kinds), **mask())  # type: ignore[arg-type]

    for step in range(40):
        if rng.random() < 0.1:
            image = rng.choice(images)
            rng.choice([project.images.delete, project.images.restore])(image.id)
            continue
        (made,) = project.annotations.apply(f"step {step}", [change()], by="ann")
        alive.pop(made.id, None)
        dead.pop(made.id, None)
        (dead if made.deleted else alive)[made.id] = made.version
    assert list(verify(project, files=False)) == []
    found = statistics(project.database, project.id)
    shown = {image.id for image in project.images.page()}
    masks = [a for i in shown for a in project.annotations.of_image(i)]
    assert found.masks == sum(found.sizes) == sum(map(sum, found.centres)) == len(masks)
    by_ann = {a.image_id for a in masks if a.made.author == "ann" and a.category_id is None}
    which = ImageFilter(author="ann", category_id=0)
    assert {image.id for image in project.images.page(which)} == by_ann
    unsure = {a.image_id for a in masks if (a.made.predicted_iou or 1) < 0.6}
    low = project.images.page(ImageFilter(predicted_iou_below=0.6))
    assert {image.id for image in low} == unsure


def test_the_last_mask_of_a_kind_takes_its_kind_along(project: Project) -> None:
    (image,) = project.images.add([new_image("a.jpg")])
    (made,) = project.annotations.apply("one", [a_mask(image.id)], by="ann")
    gone = Delete(annotation_id=made.id, based_on=1)
    project.annotations.apply("gone", [gone], by="ann")
    assert statistics(project.database, project.id).by_stage == {}
    assert project.images.page(ImageFilter(stage=made.made.stage)) == []

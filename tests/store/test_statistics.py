"""What is counted is what is there."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskmill import rle
from maskmill.store import Delete, Made, Project
from maskmill.store.statistics import PLACE_BINS, SIZE_BINS, concavity, near_duplicates, statistics

from .records import add_images, add_masks, square

AUTOMATIC = Made(made_by="model", author="run 1", stage="automatic")


def test_an_empty_project_counts_nothing(project: Project) -> None:
    found = statistics(project.database, project.id)
    assert (found.images, found.masks, found.concavity) == (0, 0, ())
    assert sum(found.sizes) == 0


def test_counts_by_everything_that_is_recorded(project: Project) -> None:
    cat = project.categories.ensure(["cat"])["cat"]
    first, second, third = add_images(project, "a.jpg", "b.jpg", "c.jpg", split="train")
    add_images(project, "d.jpg", source="street")
    masks = add_masks(project, first, square(0, 0, 3), square(5, 5, 4), category_id=cat)
    add_masks(project, second, square(1, 1, 2), made=AUTOMATIC, review="accepted")
    add_masks(project, third, square(1, 1, 2))
    gone = Delete(annotation_id=masks[0].id, based_on=1)
    project.annotations.apply("delete", [gone], by="ann")
    project.images.delete(third.id)
    found = statistics(project.database, project.id)
    assert (found.images, found.images_with_masks, found.masks) == (3, 2, 2)
    assert found.by_stage == {"assisted": 1, "automatic": 1}
    assert found.by_review == {"unreviewed": 1, "accepted": 1}
    assert found.by_category == {"cat": 1, "": 1}
    assert found.by_source == {"photos": 2, "street": 1}
    assert found.by_split == {"train": 2, "": 1}
    assert found.masks_per_image == {0: 1, 1: 2}


def test_images_that_look_like_another_are_counted_each_once(project: Project) -> None:
    assert near_duplicates(project.database, project.id) == 0
    hashes = {"a": 0, "b": 0, "c": 0b111, "far": -1, "other": 2**40 - 1, "none": None, "gone": -2}
    for name, value in hashes.items():
        (image,) = add_images(project, f"{name}.jpg", perceptual_hash=value)
    project.images.delete(image.id)  # it alone would be near to the far one
    assert near_duplicates(project.database, project.id) == 3


def test_sizes_and_places_fall_into_their_parts(project: Project) -> None:
    (image,) = add_images(project, "a.jpg", size=(100, 100))
    add_masks(project, image, square(0, 0, 50, (100, 100)), square(90, 40, 10, (100, 100)))
    add_masks(project, image, rle.encode(np.ones((100, 100), bool)))
    found = statistics(project.database, project.id)
    filled = {i: n for i, n in enumerate(found.sizes) if n}
    assert filled == {SIZE_BINS // 2: 1, SIZE_BINS // 10: 1, SIZE_BINS - 1: 1}
    places = {(y, x) for y, row in enumerate(found.centres) for x, n in enumerate(row) if n}
    expected = {(0.25, 0.25), (0.95, 0.45), (0.5, 0.5)}
    assert places == {(int(y * PLACE_BINS), int(x * PLACE_BINS)) for y, x in expected}


def test_concavity_is_the_share_of_the_hull_that_is_missing(project: Project) -> None:
    (image,) = add_images(project, "a.jpg", size=(40, 40))
    corner = np.zeros((40, 40), bool)
    corner[:20, :10] = corner[10:20, :20] = True  # an L: 300 of a hull of 350 pixels
    add_masks(project, image, square(0, 0, 7, (40, 40)), rle.encode(corner))
    found = statistics(project.database, project.id).concavity
    assert found == pytest.approx((0.0, 1 - 300 / 350), abs=1e-6)


def test_a_sample_bounds_how_many_hulls_are_measured(project: Project) -> None:
    (image,) = add_images(project, "a.jpg")
    add_masks(project, image, *(square(y, x, 2) for y in range(10) for x in range(10)))
    assert len(statistics(project.database, project.id, sample=10).concavity) == 10


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 12))
def test_the_hull_of_run_ends_is_the_hull_of_all_pixels(seed: int, h: int, w: int) -> None:
    mask = np.random.default_rng(seed).random((h, w)) < 0.3
    mask[h // 2, w // 2] = True
    y, x = np.nonzero(mask)
    corners = np.concatenate([np.stack([x + i, y + j], 1) for i in (0, 1) for j in (0, 1)])
    hull = cv2.contourArea(cv2.convexHull(corners.astype(np.int32)))
    assert concavity(rle.encode(mask), int(mask.sum())) == pytest.approx(1 - mask.sum() / hull)

"""What stage 3 did not find: images are drawn fairly, and the estimate is of all of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scene

from maskmill import rle
from maskmill.engine.labelling import KIND, operation_of
from maskmill.engine.missing import (
    by_stage_three,
    draw_images,
    estimate_recall,
    passed_by_stage_three,
    recall_interval,
)
from maskmill.exchange.importing import import_labelled
from maskmill.store import Create, Delete, Edit, Made, Project
from maskmill.store.bulk import Labelled, NewMask, add_labelled
from maskmill.store.images import Image, NewImage

AUTOMATIC = Made(made_by="model", author="everything mode", stage="automatic")
PERSON = Made(made_by="person", author="Ada", stage="assisted")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Six images; a job of stage 3 did all but the last one, and found something on two."""
    with Project.create(tmp_path / "project") as made:
        scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(6)]
        bare = [replace(scene, annotations=()) for scene in scenes]
        import_labelled(made, bare, name="scenes", by="test")
        *done, _ = made.images.page(limit=10)
        job = made.jobs.queue(KIND, {})
        batch = [labelled(image, 1 if place < 2 else 0) for place, image in enumerate(done)]
        add_labelled(made, operation_of(job.id), batch, by="tiny", untouched_only=True)
        yield made


def labelled(image: Image, masks: int) -> Labelled:
    new = NewImage(**{f.name: getattr(image, f.name) for f in fields(NewImage)})
    found = [NewMask(rle=square(image, 4 * i), made=AUTOMATIC) for i in range(masks)]
    return Labelled(image=new, masks=tuple(found))


def square(image: Image, left: int = 0) -> rle.Rle:
    mask = np.zeros(image.size, bool)
    mask[2:6, left : left + 4] = True
    return rle.encode(mask)


def change(project: Project, what: Create | Edit | Delete) -> None:
    project.annotations.apply(f"{what}", [what], by="Ada")


def test_images_without_a_mask_were_looked_at_too(project: Project) -> None:
    ids = [image.id for image in project.images.page(limit=10)]
    assert passed_by_stage_three(project) == ids[:5], "the last one was not"


def test_what_somebody_labelled_since_is_left_out(project: Project) -> None:
    first, second, third, fourth, *_ = images = project.images.page(limit=10)
    project.work.set_state(third.id, "complete", name="Ada")
    change(project, Create(image_id=fourth.id, rle=square(fourth), made=PERSON))
    (mask,) = project.annotations.of_image(first.id)
    change(project, Edit(annotation_id=mask.id, based_on=1, rle=square(first, 1), made=PERSON))
    (corrected,) = project.annotations.of_image(first.id)
    assert by_stage_three(project, corrected), "an audit's correction labels no image"
    assert passed_by_stage_three(project) == [first.id, second.id, images[4].id]
    project.images.delete(second.id)
    assert second.id not in passed_by_stage_three(project)


def test_each_image_is_as_likely_as_any_other() -> None:
    rng = np.random.default_rng(0)
    drawn = Counter(i for _ in range(3000) for i in draw_images([3, 5, 8, 13], 2, rng))
    assert drawn.keys() == {3, 5, 8, 13}
    assert all(abs(n / 3000 - 0.5) < 0.03 for n in drawn.values()), drawn
    assert draw_images([5, 3], 9, rng) == [3, 5]
    assert draw_images([], 9, rng) == []


def test_the_estimate_is_right_on_average_though_half_of_the_images_are_empty() -> None:
    """Of 400 images half hold 6 masks and miss nothing, half hold none and miss 6 objects."""
    answers = [(6, 6, 0)] * 200 + [(0, 0, 6)] * 200
    iou = np.ones(10)
    of_sample = [a for a in answers if a[0]]
    assert estimate_recall(iou, of_sample) == 1.0, "what images of sampled masks say"
    rng = np.random.default_rng(0)
    told, covered = [], 0
    for seed in range(100):
        here = [answers[i] for i in draw_images(range(400), 30, rng)]
        told.append(estimate_recall(iou, here))
        low, high = recall_interval(iou, here, seed=seed) or (1.0, 0.0)
        covered += low <= 0.5 <= high
    assert np.mean([each for each in told if each is not None]) == pytest.approx(0.5, abs=0.02)
    assert covered >= 88


def test_an_interval_says_nothing_of_few_images_and_is_decided_by_its_seed() -> None:
    iou = np.ones(1)
    answers = [(4, 2, 1), (0, 0, 3), (5, 5, 0), (2, 0, 2), (3, 1, 1)]
    assert recall_interval(iou, answers[:4], seed=0) is None
    empty = [(0, 0, 0)] * 40
    assert recall_interval(iou, [*answers[:4], *empty], seed=0) is None, "empty ones tell nothing"
    assert recall_interval(np.zeros(0), answers, seed=0) is None, "nothing is known of the masks"
    assert recall_interval(iou, [(0, 0, 0)] * 3, seed=0) is None, "there was nothing to find"
    low, high = recall_interval(iou, answers, seed=0) or (0.0, 0.0)
    assert 0.0 <= low < (estimate_recall(iou, answers) or 0.0) < high <= 1.0
    assert recall_interval(iou, answers, seed=0) == (low, high)
    many = [(i, i // 2, i * 7 % 11) for i in range(1, 30)]
    assert recall_interval(iou, many, seed=1) != recall_interval(iou, many, seed=2)
    unsure = np.array([1.0, 0.0, 1.0, 0.0])
    narrow, wide = (recall_interval(each, many, seed=1) for each in (np.tile(unsure, 50), unsure))
    assert narrow is not None
    assert wide is not None
    assert wide[1] - wide[0] > narrow[1] - narrow[0], "few masks of the sample say little of others"

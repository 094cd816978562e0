"""Audits by people: what was drawn stays drawn, and what people made of it is read from history."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scene

from maskmill import rle
from maskmill.cli import main
from maskmill.engine.auditing import (
    FOUND,
    SAMPLE,
    AuditTask,
    answer_found,
    audits,
    draw_audit,
    find_audit,
    report,
    tasks,
    waiting_images,
)
from maskmill.engine.dataset_card import quality_lines
from maskmill.engine.labelling import KIND, operation_of
from maskmill.errors import NotFound, StoreError
from maskmill.exchange.importing import import_labelled
from maskmill.store import Create, Delete, Edit, Made, Project
from maskmill.store.bulk import Labelled, add_labelled
from maskmill.store.changes import Review
from maskmill.store.images import NewImage

AUTOMATIC = Made(made_by="model", author="everything mode", stage="automatic", predicted_iou=0.9)
PERSON = Made(made_by="person", author="Ada", stage="automatic", seconds=5.0)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of two images with ten machine-made squares each, of sides 5 to 14."""
    with Project.create(tmp_path / "project") as made:
        scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(2)]
        bare = [replace(scene, annotations=()) for scene in scenes]
        import_labelled(made, bare, name="scenes", by="test")
        for image in made.images.page(limit=10):
            squares = [square(image.size, 5 + i) for i in range(10)]
            changes = [Create(image_id=image.id, rle=s, made=AUTOMATIC) for s in squares]
            made.annotations.apply(f"{image.id}", changes, by="test")
        yield made


def square(size: tuple[int, int], side: int, shift: int = 0) -> rle.Rle:
    mask = np.zeros(size, bool)
    mask[2 : 2 + side, 2 + shift : 2 + shift + side] = True
    return rle.encode(mask)


def test_a_draw_is_written_down_with_its_seed_and_covers_every_size(project: Project) -> None:
    drawn = draw_audit(project, size=10, seed=7, by="Ada")
    assert (drawn.number, drawn.seed, drawn.masks, len(drawn.drawn)) == (1, 7, 20, 10)
    assert audits(project) == [drawn] == [find_audit(project, 1)]
    areas = np.array([task.area for task in tasks(project, drawn)])
    for low, high in ((25, 36), (49, 64), (81, 100), (121, 144), (169, 196)):
        assert ((areas >= low) & (areas <= high)).sum() == 2, "two of each fifth of the sizes"
    assert draw_audit(project, size=10, seed=7, by="Bo").drawn == drawn.drawn
    assert draw_audit(project, size=10, seed=8, by="Bo").drawn != drawn.drawn


def test_what_people_made_of_each_mask_is_read_from_its_history(project: Project) -> None:
    drawn = draw_audit(project, size=20, by="Ada")
    before = tasks(project, drawn)
    assert {task.state for task in before} == {"waiting"}
    first, second, third, fourth, fifth, *_ = before
    size = project.images.get(first.image_id).size
    side = round(second.area**0.5)
    change(project, Edit(annotation_id=first.annotation_id, based_on=1, review="accepted"))
    mended = square(size, side, shift=1)
    key = second.annotation_id
    change(project, Edit(annotation_id=key, based_on=1, rle=mended, made=PERSON))
    change(project, Delete(annotation_id=third.annotation_id, based_on=1))
    change(project, Edit(annotation_id=fourth.annotation_id, based_on=1, review="rejected"))
    change(project, Edit(annotation_id=fifth.annotation_id, based_on=1, category_id=None))
    after = {task.annotation_id: task for task in tasks(project, drawn)}
    shifted = side * (side - 1) / (side * (side + 1))
    assert told(after[first.annotation_id]) == ("kept", 1.0)
    assert told(after[key]) == ("corrected", pytest.approx(shifted))
    assert told(after[third.annotation_id]) == ("removed", 0.0)
    assert told(after[fourth.annotation_id]) == ("removed", 0.0)
    assert told(after[fifth.annotation_id]) == ("waiting", None), "a category is no look at a mask"
    said = report(project, drawn)
    assert (said.drawn, said.done) == (20, 4)
    assert said.shares[0].pairs == 4
    assert said.shares[0].share == pytest.approx(0.25 + 0.25 * (shifted > 0.9))
    assert sum(each[0].pairs for each in said.by_size.values()) == 4
    assert said.recall is None


def test_masks_that_people_judged_are_not_drawn(project: Project) -> None:
    image = project.images.page(limit=1)[0]
    for mask in project.annotations.of_image(image.id):
        change(project, Edit(annotation_id=mask.id, based_on=1, review="accepted"))
    assert draw_audit(project, size=100, by="Ada").masks == 10


def test_answers_say_what_is_missing_and_the_last_word_counts(project: Project) -> None:
    drawn = draw_audit(project, size=5, by="Ada")
    one, two = project.images.page(limit=10)
    answer_found(project, one.id, missing=4, by="Ada")
    answer_found(project, one.id, missing=0, by="Ada")
    answer_found(project, two.id, missing=5, by="Bo")
    said = report(project, drawn)
    assert said.images_asked == 2
    assert said.images_complete[0] == 0.5
    assert said.recall is None, "nobody knows yet whether the masks show objects"


def test_masks_that_show_nothing_are_no_found_objects(project: Project) -> None:
    """Twenty masks, of which people saw four, and half of those were none."""
    drawn = draw_audit(project, size=4, by="Ada")
    for place, (key, version) in enumerate(drawn.drawn):
        verdict: Review = "accepted" if place % 2 else "rejected"
        change(project, Edit(annotation_id=key, based_on=version, review=verdict))
    for image in project.images.page(limit=10):
        answer_found(project, image.id, missing=5, by="Ada")
    found = 2 + 16 * 0.5
    assert report(project, drawn).recall == pytest.approx(found / (found + 10))


def test_what_cannot_be_drawn_or_found_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no audit yet"):
        find_audit(project)
    with pytest.raises(StoreError, match="at least 1"):
        draw_audit(project, size=0, by="Ada")
    with pytest.raises(StoreError, match="cannot be missing"):
        answer_found(project, 1, missing=-1, by="Ada")
    with pytest.raises(NotFound, match="image 99"):
        answer_found(project, 99, missing=0, by="Ada")
    with (
        Project.create(tmp_path / "empty") as empty,
        pytest.raises(StoreError, match="maskmill label"),
    ):
        draw_audit(empty, size=5, by="Ada")


def change(project: Project, what: Edit | Delete) -> None:
    project.annotations.apply(f"change {what.annotation_id}", [what], by="Ada")


def told(task: AuditTask) -> tuple[str, float | None]:
    return task.state, task.iou


def looked_over(project: Project) -> list[int]:
    """Write down that a job of stage 3 did all images, and return them with two it left empty."""
    scenes = [write_scene(Path(project.folder).parent / "more", f"{i}", seed=i) for i in range(2)]
    import_labelled(project, [replace(s, annotations=()) for s in scenes], name="more", by="test")
    every = project.images.page(limit=10)
    job = project.jobs.queue(KIND, {})
    new = [{f.name: getattr(i, f.name) for f in fields(NewImage)} for i in every]
    batch = [Labelled(image=NewImage(**each)) for each in new]
    add_labelled(project, operation_of(job.id), batch, by="tiny")
    return [image.id for image in every]


def test_images_are_drawn_with_the_sample_and_written_down(project: Project) -> None:
    every = looked_over(project)
    drawn = draw_audit(project, size=4, seed=3, by="Ada")
    assert drawn.images == tuple(every), "all, as there are fewer than 20"
    assert find_audit(project) == drawn
    two = draw_audit(project, size=4, images=2, seed=3, by="Ada")
    assert len(two.images) == 2
    assert draw_audit(project, size=4, images=2, seed=3, by="Ada").images == two.images
    assert two.drawn == drawn.drawn, "the same masks, however many images"
    assert draw_audit(project, size=4, images=0, by="Ada").images == ()
    with pytest.raises(StoreError, match="0 or more"):
        draw_audit(project, size=4, images=-1, by="Ada")


def test_the_command_says_which_images_to_answer_for(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    every = looked_over(project)
    folder = ["--project", str(project.folder)]
    project.close()
    draw = ["audit", "draw", *folder, "--size", "4"]
    assert main([*draw, "--images", "9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["random_images"] == every
    assert main(draw) == 0
    assert f"of images {', '.join(map(str, every))}" in capsys.readouterr().out
    for image_id in every[1:]:
        assert main(["audit", "found", str(image_id), "--missing", "3", *folder]) == 0
    capsys.readouterr()
    assert main(["audit", "report", *folder, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["waiting_images"], told["images_asked"], told["at_random"]) == ([1], 3, True)
    assert main(["audit", "report", *folder]) == 0
    said = capsys.readouterr().out
    assert "On 0% of 3 images drawn at random" in said
    assert said.rstrip().endswith("of images 1")


def test_an_audit_of_before_images_were_drawn_is_read_and_says_what_it_is_of(
    project: Project,
) -> None:
    drawn = draw_audit(project, size=20, by="Ada")
    detail = {"number": 2, "seed": 0, "drawn": drawn.drawn, "masks": 20, "by": "Ada"}
    project.models.record({SAMPLE: 20.0}, detail=detail)
    project.models.record(
        {FOUND: 1.0}, detail={"image_id": 1, "missing": 2, "masks": 10, "by": "Ada"}
    )
    old = find_audit(project, 2)
    assert (old.images, old.drawn) == ((), drawn.drawn)
    for key, version in old.drawn:
        change(project, Edit(annotation_id=key, based_on=version, review="accepted"))
    said = report(project, old)
    assert (said.at_random, said.images_drawn, said.recall_interval) == (False, 0, None)
    assert said.recall == pytest.approx(10 / 12)
    assert "too high, where others are empty" in "\n".join(quality_lines(said))


def test_recall_is_of_the_images_drawn_at_random(project: Project) -> None:
    """Two images hold all their ten objects, on two nothing was found of ten each."""
    every = looked_over(project)
    answer_found(project, every[2], missing=1, by="Ada")  # before the draw: of another time
    drawn = draw_audit(project, size=20, by="Ada")
    assert waiting_images(project, drawn) == every
    for key, version in drawn.drawn:
        change(project, Edit(annotation_id=key, based_on=version, review="accepted"))
    for image_id in every[:2]:
        answer_found(project, image_id, missing=0, by="Ada")
    assert report(project, replace(drawn, images=())).recall == pytest.approx(20 / 21)
    for image_id in every[2:]:
        answer_found(project, image_id, missing=10, by="Ada")
    said = report(project, drawn)
    assert said.recall == 0.5, "of images with a sampled mask it is 1"
    assert said.images_complete[0] == 0.5
    assert (said.images_asked, said.images_drawn, said.at_random) == (4, 4, True)
    assert said.recall_interval is None, "four images tell too little"
    of_more = replace(said, recall_interval=(0.31, 0.69))
    words = "Recall 0.50 (0.31 to 0.69), of 4 images drawn at random."
    assert words in "\n".join(quality_lines(of_more))
    assert waiting_images(project, drawn) == []
    some = report(project, replace(drawn, images=(every[0], every[1])))
    assert some.recall == 1.0, "answers for other images do not enter"


def test_what_people_add_before_they_answer_was_missing(project: Project) -> None:
    every = looked_over(project)
    drawn = draw_audit(project, size=20, by="Ada")
    empty = project.images.get(every[2])
    made = Create(image_id=empty.id, rle=square(empty.size, 5), made=PERSON)
    project.annotations.apply("added", [made], by="Ada")
    answer_found(project, empty.id, missing=0, by="Ada")
    said = report(project, drawn)
    assert (said.images_asked, said.images_complete[0], said.recall) == (1, 0.0, 0.0)
    words = "\n".join(quality_lines(said))
    assert "none is corrected yet" in words
    assert "Recall 0.00, of 1 image drawn at random. 3 more that were drawn wait" in words

"""Pre-filled masks are the model's until somebody has looked, and none is double after a kill."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from labelled_scene import write_scene

from maskmill.engine.prefilling import (
    CALIBRATION,
    _read_calibration,
    look_over,
    prefill_images,
    propose_all,
)
from maskmill.engine.proposals import Calibration
from maskmill.errors import StoreError
from maskmill.exchange.importing import import_labelled
from maskmill.formats import LabelledImage
from maskmill.rle import Rle
from maskmill.store import Delete, Project
from maskmill.store.models import Model
from maskmill.store.round_work import Work, answered_masks, work_between
from maskmill.weights import model_folder, model_id_of, read_card


@pytest.fixture
def scenes(tmp_path: Path) -> list[LabelledImage]:
    return [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(3)]


def bare(scene: LabelledImage) -> LabelledImage:
    return LabelledImage(
        image_id=scene.image_id, path=scene.path, size=scene.size, source=scene.source
    )


def test_a_run_asks_for_what_it_was_told_and_says_what_could_be_had_instead(
    tmp_path: Path, scenes: list[LabelledImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def calibrated(*arguments: object, precisions: list[float]) -> list[dict[str, Calibration]]:
        asked.extend(precisions)
        none = Calibration(threshold=None, precision=0.0, kept=0, found=0.0)
        some = Calibration(threshold=0.4, precision=0.6, kept=20, found=0.3)
        return [{"everything mode": some if each < 0.65 else none} for each in precisions]

    monkeypatch.setattr("maskmill.engine.prefilling.calibrate_ways", calibrated)
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, list(map(bare, scenes)), name="s", by="test")
        propose_all(project, tmp_path, [], points_per_side=4, precision=0.75)
        told, _ = _read_calibration(tmp_path)
        assert asked == [0.75, 0.7, 0.6, 0.5]
        assert (told.threshold, told.instead) == (None, ((0.6, 0.3), (0.5, 0.3)))
        again = tmp_path / "again"
        again.mkdir()
        propose_all(project, again, [], points_per_side=4, precision=0.6)
        told, _ = _read_calibration(again)
        assert (told.threshold, told.instead) == (0.4, ())


def test_sure_masks_are_the_models_until_a_person_has_looked(
    tmp_path: Path, scenes: list[LabelledImage]
) -> None:
    folder = tmp_path / "prefilled"
    folder.mkdir()
    sure = Calibration(threshold=0.5, precision=0.96, kept=20, found=0.5)
    (folder / CALIBRATION).write_text(json.dumps(asdict(sure)))
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, [scenes[0], *map(bare, scenes[1:])], name="s", by="test")
        ids = [image.id for image in project.images.page()]
        told: list[tuple[int, int]] = []
        found = prefill_images(
            project,
            ids,
            folder,
            points_per_side=6,
            progress=lambda images, masks: told.append((images, masks)),
        )
        assert found == sure
        assert told[-1][0] == 3
        masks = {i: project.annotations.of_image(i) for i in ids}
        assert all(m.made.stage == "imported" for m in masks[ids[0]]), "people were faster"
        first, second = masks[ids[1]], masks[ids[2]]
        assert first
        assert second
        assert {m.made.made_by for m in (*first, *second)} == {"model"}
        assert {m.review for m in (*first, *second)} == {None}
        people = {m[0] for m in answered_masks(project.database, project.id)}
        assert not people & {m.id for m in (*first, *second)}, "nobody answers for them"
        again = prefill_images(project, ids, folder, points_per_side=6)
        assert again == sure
        assert len(project.annotations.of_image(ids[1])) == len(first), "none is double"

        project.annotations.apply(
            "reject", [Delete(annotation_id=first[0].id, based_on=1)], by="Ada"
        )
        assert look_over(project, ids[1], by="Ada") == len(first) - 1
        assert look_over(project, ids[1], by="Ada") == 0
        kept = project.annotations.of_image(ids[1])
        assert {(m.made.made_by, m.review) for m in kept} <= {("model", "accepted")}
        (work,) = work_between(project.database, project.id, [])
        assert work == Work(kept=len(first) - 1, rejected=1, unseen=len(second))
        before, after = work_between(project.database, project.id, [1.0])
        assert (before, after) == (Work(), work)


@pytest.mark.parametrize("taken", ["held", "finished", "deleted"])
def test_an_image_that_a_person_took_up_meanwhile_gets_no_masks(
    tmp_path: Path, scenes: list[LabelledImage], taken: str
) -> None:
    folder = tmp_path / "prefilled"
    folder.mkdir()
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, list(map(bare, scenes[:2])), name="s", by="test")
        first, second = (image.id for image in project.images.page())
        for image_id, scene in ((first, scenes[0]), (second, scenes[1])):
            leave_file(folder, image_id, scene.annotations[0].rle)
        if taken == "held":
            project.work.lease(first, "Ada")
        elif taken == "finished":
            project.work.set_state(first, "in_review", name="Ada")
        else:
            project.images.delete(first)
        prefill_images(project, [first, second], folder, points_per_side=4)
        assert not project.annotations.of_image(first)
        assert len(project.annotations.of_image(second)) == 1


def test_masks_are_of_the_model_that_made_them_and_another_one_is_measured_anew(
    tmp_path: Path, scenes: list[LabelledImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prefilled"
    folder.mkdir()
    measured: list[int] = []
    sure = Calibration(threshold=0.0, precision=1.0, kept=20, found=0.5)
    monkeypatch.setattr(
        "maskmill.engine.prefilling.calibrate_ways",
        lambda *_, precisions, **__: measured.append(1) or [{sure.way: sure} for _ in precisions],
    )
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, list(map(bare, scenes)), name="s", by="test")
        ids = [image.id for image in project.images.page()]
        default = read_card(model_folder("tiny"))
        model = project.models.add(model_id_of(default), name="tiny")
        promoted: list[Model | None] = [None]
        monkeypatch.setattr("maskmill.engine.prefilling.current_model", lambda _: promoted[0])
        propose_all(project, folder, ids[:1], points_per_side=6, precision=0.9)
        propose_all(project, folder, ids[:1], points_per_side=6, precision=0.9)
        assert len(measured) == 1, "the same model is measured once"
        promoted[0] = model
        propose_all(project, folder, ids[:2], points_per_side=6, precision=0.9)
        assert len(measured) == 2
        promoted[0] = None
        prefill_images(project, ids[:2], folder, points_per_side=6, precision=0.9)
        made = {i: {m.made.model_id for m in project.annotations.of_image(i)} for i in ids[:2]}
        assert made == {ids[0]: {None}, ids[1]: {model.id}}


def test_masks_that_could_not_be_committed_are_told_and_come_with_the_next_run(
    tmp_path: Path, scenes: list[LabelledImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise StoreError("the disk is full")

    folder = tmp_path / "prefilled"
    folder.mkdir()
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, [bare(scenes[0])], name="s", by="test")
        (image,) = project.images.page()
        leave_file(folder, image.id, scenes[0].annotations[0].rle)
        monkeypatch.setattr(project.annotations, "apply", full)
        with pytest.raises(StoreError, match="disk is full"):
            prefill_images(project, [image.id], folder, points_per_side=4)
        monkeypatch.undo()
        prefill_images(project, [image.id], folder, points_per_side=4)
        assert len(project.annotations.of_image(image.id)) == 1


def leave_file(folder: Path, image_id: int, mask: Rle) -> None:
    """Write what the child writes: one mask, and a calibration if there is none yet."""
    if not (folder / CALIBRATION).is_file():
        sure = Calibration(threshold=0.5, precision=0.96, kept=20, found=0.5)
        (folder / CALIBRATION).write_text(json.dumps(asdict(sure)))
    scores = {"predicted_iou": 0.9, "stability_score": 0.9, "point": [1.0, 1.0]}
    mask_of = {"size": list(mask.size), "counts": mask.counts.decode()}
    told = {**mask_of, **scores, "by": "everything mode", "category": None, "model": None}
    (folder / f"{image_id}.json").write_text(json.dumps([told]))


def test_without_a_precise_threshold_nothing_is_pre_filled(
    tmp_path: Path, scenes: list[LabelledImage]
) -> None:
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, [scenes[0], bare(scenes[1])], name="s", by="test")
        for image, split in zip(project.images.page(), ("val", "train"), strict=True):
            project.images.describe(image.id, split=split)
        ids = [image.id for image in project.images.page()]
        found = prefill_images(project, ids, tmp_path / "prefilled", points_per_side=4)
        assert found.threshold is None, "two objects prove no precision"
        assert project.annotations.of_image(ids[1]) == []

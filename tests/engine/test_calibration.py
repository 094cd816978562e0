"""What the hold-out says decides how the rest is labelled."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from maskmill import rle
from maskmill.config import AutomaskConfig
from maskmill.engine.calibration import calibrate_ways, holdout, stage_three
from maskmill.engine.heads import Heads
from maskmill.engine.proposals import candidates, nearly_open
from maskmill.exchange.importing import import_labelled
from maskmill.formats.labelled import LabelledImage, LabelledMask
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.store import Create, Edit, Made, Project

GRID = AutomaskConfig(points_per_side=12)


def discs(folder: Path, name: str, seed: int) -> LabelledImage:
    """Write six bright discs on grey, which the default finds without having been taught."""
    rng = np.random.default_rng(seed)
    image = rng.integers(80, 100, (128, 192, 3)).astype(np.uint8)
    y, x = np.mgrid[:128, :192]
    masks = []
    for cy in (34, 94):
        for cx in (34, 96, 158):
            disc = (y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(15, 24) ** 2
            image[disc] = (220, 60, 40)
            masks.append(LabelledMask(rle=rle.encode(disc)))
    path = folder / f"{name}.png"
    Picture.fromarray(image).save(path)
    return LabelledImage(
        image_id=name, path=path, size=(128, 192), source="discs", annotations=tuple(masks)
    )


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Two labelled hold-out images, one to train on, one that nobody labelled."""
    with Project.create(tmp_path / "project") as made:
        images = [discs(tmp_path, f"{i}", i) for i in range(4)]
        splits = ("val", "val", "train", "train")
        given = [replace(i, split=s) for i, s in zip(images, splits, strict=True)]
        given[3] = replace(given[3], annotations=())
        import_labelled(made, given, name="discs", by="test")
        yield made


def test_the_hold_out_is_what_people_labelled_of_it(project: Project) -> None:
    found = holdout(project)
    assert [Path(image.path).name for image, _ in found] == ["0.png", "1.png"]
    assert [len(masks) for _, masks in found] == [6, 6]
    mask = project.annotations.of_image(found[0][0].id)[0]
    reject = Edit(annotation_id=mask.id, based_on=1, review="rejected")
    project.annotations.apply("reject", [reject], by="Ada")
    assert [len(masks) for _, masks in holdout(project)] == [5, 6]
    assert len(holdout(project, limit=1)) == 1


def test_an_image_that_is_labelled_in_part_says_nothing_and_one_finished_as_empty_does(
    project: Project, tmp_path: Path
) -> None:
    """One accepted mask of five, as an audit leaves it, would make four right masks wrong."""
    bare = [replace(discs(tmp_path, n, 5), split="val", annotations=()) for n in ("part", "empty")]
    import_labelled(project, bare, name="bare", by="test")
    part, empty = project.images.page()[-2:]
    disc = project.annotations.of_image(project.images.page()[0].id)[0].rle
    made = Made(made_by="model", author="tiny", stage="automatic")
    changes = [Create(image_id=part.id, rle=disc, made=made) for _ in range(5)]
    first, *_ = project.annotations.apply("label", changes, by="tiny")
    accept = Edit(annotation_id=first.id, based_on=1, review="accepted")
    project.annotations.apply("audit", [accept], by="Ada")
    assert part.id not in {image.id for image, _ in holdout(project)}
    assert empty.id not in {image.id for image, _ in holdout(project)}
    project.work.set_state(empty.id, "complete", name="Ada")
    assert {image.id: len(masks) for image, masks in holdout(project)}[empty.id] == 0
    predictor, grid = Predictor.load("tiny", threads=1), nearly_open(GRID)
    known = holdout(project)
    precise = [
        calibrate_ways(predictor, Heads(), some, grid, precisions=[0.0])[0][
            "everything mode"
        ].precision
        for some in (known, known[:-1])
    ]
    assert precise[0] < precise[1], "what is found on the empty one is wrong"


def test_every_source_has_its_part_in_a_limited_hold_out(project: Project, tmp_path: Path) -> None:
    later = replace(discs(tmp_path, "later", 9), split="val", source="later")
    import_labelled(project, [later], name="later", by="test")
    assert [image.source for image, _ in holdout(project, limit=2)] == ["discs", "later"]


def test_stage_three_keeps_masks_from_the_calibrated_score_on(project: Project) -> None:
    settings, why = stage_three(project, precision=0.6, grid=GRID)
    threshold = settings.thresholds["everything mode"]
    assert threshold is not None
    assert "on 2 hold-out images are right" in why[0]
    predictor, grid = Predictor.load("tiny", threads=1), nearly_open(GRID)
    (ways,) = calibrate_ways(predictor, Heads(), holdout(project), grid, precisions=[0.6])
    assert ways["everything mode"].threshold == pytest.approx(threshold)
    assert ways["everything mode"].precision >= 0.6


def test_where_the_precision_cannot_be_had_the_next_lower_one_is_asked_for(
    project: Project,
) -> None:
    # The two objects that everything mode is surest of are no objects for this project's people.
    image, _ = holdout(project)[0]
    masks = project.annotations.of_image(image.id)
    pixels = read_image(Path(image.path))
    sure = candidates(Predictor.load("tiny", threads=1), pixels, nearly_open(GRID))[:2]
    for row in rle.iou([m.rle for m in sure], [m.rle for m in masks]):
        wrong = masks[int(row.argmax())]
        reject = Edit(annotation_id=wrong.id, based_on=1, review="rejected")
        project.annotations.apply(f"reject {wrong.id}", [reject], by="Ada")
    settings, why = stage_three(project, precision=0.95, grid=GRID)
    assert settings.thresholds["everything mode"] is not None
    assert [line for line in why if line.startswith("so")] == [
        "so 95% cannot be had, and less is asked for",
        "so 90% cannot be had, and less is asked for",
    ]
    assert "83% of 12 masks" in why[-1]


def test_where_no_precision_can_be_had_the_models_own_thresholds_decide(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskmill.engine.proposals.LEAST", 1000)
    settings, why = stage_three(project, grid=GRID)
    assert settings.thresholds == {"everything mode": None}
    assert "the model's own thresholds" in why[-1]


def test_where_nothing_is_known_it_says_so(tmp_path: Path) -> None:
    with Project.create(tmp_path / "empty") as empty:
        settings, why = stage_three(empty, grid=GRID)
    assert settings.thresholds == {"everything mode": None}
    assert "no hold-out image is labelled" in why[0]

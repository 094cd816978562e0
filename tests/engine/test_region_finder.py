"""The region head at work: it finds what it was not shown, where it lies in the image."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from maskmill import rle
from maskmill.config import AutomaskConfig
from maskmill.engine.calibration import stage_three
from maskmill.engine.head_files import head_folder
from maskmill.engine.heads import Heads
from maskmill.engine.labelling import LabelSettings, find_masks
from maskmill.engine.proposals import calibrate, outlined
from maskmill.engine.region_finder import RegionFinder
from maskmill.errors import CheckpointError, ConfigError, NotFound
from maskmill.exchange.importing import import_labelled
from maskmill.formats import LabelledImage, read_pixels
from maskmill.predict import Predictor
from maskmill.store import Project


def test_it_finds_objects_that_it_was_not_shown(
    trained: RegionFinder, predictor: Predictor, images: list[LabelledImage]
) -> None:
    seen = [read_pixels(image) for image in images[6:]]
    found = [outlined(trained, pixels, predictor.embed(pixels)) for pixels in seen]
    truths = [[m.rle for m in image.annotations] for image in images[6:]]
    told = calibrate(found, truths, precision=0.8, way="regions")
    assert told.threshold is not None
    assert told.found > 0.7
    for masks in found:
        assert [m.score for m in masks] == sorted((m.score for m in masks), reverse=True)
        assert all(m.by == "regions" and m.area == rle.area(m.rle) for m in masks)
        overlap = rle.iou([m.rle for m in masks], [m.rle for m in masks]) - np.eye(len(masks))
        assert overlap.max() == 0, "a pixel belongs to one region"


def test_the_engine_labels_by_the_way_that_finds_more(
    trained: RegionFinder, predictor: Predictor, images: list[LabelledImage], tmp_path: Path
) -> None:
    grid = AutomaskConfig(points_per_side=4)
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, images, name="crowds", by="test")
        where = head_folder(project.folder, "regions", predictor.model_id)
        shutil.copytree(trained.folder, where)
        settings, why = stage_three(project, precision=0.8, grid=grid)
    assert settings.regions == str(where)
    assert next(iter(settings.thresholds)) == "regions", why
    assert any(line.startswith("regions: from score") for line in why)
    again = LabelSettings.from_json(json.loads(json.dumps(asdict(settings))))
    found = find_masks(predictor, read_pixels(images[6]), again, Heads(regions=trained))
    truths = [m.rle for m in images[6].annotations]
    right = rle.iou([m.rle for m in found if m.by == "regions"], truths).max(0) > 0.75
    assert right.mean() > 0.7
    assert all(mask.score >= (settings.thresholds[mask.by] or 0) for mask in found)


def test_regions_are_said_in_pixels_of_the_image(
    trained: RegionFinder, predictor: Predictor, images: list[LabelledImage]
) -> None:
    pixels = read_pixels(images[6])
    trained.card["side"] = 96
    try:
        large = np.kron(pixels, np.ones((3, 3, 1), np.uint8))
        few = trained.find(large, predictor.embed(large))
    finally:
        trained.card["side"] = 256
    small = trained.find(pixels, predictor.embed(pixels))
    assert abs(len(few) - len(small)) <= 2
    best = few[0]
    x, y = best.middle
    mask = best.mask((288, 288))
    assert mask[int(y), int(x)]
    shrunk = rle.encode(mask[1::3, 1::3])
    assert rle.iou([shrunk], [rle.encode(r.mask((96, 96))) for r in small]).max() > 0.8


@pytest.mark.parametrize("size", [(40, 70), (17, 300), (1, 1), (129, 64)])
def test_images_of_any_size_are_looked_at(
    trained: RegionFinder, predictor: Predictor, size: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    for region in trained.find(image, predictor.embed(image)):
        assert region.mask(size).sum() == region.shape.sum() > 0


def test_an_embedding_of_another_model_is_refused(
    trained: RegionFinder, predictor: Predictor
) -> None:
    from dataclasses import replace

    image = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="this region head reads those of"):
        trained.find(image, replace(predictor.embed(image), model_id="other-123"))


def test_it_travels_to_another_process(trained: RegionFinder, predictor: Predictor) -> None:
    import pickle

    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    embedding = predictor.embed(image)
    again = pickle.loads(pickle.dumps(trained))
    assert again.card == trained.card
    scores = [region.score for region in trained.find(image, embedding)]
    assert scores == [region.score for region in again.find(image, embedding)]


def test_without_scikit_image_it_says_what_to_install(
    trained: RegionFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskmill.engine.region_finder.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'maskmill\[regions\]'"):
        RegionFinder(trained.folder)


def test_a_finder_without_its_graph_is_told(trained: RegionFinder, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no region head; a round trains one"):
        RegionFinder(tmp_path)
    (tmp_path / "regions.json").write_bytes((trained.folder / "regions.json").read_bytes())
    with pytest.raises(CheckpointError, match="not a usable ONNX file"):
        RegionFinder(tmp_path)

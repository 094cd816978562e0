"""From strokes on one scene to every pixel of another; and what is refused, or said."""

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from scribble_scene import CATEGORIES, scene, strokes

from maskmill.errors import CheckpointError, NotFound, PromptError
from maskmill.predict import Predictor
from maskmill.scribble.classifier import (
    PixelModel,
    at_size,
    load,
    predict,
    predict_pixels,
    save,
    train,
    uncertainty,
)
from maskmill.scribble.features import MOST_SIDE, VERSION, Features, extract, working_image
from maskmill.scribble.strokes import Stroke, draw


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("tiny", backend="onnx", threads=1)


def features_of(predictor: Predictor, seed: int) -> Features:
    image, _ = scene(seed)
    return extract(image, predictor.embed(image))


@pytest.fixture(scope="module")
def model(predictor: Predictor) -> PixelModel:
    _, labels = scene(0)
    drawn = draw(strokes("a.jpg", labels), CATEGORIES, labels.shape)
    return train({"a.jpg": features_of(predictor, 0)}, {"a.jpg": drawn}, CATEGORIES)


def mean_iou(found: np.ndarray, labels: np.ndarray) -> float:
    ious = [((found == k) & (labels == k)).sum() / ((found == k) | (labels == k)).sum()
            for k in range(3)]  # fmt: skip
    return float(np.mean(ious))


def test_strokes_on_one_scene_segment_another(model: PixelModel, predictor: Predictor):
    assert model.categories == CATEGORIES
    for seed in (1, 2):
        _, labels = scene(seed)
        found = predict(model, features_of(predictor, seed))
        assert np.allclose(found.sum(axis=0), 1, atol=1e-4)
        assert mean_iou(at_size(found, labels.shape).argmax(axis=0), labels) > 0.75


def test_every_pixel_is_at_least_as_good_as_the_grid(model: PixelModel, predictor: Predictor):
    image, labels = scene(3)
    embedding, features = predictor.embed(image), features_of(predictor, 3)
    fine = predict_pixels(model, image, embedding, features)
    assert fine.shape == (3, *labels.shape)
    grid = at_size(predict(model, features), features.size)
    found = mean_iou(fine.argmax(axis=0), labels)
    assert found > max(0.75, mean_iou(grid.argmax(axis=0), labels) - 0.01)


def test_a_large_photograph_is_segmented_as_what_filters_see_of_it(predictor: Predictor):
    image, labels = scene(3)
    large = np.asarray(cv2.resize(image, (2600, 2000), interpolation=cv2.INTER_CUBIC))
    truth = np.asarray(cv2.resize(labels, (2600, 2000), interpolation=cv2.INTER_NEAREST))
    seen = working_image(large)
    assert max(seen.shape) == MOST_SIDE
    embedding, features = predictor.embed(large), extract(large, predictor.embed(large))
    assert features.size == (2000, 2600)
    told, small = features.classical.values(), extract(seen, predictor.embed(seen)).classical
    size = (told.shape[2], told.shape[1])
    same = np.stack([cv2.resize(plane, size) for plane in small.values()])
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(told, same, strict=True)]
    assert np.median(alike) > 0.95, "filters see the same of a photograph and of it shrunk"
    wide = [msgspec.structs.replace(each, width=40) for each in strokes("a.jpg", truth)]
    drawn = draw(wide, CATEGORIES, truth.shape)
    learned = train({"a.jpg": features}, {"a.jpg": drawn}, CATEGORIES)
    coarse = at_size(predict(learned, features), truth.shape)
    fine = predict_pixels(learned, large, embedding, features)
    assert fine.shape == coarse.shape == (3, 2000, 2600)
    assert mean_iou(coarse.argmax(axis=0), truth) > 0.75
    assert mean_iou(fine.argmax(axis=0), truth) > 0.75


def test_saved_and_loaded_says_the_same(model: PixelModel, predictor: Predictor, tmp_path: Path):
    save(model, tmp_path / "model")
    again = load(tmp_path / "model")
    features = features_of(predictor, 1)
    assert np.array_equal(predict(again, features), predict(model, features))
    assert (again.categories, again.warnings) == (model.categories, model.warnings)


def test_damaged_or_missing_models_are_said(model: PixelModel, tmp_path: Path):
    with pytest.raises(NotFound, match="scribble train"):
        load(tmp_path)
    save(model, tmp_path / "model")
    (tmp_path / "model" / "projections.npz").write_bytes(b"")
    with pytest.raises(CheckpointError, match="damaged"):
        load(tmp_path / "model")
    card = tmp_path / "model" / "scribble.json"
    card.write_text(card.read_text().replace(f'"features": {VERSION}', '"features": 0'))
    with pytest.raises(CheckpointError, match="features of version 0"):
        load(tmp_path / "model")


def test_same_strokes_make_the_same_model(predictor: Predictor, model: PixelModel):
    _, labels = scene(0)
    drawn = draw(strokes("a.jpg", labels), CATEGORIES, labels.shape)
    again = train({"a.jpg": features_of(predictor, 0)}, {"a.jpg": drawn}, CATEGORIES)
    assert again.forest.content == model.forest.content


def test_one_category_alone_is_refused_with_the_next_step(predictor: Predictor):
    _, labels = scene(0)
    only = draw(strokes("a.jpg", labels)[1:2], CATEGORIES, labels.shape)
    with pytest.raises(PromptError, match=r"only disc is marked; draw a stroke on what is some"):
        train({"a.jpg": features_of(predictor, 0)}, {"a.jpg": only}, CATEGORIES)
    with pytest.raises(PromptError, match="nothing is marked"):
        train({"a.jpg": features_of(predictor, 0)}, {"a.jpg": np.full_like(only, -1)}, CATEGORIES)


def test_category_that_is_not_marked_is_left_out_and_named(predictor: Predictor):
    _, labels = scene(0)
    drawn = draw(strokes("a.jpg", labels)[:2], CATEGORIES, labels.shape)
    found = train({"a.jpg": features_of(predictor, 0)}, {"a.jpg": drawn}, CATEGORIES)
    assert found.categories == ("background", "disc")
    assert any("no stroke marks bar" in line for line in found.warnings)


def test_a_dot_on_a_broad_stroke_is_learned_and_what_is_covered_is_said():
    image, labels = scene(0, (2048, 2048))
    features, name = extract(image, None), "a"
    drawn = np.full(labels.shape, -1, np.int16)
    drawn[1000:1020, 300:1700] = 0
    drawn[1000:1003, 900:903] = 1
    found = train({name: features}, {name: drawn}, CATEGORIES)
    assert found.categories == ("background", "disc")
    assert np.isfinite(uncertainty(predict(found, features))).all()
    drawn[1000:1002, 900:902] = 2  # more of the same cell
    drawn[1002:1005, 900:905] = 2
    found = train({name: features}, {name: drawn}, CATEGORIES)
    assert len(found.categories) == 2
    assert any("what is marked as" in line and "longer stroke" in line for line in found.warnings)
    drawn[:] = -1
    drawn[1000, 900], drawn[1001, 901] = 0, 1
    with pytest.raises(PromptError, match="lies in cells that other strokes mark"):
        train({name: features}, {name: drawn}, CATEGORIES)


def test_one_pixel_strokes_train_with_a_warning(predictor: Predictor):
    _, labels = scene(0)
    dots = [Stroke(image="a", category=s.category, points=(s.points[0],), width=1)
            for s in strokes("a", labels)]  # fmt: skip
    drawn = draw(dots, CATEGORIES, labels.shape)
    found = train({"a": features_of(predictor, 0)}, {"a": drawn}, CATEGORIES)
    assert sum("only 1 pixels are marked" in line for line in found.warnings) == 3
    assert predict(found, features_of(predictor, 1)).shape[0] == 3


def test_contradictory_strokes_are_named(predictor: Predictor):
    _, labels = scene(0)
    y, x = 20, 20
    lines = [Stroke(image="a", category=CATEGORIES[i % 2], width=3,
                    points=((x, y + 6 * i), (x + 90, y + 6 * i))) for i in range(20)]  # fmt: skip
    drawn = draw(lines, CATEGORIES, labels.shape)
    found = train({"a": features_of(predictor, 0)}, {"a": drawn}, CATEGORIES)
    assert any("contradict" in line for line in found.warnings)


def test_features_of_another_model_are_refused(model: PixelModel):
    image, _ = scene(0)
    with pytest.raises(PromptError, match="features are of model 'none'"):
        predict(model, extract(image, None))


def test_classical_features_alone_work():
    image, labels = scene(0)
    drawn = draw(strokes("a", labels), CATEGORIES, labels.shape)
    found = train({"a": extract(image, None)}, {"a": drawn}, CATEGORIES)
    assert found.model_id == ""
    other, real = scene(1)
    fine = predict_pixels(found, other, None, extract(other, None))
    assert mean_iou(fine.argmax(axis=0), real) > 0.75


def test_strokes_of_another_size_are_refused(predictor: Predictor):
    with pytest.raises(PromptError, match="compute its features again"):
        train({"a": features_of(predictor, 0)}, {"a": np.zeros((9, 9), np.int16)}, CATEGORIES)


def test_uncertainty_is_zero_when_sure_and_one_when_not():
    sure = np.zeros((3, 2, 2), np.float32)
    sure[1] = 1
    assert uncertainty(sure).max() < 1e-5
    assert uncertainty(np.full((3, 2, 2), 1 / 3, np.float32)).min() > 0.999

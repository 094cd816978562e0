"""Files in, files out: strokes as JSON or PNG, a cache that is used, regions that can be stored."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scribble_scene import CATEGORIES, scene, strokes

from maskmill import rle
from maskmill.errors import NotFound, PromptError
from maskmill.formats import Refused
from maskmill.predict import Predictor
from maskmill.scribble.classifier import PixelModel, predict
from maskmill.scribble.features import FeatureCache
from maskmill.scribble.folder import (
    Source,
    as_labelled,
    predict_image,
    predict_images,
    train_on_pngs,
    train_on_scribbles,
)
from maskmill.scribble.rules import RuleSet, parse_rules
from maskmill.scribble.strokes import Scribbles, Stroke, draw, write_png


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("images")
    for seed in range(3):
        Image.fromarray(scene(seed)[0]).save(made / f"{seed}.png")
    return made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    predictor = Predictor.load("tiny", backend="onnx", threads=1)
    return Source(predictor, FeatureCache(tmp_path_factory.mktemp("cache")))


def drawn_on_first() -> Scribbles:
    return Scribbles(categories=CATEGORIES, strokes=tuple(strokes("0.png", scene(0)[1])))


@pytest.fixture(scope="module")
def model(source: Source, folder: Path) -> PixelModel:
    return train_on_scribbles(source, folder, drawn_on_first())


def test_features_are_read_from_the_cache_the_second_time(source: Source, folder: Path):
    opened, first = source.read(folder / "1.png")
    without = Source(source.predictor, source.cache)
    without.embed = None  # type: ignore[method-assign, assignment]
    _, second = without.read(folder / "1.png")
    assert np.array_equal(first.classical.levels, second.classical.levels)
    assert source.cache is not None
    assert source.cache.path(opened.sha256, source.predictor.model_id).is_file()


def test_pngs_say_what_strokes_say(source: Source, folder: Path, model: PixelModel, tmp_path: Path):
    drawn = drawn_on_first()
    write_png(tmp_path / "0.png", draw(drawn.strokes, CATEGORIES, (200, 260)))
    from_png = train_on_pngs(source, folder, tmp_path, CATEGORIES)
    assert from_png.forest.content == model.forest.content


def test_pngs_may_lie_beside_their_images_and_other_files(
    source: Source, folder: Path, model: PixelModel, tmp_path: Path
):
    Image.fromarray(scene(0)[0]).save(tmp_path / "0.tif")
    (tmp_path / "0.txt").write_text("a label of another program")
    write_png(tmp_path / "0.png", draw(drawn_on_first().strokes, CATEGORIES, (200, 260)))
    beside = train_on_pngs(source, tmp_path, tmp_path, CATEGORIES)
    assert beside.forest.content == model.forest.content
    Image.fromarray(scene(1)[0]).save(tmp_path / "0.jpg")
    with pytest.raises(PromptError, match=r"named like .*0\.jpg and .*0\.tif"):
        train_on_pngs(source, tmp_path, tmp_path, CATEGORIES)


def test_prediction_with_rules_and_a_verdict(source: Source, folder: Path, model: PixelModel):
    rules = parse_rules(
        b'{"categories": {"disc": [{"rule": "min_area", "area": 60}]}, "decisions": ['
        b'{"rule": "count", "category": "disc", "most": 0}]}'
    )
    found = predict_image(source, model, folder / "1.png", rules)
    truth = scene(1)[1]
    assert (found.labels() == truth).mean() > 0.95
    assert found.passed is False
    assert "of disc; allowed: 0 to 0" in found.findings[0].reason
    assert 0 < found.doubt < 1


def test_regions_become_masks_with_their_origin(source: Source, folder: Path, model: PixelModel):
    found = predict_image(source, model, folder / "1.png", RuleSet())
    image = as_labelled(found, author="scribble:m")
    assert image.size == (200, 260)
    assert {mask.category for mask in image.annotations} == {"disc", "bar"}
    covered = np.logical_or.reduce([rle.decode(mask.rle) for mask in image.annotations])
    assert np.array_equal(covered, found.labels() > 0)
    made = image.annotations[0].attributes["maskmill"]
    assert made == {"made_by": "model", "author": "scribble:m", "stage": "automatic"}


def test_full_resolution_and_refinement_run(source: Source, folder: Path, model: PixelModel):
    found = predict_image(source, model, folder / "2.png", RuleSet(), full=True, refined=True)
    assert (found.labels() == scene(2)[1]).mean() > 0.93


def test_an_image_that_cannot_be_used_is_named(
    source: Source, folder: Path, model: PixelModel, tmp_path: Path
):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    first, second = predict_images(source, model, [bad, folder / "1.png"], RuleSet())
    assert isinstance(first, Refused)
    assert "bad.png" in first.reason
    assert not isinstance(second, Refused)


@pytest.mark.parametrize(("name", "reason"), [("../0.png", "not in"), ("/etc/passwd", "not in")])
def test_strokes_name_files_of_their_folder_only(source: Source, folder: Path, name: str, reason):
    outside = Scribbles(
        categories=CATEGORIES, strokes=(Stroke(image=name, category="disc", points=((1, 1),)),)
    )
    with pytest.raises(PromptError, match=reason):
        train_on_scribbles(source, folder, outside)


def test_missing_images_and_pngs_are_said(source: Source, folder: Path, tmp_path: Path):
    gone = Scribbles(
        categories=CATEGORIES, strokes=(Stroke(image="9.png", category="disc", points=((1, 1),)),)
    )
    with pytest.raises(NotFound, match="strokes were drawn on it"):
        train_on_scribbles(source, folder, gone)
    with pytest.raises(NotFound, match="holds no PNG"):
        train_on_pngs(source, folder, tmp_path, CATEGORIES)
    write_png(tmp_path / "9.png", np.zeros((4, 4), np.int16))
    with pytest.raises(NotFound, match="belongs to no image"):
        train_on_pngs(source, folder, tmp_path, CATEGORIES)


def test_the_same_features_predict_the_same(source: Source, folder: Path, model: PixelModel):
    _, features = source.read(folder / "2.png")
    assert np.array_equal(predict(model, features), predict(model, features))

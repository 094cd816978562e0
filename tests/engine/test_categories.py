"""The category head: it names what it was not shown, and says what it takes for what."""

from dataclasses import replace

import numpy as np
import pytest
from gardens import garden

from maskmill import rle
from maskmill.config import AutomaskConfig
from maskmill.engine.categories import Categoriser, check_categories
from maskmill.engine.detecting import write_categories
from maskmill.engine.heads import Heads
from maskmill.engine.proposals import Proposal, found_by
from maskmill.formats import LabelledImage, LabelledMask, read_pixels
from maskmill.predict import Predictor
from maskmill.train.categories import train_categories


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("tiny", threads=1)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledImage]:
    folder = tmp_path_factory.mktemp("gardens")
    return [garden(folder, f"{i}", i) for i in range(6)]


@pytest.fixture(scope="module")
def trained(
    predictor: Predictor, images: list[LabelledImage], tmp_path_factory: pytest.TempPathFactory
) -> Categoriser:
    found = train_categories(predictor, images[:4])
    assert found is not None
    head, names = found
    out = tmp_path_factory.mktemp("heads") / "tiny"
    card = {"model": predictor.model_id, "round": 1}
    return Categoriser(write_categories(head, names, predictor, images[4:], out, card))


def test_it_names_what_it_was_not_shown(trained: Categoriser, predictor: Predictor) -> None:
    check = trained.card["holdout"]
    assert trained.names == tuple(check["categories"]) == ("berry", "leaf", "stone")
    counts = np.array(check["counts"])
    assert counts.sum() == 18
    assert np.trace(counts) >= 17
    assert [each[2] for each in check["images"]] == [9, 9]


def test_the_worst_images_come_first(
    trained: Categoriser, predictor: Predictor, images: list[LabelledImage]
) -> None:
    wrong = {"berry": "leaf", "leaf": "stone", "stone": "berry"}
    lied = tuple(replace(m, category=wrong[m.category or ""]) for m in images[5].annotations)
    strangers = replace(images[3], annotations=(LabelledMask(rle=lied[0].rle, category="pear"),))
    judged = [images[4], replace(images[5], annotations=lied), strangers]
    check = check_categories(trained, predictor, judged)
    assert check is not None
    assert [each[0] for each in check.images] == [5, 4], "who is no known kind judges nobody"
    assert check.images[0][1] >= 8
    assert check_categories(trained, predictor, [strangers]) is None


def test_what_it_is_unsure_of_gets_no_name(
    trained: Categoriser, predictor: Predictor, images: list[LabelledImage]
) -> None:
    pixels = read_pixels(images[5])
    embedding, masks = predictor.embed(pixels), [m.rle for m in images[5].annotations]
    assert None not in trained.name(pixels, embedding, masks)
    assert trained.name(pixels, embedding, []) == []

    class Torn(Categoriser):
        def chances(self, descriptors: np.ndarray) -> np.ndarray:
            return np.tile(np.float32([0.45, 0.1, 0.45]), (len(descriptors), 1))

    assert Torn(trained.folder).name(pixels, embedding, masks) == [None] * 9


def test_proposals_are_named(
    trained: Categoriser,
    predictor: Predictor,
    images: list[LabelledImage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    truths, grid = images[5].annotations, AutomaskConfig()

    def found(*_: object) -> list[Proposal]:
        return [
            Proposal(
                rle=m.rle, box=(0, 0, 1, 1), area=rle.area(m.rle), predicted_iou=0.9,
                stability_score=0.9, point=(0.0, 0.0), crop_box=(0, 0, 144, 144), score=0.9,
                by="everything mode",
            )
            for m in truths
        ]  # fmt: skip

    monkeypatch.setattr("maskmill.engine.proposals.candidates", found)
    pixels = read_pixels(images[5])
    named = found_by("everything mode", predictor, pixels, Heads(categories=trained), grid)
    right = [one.category == truth.category for one, truth in zip(named, truths, strict=True)]
    assert sum(right) >= 8
    assert [one.rle for one in named] == [truth.rle for truth in truths]
    unnamed = found_by("everything mode", predictor, pixels, Heads(), grid)
    assert {mask.category for mask in unnamed} == {None}


def test_one_category_or_too_few_masks_teach_nothing(
    predictor: Predictor, images: list[LabelledImage]
) -> None:
    bare = [
        replace(i, annotations=tuple(replace(m, category=None) for m in i.annotations))
        for i in images
    ]
    assert train_categories(predictor, bare) is None
    assert train_categories(predictor, []) is None
    berries = tuple(m for m in images[0].annotations if m.category == "berry")
    assert train_categories(predictor, [replace(images[0], annotations=berries)]) is None


def test_an_embedding_of_another_model_is_refused(
    trained: Categoriser, predictor: Predictor, images: list[LabelledImage]
) -> None:
    pixels = read_pixels(images[0])
    foreign = replace(predictor.embed(pixels), model_id="other-1")
    with pytest.raises(ValueError, match="this category head reads those of"):
        trained.name(pixels, foreign, [images[0].annotations[0].rle])

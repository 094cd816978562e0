"""Which regions are right, learned from labelled images: what looks like it is ranked above."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cell_crowds import head_of_crowds

from maskmill import rle
from maskmill.engine.region_finder import RegionFinder
from maskmill.engine.scoring import fit_scoring, learn_scoring
from maskmill.formats import LabelledImage, read_pixels
from maskmill.predict import Predictor
from maskmill.region_scores import MEASURES

BRIGHT = 150


def only_bright(image: LabelledImage) -> LabelledImage:
    """Leave out the masks of dim cells, as if nobody wanted these."""
    light = read_pixels(image).mean(2)
    kept = [mask for mask in image.annotations if light[rle.decode(mask.rle)].mean() > BRIGHT]
    return replace(image, annotations=tuple(kept))


def test_what_decides_weighs_and_what_does_not_weighs_little() -> None:
    rng = np.random.default_rng(0)
    measures = rng.normal(size=(300, len(MEASURES)))
    right = measures[:, 3] + 0.3 * rng.normal(size=300) > 0.5
    learned = fit_scoring(measures, right)
    assert learned is not None
    others = np.delete(np.abs(learned.weight), 3)
    assert learned.weight[3] > 3 * others.max()
    chances = learned.chances(measures)
    assert chances.mean() == pytest.approx(right.mean(), abs=0.01), "chances are shares"
    assert ((chances > 0.5) == right).mean() > 0.9


@pytest.mark.parametrize("share", [0.0, 0.05, 0.95, 1.0])
def test_of_too_few_nothing_is_learned(share: float) -> None:
    measures = np.random.default_rng(0).normal(size=(100, len(MEASURES)))
    assert fit_scoring(measures, np.arange(100) < 100 * share) is None


def test_regions_that_people_wanted_are_ranked_above_those_they_left(
    trained: RegionFinder, predictor: Predictor, images: list[LabelledImage]
) -> None:
    learned = learn_scoring(trained, predictor, [only_bright(image) for image in images[:6]])
    assert learned is not None
    assert 0.2 < learned.right < 0.8
    finder = RegionFinder(trained.folder)
    finder.scoring = learned
    scores, wanted = [], []
    for image in images[6:]:
        pixels = read_pixels(image)
        found = finder.find(pixels, predictor.embed(pixels))
        assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
        plain = trained.find(pixels, predictor.embed(pixels))
        assert {rle.encode(r.mask(image.size)) for r in found} == {
            rle.encode(r.mask(image.size)) for r in plain
        }, "what is found does not depend on what it scores"
        truths = [mask.rle for mask in only_bright(image).annotations]
        wanted += (
            rle.iou([rle.encode(r.mask(image.size)) for r in found], truths).max(1) >= 0.75
        ).tolist()
        scores += [r.score for r in found]
    order, hit = np.array(scores), np.array(wanted)
    above = (order[hit][:, None] > order[~hit][None]).mean()
    assert above > 0.85, above


def test_what_lies_in_a_crowd_says_nothing(
    trained: RegionFinder, predictor: Predictor, images: list[LabelledImage]
) -> None:
    bright = [only_bright(image) for image in images[:6]]
    whole = learn_scoring(trained, predictor, bright)
    crowded = learn_scoring(
        trained,
        predictor,
        [
            replace(b, annotations=(*b.annotations, *(
                replace(mask, is_crowd=True) for mask in i.annotations if mask not in b.annotations
            )))
            for b, i in zip(bright, images[:6], strict=True)
        ],
    )  # fmt: skip
    assert whole is not None
    assert crowded is None, "what is left is right"


def test_a_round_learns_it_and_the_card_carries_it(
    predictor: Predictor,
    images: list[LabelledImage],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("maskmill.engine.scoring.LEAST", 1)
    some = [only_bright(images[0]), *images[1:]]
    finder = RegionFinder(head_of_crowds(predictor, some, tmp_path / "tiny"))
    assert finder.scoring is not None
    assert finder.card["scoring"]["regions"] == finder.scoring.regions > 40
    assert finder.card["offer"]["threshold"] <= 1, "clicks were measured with these scores"

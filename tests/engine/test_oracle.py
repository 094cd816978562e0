"""The simulated person: what it checks, clicks, brushes and overlooks, and what that costs."""

import numpy as np
import pytest
from rims import NARROW, WIDE, picture

from maskmill import rle
from maskmill.engine.oracle import HandMade, OracleConfig, Sitting, label_image
from maskmill.engine.time_model import TimeModel
from maskmill.mending import Mending
from maskmill.predict import Predictor

TIMES = TimeModel()
ALWAYS = OracleConfig(miss=0.0, slip=0.0)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("tiny", threads=1)


def scene() -> tuple[np.ndarray, list[rle.Rle]]:
    """A red disc and a blue box on grey, and their masks."""
    y, x = np.mgrid[:96, :128]
    disc = (y - 48) ** 2 + (x - 36) ** 2 < 24**2
    box = (y > 30) & (y < 66) & (x > 80) & (x < 116)
    image = np.full((96, 128, 3), 90, np.uint8)
    image[disc] = (220, 40, 40)
    image[box] = (40, 60, 220)
    return image, [rle.encode(disc), rle.encode(box)]


def sit(predictor: Predictor, prefilled: list[rle.Rle], config: OracleConfig) -> Sitting:
    image, truths = scene()
    rng = np.random.default_rng(0)
    embedding = predictor.embed(image)
    return label_image(predictor, embedding, truths, rng, prefilled=prefilled, config=config)


def test_every_object_is_labelled_well_enough(predictor: Predictor) -> None:
    sitting = sit(predictor, [], ALWAYS)
    assert len(sitting.made) == 2
    assert all(mask.iou >= ALWAYS.accept for mask in sitting.made)
    _, truths = scene()
    for mask, truth in zip(sitting.made, truths, strict=True):
        assert float(rle.iou([mask.rle], [truth])[0, 0]) == pytest.approx(mask.iou)
    spent = sum(mask.seconds for mask in sitting.made)
    assert sitting.seconds == pytest.approx(TIMES.open_image + TIMES.scan + spent)
    assert all(mask.seconds >= TIMES.first_click + TIMES.look for mask in sitting.made)


def test_a_stricter_person_takes_longer(predictor: Predictor) -> None:
    strict = sit(predictor, [], OracleConfig(miss=0, slip=0, accept=0.995))
    assert strict.seconds > sit(predictor, [], ALWAYS).seconds
    assert all(mask.iou >= 0.995 for mask in strict.made)
    assert any(mask.strokes for mask in strict.made), "a click alone meets no edge so exactly"


def test_prefilled_masks_are_kept_or_rejected_and_the_rest_is_made(predictor: Predictor) -> None:
    _, truths = scene()
    wrong = np.zeros((96, 128), bool)
    wrong[:20, :20] = True
    sitting = sit(predictor, [rle.encode(wrong), truths[1]], ALWAYS)
    assert (list(sitting.kept), sitting.rejected) == ([1], [0])
    assert len(sitting.made) == 1
    both = sit(predictor, truths, ALWAYS)
    assert both.made == []
    assert both.seconds == TIMES.open_image + TIMES.scan + 2 * TIMES.check


def test_a_second_mask_of_one_object_is_rejected(predictor: Predictor) -> None:
    _, truths = scene()
    sitting = sit(predictor, [truths[0], truths[0]], ALWAYS)
    assert (list(sitting.kept), sitting.rejected) == ([0], [1])


def test_a_careless_person_overlooks_objects(predictor: Predictor) -> None:
    sitting = sit(predictor, [], OracleConfig(miss=1.0))
    assert (sitting.missed, sitting.made) == (2, [])


def test_a_mask_that_is_nearly_right_is_mended_by_brush(predictor: Predictor) -> None:
    _, truths = scene()
    nearly = rle.decode(truths[1])
    nearly[:, 80:88] = False
    config = OracleConfig(miss=0, slip=0, accept=0.9)
    sitting = sit(predictor, [rle.encode(nearly), truths[0]], config)
    assert (list(sitting.kept), sitting.rejected, sitting.made) == ([1], [], [])
    ((place, mended),) = sitting.mended
    assert (place, mended.strokes) == (0, 1)
    assert float(rle.iou([mended.rle], [truths[1]])[0, 0]) >= 0.9
    spent = 2 * TIMES.check + TIMES.stroke
    assert sitting.seconds == TIMES.open_image + TIMES.scan + spent


def test_a_mask_of_two_objects_is_mended_where_a_stroke_does_it(predictor: Predictor) -> None:
    _, truths = scene()
    both = rle.union(truths)
    careful = OracleConfig(miss=0, slip=0)
    sitting = sit(predictor, [both], careful)
    ((_, mended),) = sitting.mended
    assert mended.strokes == 1
    assert len(sitting.made) == 1, "the other one is made"
    hasty = OracleConfig(miss=0, slip=0, mend_strokes=0)
    assert sit(predictor, [both], hasty).rejected == [0]
    strict = OracleConfig(miss=0, slip=0, mend=0.7)
    assert sit(predictor, [both], strict).rejected == [0]


def test_a_region_under_the_click_is_taken_if_it_is_good_and_passed_by_if_not(
    predictor: Predictor,
) -> None:
    image, truths = scene()
    embedding = predictor.embed(image)

    def made(offered: list[rle.Rle], truth: int) -> HandMade:
        sitting = label_image(
            predictor, embedding, [truths[truth]], np.random.default_rng(0),
            offered=offered, config=ALWAYS,
        )  # fmt: skip
        (mask,) = sitting.made
        return mask

    good = made([truths[1]], 1)
    assert good.seconds == TIMES.first_click + TIMES.look
    assert (good.clicks, good.strokes, good.predicted_iou) == (1, 0, None)
    everywhere = rle.encode(np.ones((96, 128), bool))
    passed = made([everywhere], 0)
    looks = passed.seconds - made([], 0).seconds
    assert 1 * TIMES.look <= looks <= 3 * TIMES.look, "a look at each candidate that Tab brings"
    assert passed.predicted_iou is not None


def test_recorded_people_make_what_they_made_in_the_time_it_took(predictor: Predictor) -> None:
    image, truths = scene()
    made = [
        HandMade(
            rle=t, seconds=10.0 + i, clicks=i, strokes=0, predicted_iou=0.9, prompts=None, iou=None
        )
        for i, t in enumerate(truths)
    ]
    careless = OracleConfig(miss=1.0)
    sitting = label_image(
        predictor, predictor.embed(image), truths, np.random.default_rng(0),
        prefilled=[truths[0]], recorded=made, config=careless,
    )  # fmt: skip
    assert list(sitting.kept) == [0]
    assert sitting.made == [made[1]]
    assert sitting.seconds == TIMES.open_image + TIMES.scan + TIMES.check + 11.0


def test_masks_that_are_left_follow_what_it_mended(predictor: Predictor) -> None:
    image = picture()
    embedding = predictor.embed(image)

    def sits(mending: Mending | None) -> Sitting:
        rng = np.random.default_rng(0)
        return label_image(
            predictor, embedding, WIDE, rng, prefilled=NARROW, mending=mending, config=ALWAYS
        )

    alone, followed = sits(None), sits(Mending(image, NARROW))
    assert (len(alone.kept), len(alone.mended)) == (0, len(WIDE))
    assert len(followed.kept) > len(WIDE) / 2
    assert followed.seconds < alone.seconds - TIMES.stroke * len(WIDE) / 2
    for place, mask in followed.kept.items():
        assert mask != NARROW[place]
        assert float(rle.iou([mask], [WIDE[place]])[0, 0]) >= ALWAYS.accept

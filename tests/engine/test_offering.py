"""Regions under a click: when they are offered, what of them, and what that saves."""

from dataclasses import replace

import numpy as np
import pytest
from rims import PLACES, WIDE, disc, near, picture

from maskmill import rle
from maskmill.engine.offering import following, measure_offer, offered_at, offers, threshold_of
from maskmill.engine.oracle import OracleConfig, label_image
from maskmill.engine.region_finder import RegionFinder
from maskmill.formats import LabelledImage, read_pixels
from maskmill.mending import Mending
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.train.clicks import Click


def box(x0: int, y0: int, x1: int, y1: int) -> Rle:
    mask = np.zeros((40, 60), bool)
    mask[y0:y1, x0:x1] = True
    return rle.encode(mask)


def test_the_region_under_a_click_is_offered_and_none_beside_it() -> None:
    there = [box(0, 0, 10, 10), box(20, 0, 40, 10)]
    assert offered_at(Click(25, 5, 1), there, []) == there[1]
    assert offered_at(Click(15, 5, 1), there, []) is None


def test_what_masks_cover_is_cut_away() -> None:
    two_as_one = [box(0, 0, 40, 10)]
    left = offered_at(Click(30, 5, 1), two_as_one, [box(0, 0, 20, 10)])
    assert left == box(20, 0, 40, 10)
    assert offered_at(Click(10, 5, 1), two_as_one, [box(0, 0, 20, 10)]) is None, "it has a mask"
    apart = offered_at(Click(5, 5, 1), two_as_one, [box(15, 0, 25, 10)])
    assert apart == box(0, 0, 15, 10), "what lies behind a mask is another object"
    assert offered_at(Click(39, 5, 1), two_as_one, [box(0, 0, 38, 10)]) is None, "a rim is nothing"


def test_the_holdout_says_from_which_score_regions_are_better(
    trained: RegionFinder, predictor: Predictor, images: list[LabelledImage]
) -> None:
    told = trained.card["offer"]
    assert told["objects"] == sum(len(image.annotations) for image in images[6:])
    assert told["by_offer"] > told["by_model"] + 0.05, "cells are what it was taught"
    pixels = read_pixels(images[6])
    found = offers(trained, pixels, predictor.embed(pixels))
    assert found
    assert all(region.score >= threshold_of(trained.card) for region in found)


def test_a_head_that_outlines_what_nobody_wants_offers_nothing(
    trained: RegionFinder, predictor: Predictor, images: list[LabelledImage]
) -> None:
    size = images[6].annotations[0].rle.size
    left = np.zeros(size, bool)
    left[:, : size[1] // 2] = True
    halves = [replace(images[6].annotations[0], rle=rle.encode(m)) for m in (left, ~left)]
    told = measure_offer(trained, predictor, [replace(images[6], annotations=tuple(halves))])
    assert told is not None
    assert told.threshold is None
    assert told.by_offer == told.by_model
    assert measure_offer(trained, predictor, [replace(images[6], annotations=())]) is None
    assert offers(None, read_pixels(images[6]), predictor.embed(read_pixels(images[6]))) == []


def test_a_person_who_is_offered_regions_is_done_sooner(
    trained: RegionFinder, predictor: Predictor, images: list[LabelledImage]
) -> None:
    pixels = read_pixels(images[7])
    embedding = predictor.embed(pixels)
    truths = [m.rle for m in images[7].annotations]
    offered = [region.rle for region in offers(trained, pixels, embedding)]
    careful = OracleConfig(miss=0, slip=0)
    without, beside = (
        label_image(
            predictor, embedding, truths, np.random.default_rng(0), offered=some, config=careful
        )
        for some in ([], offered)
    )
    assert beside.seconds < 0.9 * without.seconds
    assert all(mask.iou is not None and mask.iou >= careful.accept for mask in beside.made)


@pytest.mark.parametrize("card", [{}, {"offer": None}, {"offer": {"threshold": None}}])
def test_a_card_that_says_nothing_offers_nothing(card: dict[str, object]) -> None:
    assert threshold_of(card) is None


def test_regions_follow_what_people_drew_and_no_other_masks() -> None:
    mending = Mending(picture(), WIDE)
    assert following(mending, WIDE, []) == WIDE
    assert following(mending, WIDE, [WIDE[3]]) == WIDE, "as they are, they are right"
    elsewhere = rle.encode(np.eye(*picture().shape[:2], dtype=bool))
    assert following(mending, WIDE, [elsewhere]) == WIDE, "it is of no region"
    people = [rle.encode(disc(x, y, 10)) for x, y in PLACES]
    told = following(mending, WIDE, [people[0], people[5]])
    others = {i: mask for i, mask in enumerate(told) if i not in (0, 5)}
    assert near(others, people) > 0.85 > near(dict(enumerate(WIDE)), people)
    assert (told[0], told[5]) == (WIDE[0], WIDE[5])


def test_a_person_who_is_offered_regions_brushes_less_once_they_follow() -> None:
    predictor = Predictor.load("tiny", threads=1)
    embedding = predictor.embed(picture())
    people = [rle.encode(disc(x, y, 10)) for x, y in PLACES]
    careful = OracleConfig(miss=0.0, slip=0.0)

    def strokes(offering: Mending | None) -> int:
        sitting = label_image(
            predictor, embedding, people, np.random.default_rng(0), offered=WIDE,
            offering=offering, config=careful,
        )  # fmt: skip
        return sum(mask.strokes for mask in sitting.made)

    assert strokes(Mending(picture(), WIDE)) < strokes(None) / 2

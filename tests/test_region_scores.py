"""What is measured of a region, and how a card says what that weighs."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from maskmill import regions
from maskmill.errors import CheckpointError
from maskmill.region_scores import MEASURES, Scoring, measure

SIZE = (60, 80)


def drawn(*discs: tuple[tuple[int, int], int]) -> np.ndarray:
    objects = np.zeros(SIZE, np.uint8)
    for number, (centre, radius) in enumerate(discs, 1):
        cv2.circle(objects, centre, radius, number, -1)
    return objects.astype(np.int32)


def answer_of(objects: np.ndarray) -> regions.Answer:
    return regions.Answer(
        inside=(objects > 0).astype(np.float32),
        outline=regions.outline_of(objects).astype(np.float32),
        depth=regions.depth_of(objects),
    )


def look_of(objects: np.ndarray) -> np.ndarray:
    light = np.where(objects > 0, 0.8, 0.2).astype(np.float32)
    return np.repeat(light[..., None], 3, axis=2)


def told(region: regions.Region, answer: regions.Answer, seen: np.ndarray) -> dict[str, float]:
    return dict(zip(MEASURES, measure(region, answer, seen).tolist(), strict=True))


def test_a_disc_that_the_head_sees_whole() -> None:
    objects = drawn(((40, 30), 12))
    answer = answer_of(objects)
    (region,) = regions.regions_in(answer)
    of = told(region, answer, look_of(objects))
    for name in ("inside", "sure", "inside along its edge", "outline along its edge", "depth"):
        assert of[name] == pytest.approx(1), name
    for name in ("inside beyond it", "outline at its core", "texture", "cut off by the image"):
        assert of[name] == pytest.approx(0, abs=1e-6), name
    assert of["contrast"] == pytest.approx(0.6, abs=1e-6)
    assert of["solidity"] > 0.95
    assert of["depth that its shape has not"] < 0.02
    assert np.exp(of["logarithm of its pixels"]) == pytest.approx((objects > 0).sum())


def test_two_discs_taken_for_one_have_an_outline_at_their_core_and_are_less_solid() -> None:
    objects = drawn(((30, 30), 12), ((51, 30), 12))
    answer = answer_of(objects)
    one, two = regions.regions_in(answer)
    both = (objects > 0).astype(np.uint8)
    top, left = np.argwhere(both).min(0).tolist()
    below, right = (np.argwhere(both).max(0) + 1).tolist()
    shape = both[top:below, left:right] > 0
    merged = replace(one, shape=shape, corner=(top, left))
    seen = look_of(objects)
    apart, joined = told(two, answer, seen), told(merged, answer, seen)
    assert joined["solidity"] < apart["solidity"] - 0.03
    assert joined["outline at its core"] > 0.03
    assert joined["depth that its shape has not"] > apart["depth that its shape has not"]


@pytest.mark.parametrize("centre", [(0, 0), (79, 59), (40, 0), (79, 30)])
def test_what_the_image_cuts_off_has_no_edge_there(centre: tuple[int, int]) -> None:
    objects = drawn((centre, 14))
    answer = answer_of(objects)
    (region,) = regions.regions_in(answer)
    of = told(region, answer, look_of(objects))
    assert of["cut off by the image"] == 1
    assert of["outline along its edge"] == pytest.approx(1)
    assert of["contrast"] == pytest.approx(0.6, abs=1e-6)


def test_a_region_that_fills_the_image_is_measured_too() -> None:
    whole = np.ones(SIZE, np.int32)
    answer = answer_of(whole)
    (region,) = regions.regions_in(answer)
    assert np.isfinite(measure(region, answer, look_of(whole))).all()


def scoring() -> Scoring:
    weight = np.zeros(len(MEASURES))
    weight[MEASURES.index("solidity")] = 2.0
    return Scoring(
        mean=np.full(len(MEASURES), 0.5), deviation=np.full(len(MEASURES), 0.1), weight=weight,
        bias=0.0, regions=40, right=0.5,
    )  # fmt: skip


def test_a_chance_grows_with_what_weighs_and_with_nothing_else() -> None:
    measures = np.full((3, len(MEASURES)), 0.5)
    measures[1, MEASURES.index("solidity")] = 0.6
    measures[2, MEASURES.index("contrast")] = 0.9
    assert scoring().chances(measures).tolist() == pytest.approx([0.5, 1 / (1 + np.exp(-2)), 0.5])


def test_a_card_says_it_and_is_read_again() -> None:
    read = Scoring.from_json(json.loads(json.dumps(scoring().to_json())))
    measures = np.random.default_rng(0).random((5, len(MEASURES)))
    assert read.chances(measures).tolist() == scoring().chances(measures).tolist()
    assert (read.regions, read.right) == (40, 0.5)


@pytest.mark.parametrize(
    "harm",
    [
        lambda told: told.pop("bias"),
        lambda told: told["measures"].pop("solidity"),
        lambda told: told["measures"]["solidity"].update(weight="much"),
        lambda told: told["measures"]["solidity"].update(deviation=0.0),
        lambda told: told["measures"]["solidity"].update(mean=float("nan")),
        lambda told: told.update(measures=None),
    ],
)
def test_a_damaged_card_says_what_to_do(harm) -> None:  # type: ignore[no-untyped-def]
    card = scoring().to_json()
    harm(card)
    with pytest.raises(CheckpointError, match="run a round again"):
        Scoring.from_json(card)

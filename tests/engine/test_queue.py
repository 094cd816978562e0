"""The queue: an honest random share for the hold-out, then doubt and difference."""

import numpy as np
import pytest

from maskmill.engine.queue import Waiting, choose, doubt, feature
from maskmill.predict import Predictor


def waiting(doubts: list[float], features: list[list[float]]) -> list[Waiting]:
    return [
        Waiting(image_id=i, split="train", doubt=d, feature=np.array(f, float))
        for i, (d, f) in enumerate(zip(doubts, features, strict=True))
    ]


def chosen(images: list[Waiting], number: int, **more: object) -> list[int]:
    rng = np.random.default_rng(0)
    return [c.image_id for c in choose(images, number, rng, holdout_share=0.0, **more)]  # type: ignore[arg-type]


def test_the_most_doubtful_come_first() -> None:
    images = waiting([0.1, 0.9, 0.2], [[0, 0], [0, 1], [1, 0]])
    assert chosen(images, 1, labelled=[np.array([5.0, 5.0])]) == [1]


def test_a_batch_is_not_the_same_hard_image_ten_times() -> None:
    images = waiting([0.9, 0.9, 0.9, 0.5], [[0, 0], [0, 0.01], [0.01, 0], [9, 9]])
    assert set(chosen(images, 2, labelled=[np.array([-5.0, -5.0])])) & {3}


def test_what_is_like_labelled_images_waits() -> None:
    images = waiting([0.5, 0.5], [[0, 0], [9, 9]])
    assert chosen(images, 1, labelled=[np.array([0.0, 0.0])]) == [1]


def test_a_share_is_drawn_from_the_hold_out_and_says_so() -> None:
    images = waiting([0.5] * 10, [[i, 0] for i in range(10)])
    images += [Waiting(image_id=100 + i, split="val") for i in range(10)]
    found = choose(images, 5, np.random.default_rng(0), holdout_share=0.4)
    assert [c.reason for c in found].count("hold-out") == 2
    assert all((c.image_id >= 100) == (c.reason == "hold-out") for c in found)
    assert len({c.image_id for c in found}) == 5


@pytest.mark.parametrize("number", [0, 3, 50])
def test_no_image_is_chosen_twice_and_what_is_there_is_given(number: int) -> None:
    images = waiting([0.5] * 6, [[i, 0] for i in range(6)])
    images += [Waiting(image_id=100 + i, split="val") for i in range(2)]
    found = choose(images, number, np.random.default_rng(0), holdout_share=0.2)
    assert len({c.image_id for c in found}) == len(found) == min(number, 8)


def test_without_a_model_the_choice_is_random_and_says_so() -> None:
    images = [Waiting(image_id=i, split="train") for i in range(20)]
    found = choose(images, 5, np.random.default_rng(0), holdout_share=0.2)
    assert {c.reason for c in found} == {"random"}
    again = choose(images, 5, np.random.default_rng(1), holdout_share=0.2)
    assert [c.image_id for c in found] != [c.image_id for c in again]


def test_doubt_and_feature_are_of_the_image() -> None:
    predictor = Predictor.load("tiny", threads=1)
    plain = predictor.embed(np.full((40, 60, 3), 120, np.uint8))
    noisy = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    other = predictor.embed(noisy)
    assert 0 <= doubt(predictor, plain) <= 1
    assert feature(plain).shape == (2 * len(plain.array),)
    assert not np.allclose(feature(plain), feature(other))

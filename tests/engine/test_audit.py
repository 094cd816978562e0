"""The audit: a sample over all sizes, shares with intervals that hold."""

import numpy as np
import pytest

from maskmill.engine.audit import by_size, draw_sample, shares, wilson


def test_a_sample_holds_every_size_and_no_mask_twice() -> None:
    areas = np.arange(1, 1001)
    drawn = draw_sample(areas, 50, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 50
    assert np.histogram(areas[drawn], 5, (1, 1000))[0].tolist() == [10] * 5


def test_a_sample_larger_than_what_there_is_takes_all() -> None:
    assert draw_sample(np.array([5, 3]), 10, np.random.default_rng(0)).tolist() == [0, 1]
    assert draw_sample(np.array([], int), 10, np.random.default_rng(0)).tolist() == []


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for successes in rng.binomial(100, 0.9, 2000):
        low, high = wilson(int(successes), 100)
        held += low <= 0.9 <= high
    assert 0.92 <= held / 2000 <= 0.98


def test_no_pair_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert [s.pairs for s in shares(np.zeros(0))] == [0, 0]


def test_shares_are_stated_by_size() -> None:
    iou = np.array([0.5, 0.95, 0.95])
    found = by_size(iou, np.array([10, 500, 5000]))
    assert [*found] == ["0 to 300 px", "300 to 1,000 px", "over 1,000 px"]
    assert found["0 to 300 px"][0].share == 0.0
    assert found["over 1,000 px"][0].share == 1.0


@pytest.mark.parametrize("size", [1, 4, 7])
def test_odd_sample_sizes_are_met(size: int) -> None:
    assert len(draw_sample(np.arange(100), size, np.random.default_rng(1))) == size

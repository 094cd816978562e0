"""Results in order, few ahead; and the padding point that a point prompt needs."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from maskmill.automask.decoding import in_order, point_prompts


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order(threads: int) -> None:
    if not threads:
        assert list(in_order(None, str, range(9), ahead=2)) == list("012345678")
        return
    with ThreadPoolExecutor(threads) as pool:
        assert list(in_order(pool, str, range(9), ahead=2)) == list("012345678")
        assert list(in_order(pool, str, [], ahead=2)) == []


def test_items_are_taken_as_results_are_fetched() -> None:
    taken: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, str, (taken.append(i) or i for i in range(50)), ahead=4)
        assert taken == []
        assert next(results) == "0"
        assert len(taken) == 4
        assert next(results) == "1"
        assert len(taken) == 5
        assert len(list(results)) == 48


def test_items_are_worked_on_at_once() -> None:
    both = threading.Barrier(2, timeout=30)
    with ThreadPoolExecutor(2) as pool:
        list(in_order(pool, lambda _: both.wait(), range(2), ahead=2))


def test_a_failure_is_the_callers() -> None:
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        list(in_order(pool, lambda x: 1 // x, [1, 0], ahead=2))


def test_a_point_comes_with_its_padding_point() -> None:
    coords, labels = point_prompts(np.array([[3.5, 7.25], [1.0, 2.0]], np.float32))
    assert coords.tolist() == [[[3.5, 7.25], [0.0, 0.0]], [[1.0, 2.0], [0.0, 0.0]]]
    assert labels.tolist() == [[1, -1], [1, -1]]

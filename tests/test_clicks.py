"""Simulated clicks: exact places, ties, borders, and a comparison with brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from maskmill.train.clicks import Click, first_click, next_click, random_click


def block(size: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_the_first_click_is_the_centre_of_the_widest_part() -> None:
    # A long thin handle has more pixels than the 7 x 7 head, but the head is wider.
    mask = block((20, 90), 2, 2, 7, 7) | block((20, 90), 5, 9, 2, 75)
    assert first_click(mask) == Click(5, 5, 1)


def test_the_border_of_the_image_counts_as_outside() -> None:
    # Without a border the corner pixel would be the farthest from background.
    assert first_click(block((9, 13), 0, 0, 5, 5)) == Click(2, 2, 1)
    assert first_click(np.ones((5, 7), bool)) == Click(2, 2, 1)


def test_the_wider_of_missed_and_surplus_is_clicked() -> None:
    target = block((30, 40), 3, 4, 9, 9)
    surplus = block((30, 40), 15, 20, 7, 15)
    assert next_click(target, surplus) == Click(8, 7, 1)
    assert next_click(surplus, target) == Click(8, 7, 0)


def test_on_a_tie_surplus_comes_first() -> None:
    target, prediction = block((20, 30), 2, 2, 5, 5), block((20, 30), 10, 12, 5, 5)
    assert next_click(target, prediction) == Click(14, 12, 0)


def test_equal_masks_need_no_click() -> None:
    mask = block((6, 8), 1, 2, 3, 4)
    assert next_click(mask, mask) is None
    assert next_click(np.zeros((6, 8), bool), np.zeros((6, 8), bool)) is None
    with pytest.raises(ValueError, match="empty mask"):
        first_click(np.zeros((6, 8), bool))


def brute_force(region: np.ndarray) -> tuple[float, int, int]:
    padded = np.pad(region, 1)
    outside = np.argwhere(~padded) - 1
    best = (0.0, 0, 0)
    for y, x in np.argwhere(region):
        distance = np.sqrt(((outside - (y, x)) ** 2).sum(1).min())
        best = max(best, (distance, -int(y), -int(x)))
    return best[0], -best[2], -best[1]


@given(
    target=arrays(bool, (7, 11), elements=st.booleans()),
    prediction=arrays(bool, (7, 11), elements=st.booleans()),
)
def test_a_click_is_where_brute_force_finds_it(target: np.ndarray, prediction: np.ndarray) -> None:
    missed, surplus = brute_force(target & ~prediction), brute_force(prediction & ~target)
    click = next_click(target, prediction)
    if missed[0] == surplus[0] == 0:
        assert click is None
    elif missed[0] > surplus[0]:
        assert click == Click(missed[1], missed[2], 1)
    else:
        assert click == Click(surplus[1], surplus[2], 0)


def test_random_clicks_reach_every_wrong_pixel_about_equally() -> None:
    error = block((6, 9), 1, 2, 2, 3) | block((6, 9), 5, 8, 1, 1)
    rng = np.random.default_rng(0)
    clicks = [random_click(error, rng) for _ in range(7000)]
    counts = np.zeros(error.shape, int)
    for x, y in clicks:
        counts[y, x] += 1
    np.testing.assert_array_equal(counts > 0, error)
    # 1,000 expected each; 5 standard deviations are 146.
    assert abs(counts[error] - 1000).max() < 146
    with pytest.raises(ValueError, match="nothing is wrong"):
        random_click(np.zeros((3, 4), bool), rng)

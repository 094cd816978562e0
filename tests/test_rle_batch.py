"""Many masks at once: held to the reader of one mask, sound and hostile."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskmill import rle, rle_batch
from maskmill.errors import MaskError
from maskmill.rle import Rle
from maskmill.rle_batch import areas, areas_and_boxes, boxes


@given(st.integers(0, 2**32), st.sampled_from([1, 40, 1 << 16]))
def test_areas_are_those_of_each_mask(seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [
        rle.encode(rng.random(rng.integers(1, 30, 2)) < rng.choice([0, 0.1, 0.5, 1]))
        for _ in range(rng.integers(0, 12))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rle_batch, "BATCH_CHARS", batch)
        assert areas(masks).tolist() == [rle.area(mask) for mask in masks]
        assert boxes(masks).tolist() == [list(rle.box(mask)) for mask in masks]
        both = areas_and_boxes(masks)
        assert both[0].tolist() == areas(masks).tolist()
        assert both[1].tolist() == boxes(masks).tolist()


def damaged(mask: Rle, rng: random.Random) -> Rle:
    chars = list(mask.counts)
    for _ in range(rng.randint(1, 2)):
        i = rng.randrange(len(chars) + 1)
        chars[i : i + rng.randint(0, 2)] = rng.choice(
            [[], [rng.randrange(48, 112)], chars[i : i + 1] * 2, [rng.randrange(256)]]
        )
    size = rng.choice([mask.size, mask.size, mask.size[::-1], (0, 3), (70_000, 1)])
    return Rle(size, bytes(chars))


def one_by_one(masks: list[Rle]) -> tuple[list[int], str]:
    try:
        return [rle.area(mask) for mask in masks], ""
    except MaskError as error:
        return [], str(error)


def test_what_one_reader_refuses_the_other_does_and_in_its_words() -> None:
    rng, refused = random.Random(3), 0
    for case in range(3000):
        shape = rng.randint(1, 40), rng.randint(1, 40)
        good = rle.encode(np.random.default_rng(case).random(shape) < 0.4)
        masks = [good] * rng.randrange(3) + [damaged(good, rng)] + [good] * rng.randrange(3)
        expected, reason = one_by_one(masks)
        if reason:
            refused += 1
            with pytest.raises(MaskError) as caught:
                areas(masks)
            assert str(caught.value) == reason
        else:
            assert areas(masks).tolist() == expected
            assert boxes(masks).tolist() == [list(rle.box(mask)) for mask in masks]
            both = areas_and_boxes(masks)
            assert both[0].tolist() == areas(masks).tolist()
            assert both[1].tolist() == boxes(masks).tolist()
    assert 300 < refused < 2900


@pytest.mark.parametrize(
    "counts",
    [b"", b"P", b"PPPPPPP0", b"\xff", b"0\x00", "06", None, b"000000000", b"N6", b"6N0"],
)
def test_one_damaged_mask_is_found_among_good_ones(counts: object) -> None:
    good = Rle((2, 3), b"231")
    bad = Rle((2, 3), b"")
    object.__setattr__(bad, "counts", counts)
    with pytest.raises((MaskError, TypeError)):
        areas([good, bad, good])
    assert areas([good, good]).tolist() == [3, 3]


def test_a_number_cannot_run_on_into_the_next_mask() -> None:
    assert rle.area(Rle((1, 16), b"`0")) == 0  # a number of two characters
    with pytest.raises(MaskError):
        areas([Rle((1, 16), b"`"), Rle((1, 16), b"0")])


def test_the_largest_runs_do_not_overflow() -> None:
    whole = rle.from_run_lengths((16_384, 16_384), [0, 16_384**2])
    assert areas([whole] * 5).tolist() == [16_384**2] * 5
    huge = Rle((16_384, 16_384), b"oooooo?" * 9000)
    with pytest.raises(MaskError):
        areas([whole, huge])

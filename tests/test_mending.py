"""What people mended on an image: the rest follows, and goes back when they take it back."""

import cv2
import numpy as np
import pytest
from rims import NARROW, PLACES, SIZE, WIDE, disc, near, picture

from maskmill import rle
from maskmill.mending import Mending, to_redraw
from maskmill.rle import Rle


@pytest.fixture(scope="module")
def mending() -> Mending:
    return Mending(picture(), NARROW)


def test_masks_get_the_rim_that_two_mended_ones_got(mending: Mending) -> None:
    moved = mending.after({0: WIDE[0], 5: WIDE[5]})
    assert sorted(moved) == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert near({i: NARROW[i] for i in moved}, WIDE) < 0.5
    assert near(moved, WIDE) > 0.85


def test_masks_lose_what_two_mended_ones_lost() -> None:
    moved = Mending(picture(), WIDE).after({0: NARROW[0], 5: NARROW[5]})
    assert near(moved, NARROW) > 0.85


def test_without_a_mended_mask_all_are_as_they_were(mending: Mending) -> None:
    untouched = dict(enumerate(NARROW))
    assert mending.after({}) == untouched
    kept = mending.after({3: NARROW[3]})
    assert kept == {i: mask for i, mask in untouched.items() if i != 3}


def test_the_same_mended_masks_say_the_same_in_any_order(mending: Mending) -> None:
    mending.after({2: WIDE[2]})
    first = mending.after({0: WIDE[0], 5: WIDE[5]})
    assert mending.after({5: WIDE[5], 0: WIDE[0]}) == first


def test_masks_that_people_kept_hold_the_rest_back(mending: Mending) -> None:
    loose = mending.after({0: WIDE[0]})
    held = mending.after({0: WIDE[0], **{i: NARROW[i] for i in (5, 6, 7, 8)}})
    assert near(held, NARROW) > near(loose, NARROW)


def test_what_people_took_away_or_drew_is_left_alone(mending: Mending) -> None:
    beside = rle.encode(disc(82, 70, 6))  # over the rim of the object in the middle
    moved = mending.after({0: WIDE[0], 11: WIDE[11]}, gone=[3], others=[beside])
    assert 3 not in moved
    drawn = rle.decode(beside)
    assert not any((rle.decode(mask) & drawn).any() for mask in moved.values())


def test_two_that_touch_do_not_grow_over_each_other() -> None:
    image = picture()
    left, right = disc(60, 70, 9), disc(80, 70, 9)
    masks = [rle.encode(left), rle.encode(right), NARROW[0]]
    moved = Mending(image, masks).after({2: WIDE[0]})
    both = [rle.decode(moved[i]) for i in (0, 1)]
    assert not (both[0] & both[1]).any()


def test_large_masks_follow_as_small_ones_do() -> None:
    image = cv2.resize(picture(), None, fx=6, fy=6, interpolation=cv2.INTER_LINEAR)

    def large(mask: Rle) -> Rle:
        drawn = rle.decode(mask).astype(np.uint8)
        return rle.encode(cv2.resize(drawn, None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST) > 0)

    narrow, wide = [[large(mask) for mask in masks] for masks in (NARROW, WIDE)]
    moved = Mending(image, narrow).after({0: wide[0], 5: wide[5]})
    assert near(moved, wide) > 0.85


def test_a_mask_at_the_border_and_one_pixel_are_no_trouble() -> None:
    corner, dot = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    corner[:20, :20], dot[70, 92] = True, True
    everything = rle.encode(np.ones(SIZE, bool))
    masks = [rle.encode(corner), rle.encode(dot), NARROW[11]]
    moved = Mending(picture(), masks).after({2: WIDE[11]})
    assert all(rle.area(mask) for mask in moved.values())
    assert Mending(picture(), [everything, NARROW[0]]).after({1: WIDE[0]})[0]
    assert Mending(picture(), []).after({}) == {}


def test_a_mask_is_drawn_anew_where_it_differs_or_goes_back() -> None:
    slightly = {i: rle.encode(disc(x, y, 14.2)) for i, (x, y) in enumerate(PLACES[:2])}
    wide, narrow = dict(enumerate(WIDE[:2])), dict(enumerate(NARROW[:2]))
    assert to_redraw(narrow, wide, narrow) == wide
    assert to_redraw(wide, slightly, narrow) == {}, "nobody would see it"
    assert to_redraw(slightly, wide, wide) == wide, "where it came from"
    assert to_redraw(wide, wide, narrow) == {}

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
    mended = {0: WIDE[0], 5: WIDE[5]}
    loose = mending.after(mended)
    held = mending.after({**mended, **{i: NARROW[i] for i in (1, 2, 3, 4)}})
    assert near(held, NARROW) > near(loose, NARROW)


def test_one_mended_mask_or_two_of_different_faults_move_nothing(mending: Mending) -> None:
    assert mending.after({0: WIDE[0]}) == {i: m for i, m in enumerate(NARROW) if i != 0}
    x, _ = PLACES[5]
    half = rle.decode(NARROW[5]) & (np.mgrid[: SIZE[0], : SIZE[1]][1] < x)
    told = mending.after({0: WIDE[0], 5: rle.encode(half)})
    assert near(told, NARROW) > 0.9


def test_what_people_took_away_or_drew_is_left_alone(mending: Mending) -> None:
    beside = rle.encode(disc(82, 70, 6))  # over the rim of the object in the middle
    told = mending.after({0: WIDE[0], 11: WIDE[11]}, gone=[3], others=[beside])
    assert 3 not in told
    drawn = rle.decode(beside)
    for place, mask in told.items():
        assert not (rle.decode(mask) & drawn & ~rle.decode(NARROW[place])).any()


def test_two_that_touch_do_not_grow_over_each_other() -> None:
    image = picture()
    left, right = disc(60, 70, 9), disc(80, 70, 9)
    masks = [rle.encode(left), rle.encode(right), NARROW[0]]
    told = Mending(image, [*masks, NARROW[11]]).after({2: WIDE[0], 3: WIDE[11]})
    assert told[0] != masks[0]
    both = [rle.decode(told[i]) for i in (0, 1)]
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
    masks = [rle.encode(corner), rle.encode(dot), NARROW[11], NARROW[3]]
    told = Mending(picture(), masks).after({2: WIDE[11], 3: WIDE[3]})
    assert all(rle.area(mask) for mask in told.values())
    whole = Mending(picture(), [everything, NARROW[0], NARROW[5]])
    assert rle.area(whole.after({1: WIDE[0], 2: WIDE[5]})[0])


def test_what_a_mask_is_made_of_stays() -> None:
    """Parts, a hole with a mask in it, and what lies over a neighbour or a person's mask."""
    (x, y), (x1, y1), (x2, y2), (x3, y3) = PLACES[:4]
    parts = disc(x, y, 9) | disc(x1, y1, 7)
    ring = disc(x2, y2, 14) & ~disc(x2, y2, 6)
    over = disc(x3, y3, 9)
    masks = [*map(rle.encode, (parts, ring, disc(x2, y2, 6), over)), *NARROW[4:]]
    person = rle.encode(disc(x3 + 8, y3, 9))
    told = Mending(picture(), masks).after({4: WIDE[4], 9: WIDE[9]}, others=[person])
    assert (rle.decode(told[0]) & parts).sum() > 0.97 * parts.sum()
    assert (rle.decode(told[1]) & ring).sum() > 0.97 * ring.sum()
    assert (rle.decode(told[3]) & over).sum() > 0.97 * over.sum()
    grown = rle.decode(told[3]) & ~over
    assert not (grown & rle.decode(person)).any()


def test_fine_outlines_of_large_masks_are_kept_where_nothing_is_said() -> None:
    rows, columns = np.mgrid[:600, :600]
    angle = np.arctan2(rows - 300, columns - 300)
    star = (rows - 300) ** 2 + (columns - 300) ** 2 < (180 + 14 * np.sin(40 * angle)) ** 2
    image = np.zeros((600, 600, 3), np.uint8)
    image[star] = 200
    small = [(60, 60), (60, 540), (540, 60)]
    narrow, wide = (
        [rle.encode((rows - y) ** 2 + (columns - x) ** 2 < r**2) for x, y in small] for r in (9, 14)
    )
    for mask in wide:
        image[rle.decode(mask)] = 120
    told = Mending(image, [rle.encode(star), *narrow]).after({1: wide[0], 2: wide[1]})
    assert near(told, [rle.encode(star), *narrow[:2], wide[2]]) > 0.8
    kept = rle.decode(told[0])
    fringe = star ^ cv2.blur(star.astype(np.float32), (15, 15)).round().astype(bool)
    assert (kept == star)[fringe].mean() > 0.5
    assert Mending(picture(), []).after({}) == {}


def test_a_mask_is_drawn_anew_where_it_differs_or_goes_back() -> None:
    slightly = {i: rle.encode(disc(x, y, 14.2)) for i, (x, y) in enumerate(PLACES[:2])}
    wide, narrow = dict(enumerate(WIDE[:2])), dict(enumerate(NARROW[:2]))
    assert to_redraw(narrow, wide, narrow) == wide
    assert to_redraw(wide, slightly, narrow) == {}, "nobody would see it"
    assert to_redraw(slightly, wide, wide) == wide, "where it came from"
    assert to_redraw(wide, wide, narrow) == {}

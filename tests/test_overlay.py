import numpy as np
import pytest

from maskmill import rle
from maskmill.overlay import BACKGROUND, BOX, FOREGROUND, contour, draw_masks, draw_prompts, palette
from maskmill.values import box_prompt, point_prompt

GREY = np.full((40, 60, 3), 100, np.uint8)


def rectangle(x0: int, y0: int, x1: int, y1: int) -> rle.Rle:
    mask = np.zeros((40, 60), bool)
    mask[y0:y1, x0:x1] = True
    return rle.encode(mask)


def test_palette_gives_each_of_many_masks_its_own_colour() -> None:
    colours = palette(60)
    assert colours.shape == (60, 3)
    assert len(np.unique(colours, axis=0)) == 60
    steps = np.abs(np.diff(colours.astype(int), axis=0)).sum(axis=1)
    assert steps.min() > 60, "neighbours in the list must differ clearly"


def test_palette_of_nothing_is_empty() -> None:
    assert palette(0).shape == (0, 3)


def test_masks_change_only_their_own_pixels_and_not_the_original() -> None:
    before = GREY.copy()
    out = draw_masks(GREY, [rectangle(10, 5, 30, 25)])
    changed = (out != GREY).any(axis=2)
    assert changed[5:25, 10:30].all()
    assert changed.sum() == 20 * 20
    assert (before == GREY).all()


def test_inside_is_mixed_by_opacity_and_contour_is_brighter() -> None:
    colour = palette(1)[0].astype(float)
    out = draw_masks(GREY, [rectangle(10, 5, 30, 25)], opacity=0.25)
    assert out[15, 20].tolist() == np.round(75 + 0.25 * colour).tolist()
    assert out[5, 20].astype(int).sum() > out[15, 20].astype(int).sum()


def test_a_part_stays_visible_on_its_whole_in_either_order() -> None:
    whole, part = rectangle(5, 5, 50, 35), rectangle(20, 15, 30, 25)
    for masks in ([whole, part], [part, whole]):
        out = draw_masks(GREY, masks)
        assert out[20, 25].tolist() != out[30, 10].tolist()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask 0 has size \(60, 40\)"):
        draw_masks(GREY, [rle.encode(np.ones((60, 40), bool))])


def test_contour_is_the_mask_without_what_an_erosion_leaves() -> None:
    mask = np.zeros((7, 9), bool)
    mask[1:6, 2:8] = True
    edge = contour(mask)
    assert edge.sum() == 5 * 6 - 3 * 4
    assert not edge[2:5, 3:7].any()
    assert not contour(np.ones((3, 4), bool)).any(), "the image's edge is no outside"


def test_points_and_boxes_are_drawn_in_their_colours() -> None:
    out = draw_prompts(GREY, [point_prompt((15, 10), (45, 30, 0)), box_prompt(30, 5, 55, 20)])
    assert tuple(out[10, 15]) == FOREGROUND
    assert tuple(out[30, 45]) == BACKGROUND
    assert tuple(out[5, 40]) == BOX
    assert tuple(out[12, 54]) == BOX, "the last pixel of a half-open box is x1 - 1"
    assert (GREY == 100).all()

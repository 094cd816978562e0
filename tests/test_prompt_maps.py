"""Prompts drawn as maps: bells around clicks, the inside of the box, nothing where nothing is."""

import itertools

import pytest
import torch
from random_model import SMALL_TINY

from maskmill.model.prompt_maps import NUM_PROMPT_MAPS, REACHES, prompt_maps
from maskmill.model.sam import build

SIDE = 40
FOREGROUND, BACKGROUND = slice(0, len(REACHES)), slice(len(REACHES), 2 * len(REACHES))
INSIDE, DOME = -2, -1


def drawn(points: list[tuple[float, float]], labels: list[int], side: int = SIDE) -> torch.Tensor:
    return prompt_maps(torch.tensor([points]), torch.tensor([labels]), side)[0]


def test_a_click_is_highest_in_its_own_pixel_and_falls_with_distance():
    maps = drawn([(0.3125, 0.7125), (0.0, 0.0)], [1, -1])
    assert maps.shape == (NUM_PROMPT_MAPS, SIDE, SIDE)
    for bell, reach in zip(maps[FOREGROUND], REACHES, strict=True):
        row, column = divmod(int(bell.argmax()), SIDE)
        assert (row, column) == (28, 12)  # y from the second coordinate, x from the first
        expected = torch.exp(torch.tensor(-0.5 * (4 / SIDE / reach) ** 2))
        assert bell[28, 16] == pytest.approx(float(expected), abs=1e-6)
    assert not maps[len(REACHES) :].any()  # no background click, no box, and padding is nothing


def test_the_nearest_of_several_clicks_counts_and_kinds_stay_apart():
    points = [(0.2, 0.2), (0.8, 0.3), (0.5, 0.9)]
    together = drawn(points, [1, 1, 0])
    alone = [drawn([point], [1])[FOREGROUND] for point in points[:2]]
    torch.testing.assert_close(together[FOREGROUND], torch.maximum(*alone))
    torch.testing.assert_close(together[BACKGROUND], drawn(points[2:], [1])[FOREGROUND])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_prompts_changes_nothing(order):
    points, labels = [(0.1, 0.25), (0.6, 0.75), (0.3, 0.3)], [2, 3, 1]
    shuffled = drawn([points[i] for i in order], [labels[i] for i in order])
    torch.testing.assert_close(shuffled, drawn(points, labels))


def test_a_box_is_filled_to_the_shares_of_its_border_pixels():
    inside = drawn([(0.25, 0.5), (0.7375, 0.75)], [2, 3])[INSIDE]  # pixels 10 to 29.5, 20 to 30
    assert inside[20:30, 10:29].min() > 1 - 1e-5
    assert inside[25, 29] == pytest.approx(0.5, abs=1e-5)
    assert inside.sum() == pytest.approx(19.5 * 10, abs=1e-3)


def test_the_dome_is_highest_in_the_middle_of_the_box_and_nothing_beyond():
    maps = drawn([(0.25, 0.5), (0.75, 0.75)], [2, 3])
    assert divmod(int(maps[DOME].argmax()), SIDE) in {(24, 19), (24, 20), (25, 19), (25, 20)}
    assert not maps[DOME][maps[INSIDE] == 0].any()


def test_a_box_without_an_area_draws_finite_numbers():
    assert drawn([(0.5, 0.5), (0.5, 0.5)], [2, 3]).isfinite().all()


def test_resolution_does_not_move_anything():
    fine = drawn([(0.3, 0.6), (0.2, 0.1), (0.9, 0.5)], [1, 2, 3], side=4 * SIDE)
    coarse = drawn([(0.3, 0.6), (0.2, 0.1), (0.9, 0.5)], [1, 2, 3])
    pooled = torch.nn.functional.avg_pool2d(fine, 4)
    smooth = [i for i, reach in enumerate((*REACHES, *REACHES, 1, 1)) if reach > 0.03]
    assert (pooled - coarse)[smooth].abs().max() < 0.05


def test_the_model_that_has_them_uses_them():
    """The head starts at zero; with weights on it, only the pixels that the maps mark change."""
    sam = build(SMALL_TINY).eval()
    side = SMALL_TINY.input_side
    coords, labels = torch.tensor([[[20.0, 30.0], [80.0, 90.0]]]), torch.tensor([[2, 3]])
    with torch.inference_mode():
        embedding, high_res = sam.encode(torch.randn(1, 3, side, side))
        before, _ = sam.decode(embedding, high_res, coords, labels, multimask_output=True)
        head = sam.mask_decoder.prompt_map_head
        assert head is not None
        head.bias[INSIDE] = 7.0
        after, _ = sam.decode(embedding, high_res, coords, labels, multimask_output=True)
    inside = sam.prompt_encoder.draw_maps(coords, labels)[:, INSIDE]
    torch.testing.assert_close(
        after - before, 7 * inside[:, None].expand_as(before), atol=1e-4, rtol=0
    )


def test_a_prompt_of_a_mask_alone_draws_nothing() -> None:
    maps = prompt_maps(torch.zeros(2, 0, 2), torch.zeros(2, 0, dtype=torch.int64), SIDE)
    assert maps.shape == (2, NUM_PROMPT_MAPS, SIDE, SIDE)
    assert not maps.any()

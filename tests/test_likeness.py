"""Likeness follows what the image shows, and only clicks of a kind count for that kind."""

import pytest
import torch

from maskmill.model.likeness import (
    GROUP_WIDTH,
    GROUPS,
    NUM_LIKENESS_MAPS,
    Likeness,
    comparable,
    likeness_to_cells,
)

SIDE = 8


@pytest.fixture
def likeness() -> Likeness:
    torch.manual_seed(0)
    return Likeness((6, 4, 3)).eval()


def two_halves() -> torch.Tensor:
    """Descriptors of an image whose left half looks unlike its right half."""
    descriptors = torch.zeros(1, GROUPS, GROUP_WIDTH, SIDE, SIDE)
    descriptors[..., SIDE // 2 :] = 3.0
    return descriptors


def test_a_click_lights_up_what_looks_like_it(likeness: Likeness) -> None:
    maps = likeness(two_halves(), torch.tensor([[[0.1, 0.5]]]), torch.tensor([[1]]))
    assert maps.shape == (1, NUM_LIKENESS_MAPS, SIDE, SIDE)
    foreground, background = maps[0].chunk(2)
    assert torch.equal(foreground[..., : SIDE // 2], torch.ones(GROUPS, SIDE, SIDE // 2))
    assert foreground[..., SIDE // 2 :].max() < 1e-3
    assert not background.any()


def test_background_clicks_have_maps_of_their_own(likeness: Likeness) -> None:
    points = torch.tensor([[[0.1, 0.5], [0.9, 0.5]]])
    foreground, background = likeness(two_halves(), points, torch.tensor([[1, 0]]))[0].chunk(2)
    assert foreground[0, 0].argmax() < SIDE // 2 <= background[0, 0].argmax()


@pytest.mark.parametrize("labels", [[-1, -1], [2, 3]])
def test_boxes_and_padding_are_like_nothing(likeness: Likeness, labels: list[int]) -> None:
    points = torch.rand(1, 2, 2)
    assert not likeness(two_halves(), points, torch.tensor([labels])).any()
    assert not likeness(two_halves(), points[:, :0], torch.zeros(1, 0, dtype=torch.int64)).any()


@torch.inference_mode()
def test_one_image_shared_by_prompts_is_one_image_each(likeness: Likeness) -> None:
    maps = torch.randn(1, 6, 2, 2), torch.randn(1, 4, 4, 4), torch.randn(1, 3, 8, 8)
    described = likeness.descriptors(maps)
    assert described.shape == (1, GROUPS, GROUP_WIDTH, SIDE, SIDE)
    points, labels = torch.rand(3, 2, 2), torch.tensor([[1, 0], [1, 1], [0, -1]])
    shared = likeness(described, points, labels)
    each = likeness(described.expand(3, -1, -1, -1, -1), points, labels)
    torch.testing.assert_close(shared, each)
    # Every click is wholly like itself.
    x, y = (points[1, 0] * SIDE).long()
    torch.testing.assert_close(shared[1, :GROUPS, y, x], torch.ones(GROUPS))


@torch.inference_mode()
def test_a_single_click_may_take_the_short_way(likeness: Likeness) -> None:
    described = torch.randn(1, GROUPS, GROUP_WIDTH, SIDE, SIDE)
    whole = likeness(described, torch.tensor([[[0.3, 0.8]]]), torch.tensor([[1]]))[0, :GROUPS]
    pixels = described[0].flatten(2)
    short = likeness_to_cells(comparable(pixels), torch.tensor([5, 6 * SIDE + 2]))
    assert short.shape == (2, GROUPS, SIDE * SIDE)
    torch.testing.assert_close(short[1].view(whole.shape), whole, rtol=1e-4, atol=1e-5)


def test_an_encoder_without_finer_maps_is_described_at_low_res() -> None:
    described = Likeness((6,)).eval().descriptors((torch.randn(2, 6, 3, 3),))
    assert described.shape == (2, GROUPS, GROUP_WIDTH, 12, 12)

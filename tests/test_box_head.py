"""The detector's head: sizes, and what an untrained one says."""

import pytest
import torch

from maskmill.model.box_head import PRIOR, BoxHead

MAPS = {
    (32, 8, 4): [torch.randn(2, 32, 4, 6), torch.randn(2, 8, 8, 12), torch.randn(2, 4, 16, 24)],
    (32,): [torch.randn(2, 32, 4, 6)],
}


@pytest.mark.parametrize(
    ("channels", "stride", "cells"), [((32, 8, 4), 4, (16, 24)), ((32,), 8, (8, 12))]
)
def test_it_answers_for_every_cell_of_the_finest_map(
    channels: tuple[int, ...], stride: int, cells: tuple[int, int]
) -> None:
    head = BoxHead(channels)
    logits, reach = head(*MAPS[channels])
    assert head.stride == stride
    assert logits.shape == (2, 1, *cells)
    assert reach.shape == (2, 4, *cells)
    assert (reach > 0).all(), "a box reaches somewhere on every side"
    assert torch.sigmoid(logits).mean().item() == pytest.approx(PRIOR, rel=0.5)


def test_maps_of_any_scale_look_alike_to_it() -> None:
    torch.manual_seed(0)
    maps = MAPS[32, 8, 4]
    head = BoxHead((32, 8, 4))
    head.measure(maps)
    expected = head(*maps)[0]
    scaled = [100 * m + 7 for m in maps]
    head.measure(scaled)
    assert torch.allclose(head(*scaled)[0], expected, atol=1e-3)

"""The pixel encoder: a descriptor for every fourth pixel each way, whatever the light."""

import pytest
import torch

from maskmill.model.pixel_encoder import DESCRIPTORS, STRIDE, PixelEncoder
from maskmill.scribble import describing


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (7, 12), (16, 16)])
def test_any_size_that_the_stride_divides(rows: int, columns: int):
    torch.manual_seed(0)
    image = torch.rand(2, 3, rows * STRIDE, columns * STRIDE)
    assert PixelEncoder()(image).shape == (2, DESCRIPTORS, rows, columns)


def test_images_of_a_batch_do_not_know_of_each_other():
    torch.manual_seed(0)
    encoder, images = PixelEncoder(), torch.rand(2, 3, 32, 48)
    together = encoder(images)
    alone = encoder(images[1:])
    assert torch.allclose(together[1:], alone, atol=1e-5)


def test_every_weight_is_taught():
    torch.manual_seed(0)
    encoder = PixelEncoder()
    encoder(torch.rand(1, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_who_runs_it_knows_its_measures():
    assert (describing.DESCRIPTORS, describing.STRIDE) == (DESCRIPTORS, STRIDE)

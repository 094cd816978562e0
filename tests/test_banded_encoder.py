"""Bands on several threads give what the encoder gives by itself."""

from dataclasses import replace

import pytest
import torch
from paper_model import SMALL, randomise

from maskmill.config import ModelConfig
from maskmill.model.banded_encoder import encode_in_bands, threads_of_one
from maskmill.model.image_encoder import ImageEncoderViT

WIDE = replace(SMALL, encoder=replace(SMALL.encoder, window_size=3))
"""Windows that do not divide the map of 16 cells."""


@pytest.mark.parametrize("config", [SMALL, WIDE], ids=["whole windows", "cut windows"])
@pytest.mark.parametrize("threads", [1, 3])
def test_bands_give_what_the_whole_gives(config: ModelConfig, threads: int) -> None:
    encoder = ImageEncoderViT(config.encoder, input_side=256, out_chans=48).eval()  # type: ignore[arg-type]
    randomise(encoder)
    images = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode(), threads_of_one(threads) as pool:
        found = encode_in_bands(encoder, images, pool)
        expected, _ = encoder(images)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_number_of_threads_is_what_it_was() -> None:
    before = torch.get_num_threads()
    with threads_of_one(before) as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
    assert torch.get_num_threads() == before

"""The grid decoder gives the numbers of the mask decoder, for both shapes of model."""

from dataclasses import replace

import pytest
import torch

from maskmill.config import TINY, DecoderConfig, ModelConfig, VitConfig
from maskmill.model.grid_decoder import GridDecoder
from maskmill.model.sam import Sam, build

SMALL_VIT = ModelConfig(
    name="small_vit",
    encoder=VitConfig(embed_dim=24, depth=1, num_heads=2, global_attn_indexes=(0,)),
    decoder=DecoderConfig(transformer_dim=64, num_heads=4, mlp_dim=48, iou_head_hidden_dim=32),
    input_side=96,
)
SMALL_TINY = replace(TINY, input_side=128)


def awkward(config: ModelConfig) -> Sam:
    """A model whose biases and norms are not the zeros and ones that a fresh model has."""
    sam = build(config).eval()
    generator = torch.Generator().manual_seed(3)
    for parameter in sam.mask_decoder.parameters():
        if parameter.dim() == 1 or not parameter.any():
            parameter.data += 0.4 * torch.randn(parameter.shape, generator=generator)
    return sam


@pytest.mark.parametrize("config", [SMALL_VIT, SMALL_TINY], ids=lambda config: config.name)
@torch.inference_mode()
def test_it_gives_the_numbers_of_the_mask_decoder(config: ModelConfig) -> None:
    sam, n = awkward(config), 11
    embedding, high_res = sam.encode(torch.randn(1, 3, config.input_side, config.input_side))
    points = torch.rand(n, 2) * config.input_side
    coords = torch.stack([points, torch.zeros(n, 2)], dim=1)
    labels = torch.tensor([[1, -1]]).repeat(n, 1)
    logits, iou = sam.decode(embedding, high_res, coords, labels, multimask_output=True)

    grid = GridDecoder(sam)
    shared, canvas = grid.share(embedding, high_res)
    seen = grid.attend(embedding, high_res, shared, points)
    torch.testing.assert_close(seen.predicted_iou, iou, rtol=1e-4, atol=1e-5)
    rows = [n - 1, 0, 4]
    drawn, _ = grid.draw(canvas, seen.rows(torch.tensor(rows)))
    assert drawn.shape == (3, 3, config.low_res_side, config.low_res_side)
    scale = logits.abs().max()
    assert (drawn - logits[rows]).abs().max() < 1e-5 * scale
    # A point elsewhere gives other masks, so that the agreement above says something.
    assert (drawn[0] - drawn[1]).abs().max() > 1e-3 * scale


def test_large_models_take_few_prompts_at_once_and_small_ones_many() -> None:
    assert GridDecoder(build(replace(SMALL_VIT, input_side=1024))).most_at_once == 9
    assert GridDecoder(build(SMALL_TINY)).most_at_once > 64

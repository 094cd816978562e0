from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from paper_model import SMALL, randomise, reference_model, relative_error, small_sam

from maskmill.config import DecoderConfig
from maskmill.model.mask_decoder import MaskDecoder, blocks_of_cells

SIDE = 16


def noise(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def as_rows(x):
    return x.flatten(2).transpose(1, 2)  # b c h w -> b hw c


@pytest.fixture(scope="module")
def decoder():
    return small_sam().mask_decoder


@pytest.fixture(scope="module")
def peer(reference, decoder):
    model = reference_model(reference, SMALL).mask_decoder
    model.load_state_dict(decoder.state_dict())
    return model


@pytest.mark.reference
@pytest.mark.parametrize("multimask_output", [True, False])
def test_masks_and_their_predicted_iou(decoder, peer, multimask_output):
    embedding, pe = noise(1, 256, SIDE, SIDE, seed=1), noise(1, 256, SIDE, SIDE, seed=2)
    sparse, dense = noise(3, 2, 256, seed=3), noise(3, 256, SIDE, SIDE, seed=4)
    with torch.inference_mode():
        attended = decoder.attend(as_rows(embedding) + as_rows(dense), as_rows(pe), sparse)
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        masks, iou = decoder.draw(attended, (), chosen), attended.predicted_iou[:, chosen]
        expected, expected_iou = peer(embedding, pe, sparse, dense, multimask_output)
    assert masks.shape == (3, 3 if multimask_output else 1, 64, 64)
    assert relative_error(masks, expected) < 1e-5
    assert relative_error(iou, expected_iou) < 1e-5


def test_drawing_some_prompts_later_is_drawing_them_all(decoder):
    keys, pe, sparse = (noise(*s, seed=5) for s in ((1, 256, 256), (1, 256, 256), (5, 2, 256)))
    with torch.inference_mode():
        attended = decoder.attend(keys, pe, sparse)
        everything = decoder.draw(attended, (), slice(1, None))
        for index in (torch.tensor([4, 1]), torch.arange(5) % 2 == 1):
            some = decoder.draw(attended.rows(index), (), slice(1, None))
            assert torch.allclose(some, everything[index], atol=1e-4)


@pytest.mark.parametrize(("n", "maps"), [(1, 1), (3, 1), (3, 3)])
def test_finer_maps_are_added_where_transposed_convolutions_would(n, maps):
    config = replace(DecoderConfig(), transformer_dim=32, num_heads=2, mlp_dim=16, high_res=True)
    decoder = MaskDecoder(config, embedding_side=SIDE).eval()
    randomise(decoder)
    high_res = noise(maps, 8, 32, 32, seed=1), noise(maps, 4, 64, 64, seed=2)
    keys, pe = noise(maps, 256, 32, seed=3), noise(1, 256, 32, seed=4)
    sparse = noise(n, 2, 32, seed=5)
    with torch.inference_mode():
        attended = decoder.attend(keys, pe, sparse)
        found = decoder.draw(attended, high_res, slice(0, None))
        up1, norm, _, up2, _ = decoder.output_upscaling
        x = attended.keys.transpose(1, 2).reshape(n, 32, SIDE, SIDE)
        x = F.gelu(norm(up1(x) + high_res[0]))
        x = F.gelu(up2(x) + high_res[1])
        tokens = attended.mask_tokens.unbind(1)
        mlps = decoder.output_hypernetworks_mlps
        hyper = torch.stack([mlp(t) for mlp, t in zip(mlps, tokens, strict=True)], dim=1)
        expected = torch.einsum("nkc,nchw->nkhw", hyper, x)
    assert relative_error(found, expected) < 1e-5
    plain = MaskDecoder(replace(config, high_res=False), embedding_side=SIDE).eval()
    plain.load_state_dict(decoder.state_dict())
    with torch.inference_mode():
        # A model that is to do without finer maps does, though its encoder may make some.
        without = plain.draw(attended, high_res, slice(0, None))
        assert torch.equal(without, decoder.draw(attended, (), slice(0, None)))
    assert relative_error(without, expected) > 1e-3


@pytest.mark.parametrize("cell", [2, 4])
def test_blocks_of_cells_follow_repeated_halving(cell):
    x = torch.arange(2 * 3 * 8 * 12).reshape(2, 3, 8, 12).float()
    rows = blocks_of_cells(x, cell)
    assert rows.shape == (2, 8 * 12 // cell**2, cell * cell * 3)
    # Cell (row 1, column 2): its sub-pixels, quarter by quarter, each quarter reading order again.
    row, column = cell, 2 * cell
    at = rows[1, 12 // cell + 2].reshape(cell * cell, 3)
    if cell == 2:
        order = [(0, 0), (0, 1), (1, 0), (1, 1)]
    else:
        halves = [(0, 0), (0, 1), (1, 0), (1, 1)]
        order = [(2 * y + v, 2 * z + w) for y, z in halves for v, w in halves]
    expected = torch.stack([x[1, :, row + y, column + z] for y, z in order])
    assert torch.equal(at, expected)

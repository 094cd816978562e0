import pytest
import torch
from paper_model import SMALL, reference_model, relative_error, small_sam

CELLS = 77  # any number: nothing here knows a grid


def noise(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def transformer():
    return small_sam().mask_decoder.transformer


@pytest.fixture(scope="module")
def peer(reference, transformer):
    model = reference_model(reference, SMALL).mask_decoder.transformer
    model.load_state_dict(transformer.state_dict())
    return model


@pytest.mark.reference
@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("shared", [True, False])
def test_tokens_and_image_end_as_the_references(transformer, peer, n, shared):
    keys = noise(1 if shared else n, 7 * 11, 256, seed=1)
    key_pe = noise(1, 7 * 11, 256, seed=2)
    tokens = noise(n, 6, 256, seed=3)

    def as_map(x):
        return x.expand(n, -1, -1).transpose(1, 2).reshape(n, 256, 7, 11)

    with torch.inference_mode():
        found_tokens, found_keys = transformer(keys, key_pe, tokens)
        expected_tokens, expected_keys = peer(as_map(keys), as_map(key_pe), tokens)
    assert relative_error(found_tokens, expected_tokens) < 1e-5
    assert relative_error(found_keys, expected_keys) < 1e-5


@pytest.mark.reference
@pytest.mark.parametrize("keys_batch", [1, 4])
def test_attention_over_few_or_shared_keys(transformer, peer, keys_batch):
    attention = transformer.final_attn_token_to_image
    q = noise(4, 5, 256, seed=1)
    k, v = noise(keys_batch, CELLS, 256, seed=2), noise(keys_batch, CELLS, 256, seed=3)
    with torch.inference_mode():
        found = attention(q, k, v)
        expected = peer.final_attn_token_to_image(q, k.expand(4, -1, -1), v.expand(4, -1, -1))
    assert relative_error(found, expected) < 1e-5


@pytest.mark.reference
@pytest.mark.parametrize("cells_batch", [1, 4])
def test_attention_from_the_image_folds_its_projections(transformer, peer, cells_batch):
    attention = transformer.layers[0].cross_attn_image_to_token
    q = noise(cells_batch, CELLS, 256, seed=1)
    k, v = noise(4, 5, 256, seed=2), noise(4, 5, 256, seed=3)
    with torch.inference_mode():
        found = attention.from_image(q, k, v)
        expected = peer.layers[0].cross_attn_image_to_token(q.expand(4, -1, -1), k, v)
    assert relative_error(found, expected) < 1e-5


def test_only_the_first_block_leaves_out_the_tokens_position(transformer):
    assert [layer.skip_first_layer_pe for layer in transformer.layers] == [True, False]

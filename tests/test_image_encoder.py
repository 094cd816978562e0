from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from paper_model import SMALL, randomise, reference_model, relative_error
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from maskmill.config import MODEL_CONFIGS, VIT_B
from maskmill.model import image_encoder
from maskmill.model.image_encoder import Block, ImageEncoderViT, partition, unpartition
from maskmill.model.sam import build

MIB = 2**20


@pytest.fixture
def encoder():
    encoder = ImageEncoderViT(SMALL.encoder, input_side=256, out_chans=48).eval()
    randomise(encoder)
    return encoder


@pytest.fixture
def images():
    return torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def expected(reference, encoder, images):
    """The reference encoder's answer, under the same weights."""
    model = reference_model(reference, SMALL).image_encoder
    model.neck[0] = torch.nn.Conv2d(64, 48, 1, bias=False)
    model.neck[2] = torch.nn.Conv2d(48, 48, 3, padding=1, bias=False)
    model.neck[1], model.neck[3] = type(model.neck[1])(48), type(model.neck[3])(48)
    model.load_state_dict(encoder.state_dict())
    with torch.inference_mode():
        return model(images)


@pytest.mark.reference
def test_a_batch_is_encoded_as_the_reference_does(encoder, images, expected):
    with torch.inference_mode():
        embedding, high_res = encoder(images)
    assert embedding.shape == (2, 48, 16, 16)
    assert high_res == ()
    assert relative_error(embedding, expected) < 1e-5


def test_norms_keep_the_published_epsilon(encoder):
    # With these weights the embedding would not show it; with activations near zero it would.
    norms = [m for m in encoder.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert [norm.eps for norm in norms] == [1e-6] * 8


@pytest.mark.reference
@pytest.mark.parametrize("scores", [1, 3 * 256 * 16, 2 * 49 * 49, 10**9])
@pytest.mark.parametrize("tokens", [1, 100, 10**6])
def test_pieces_of_any_size_give_the_same_numbers(
    monkeypatch, encoder, images, expected, scores, tokens
):
    # One row of queries at a time; three rows, which do not divide 16; two windows; all at once.
    monkeypatch.setattr(image_encoder, "SCORES_AT_ONCE", scores)
    monkeypatch.setattr(image_encoder, "TOKENS_AT_ONCE", tokens)
    with torch.inference_mode():
        assert relative_error(encoder(images)[0], expected) < 1e-5


@pytest.mark.reference
@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_published_names_and_shapes(reference, name):
    with torch.device("meta"):
        expected = reference.sam_model_registry[name]().state_dict()
        found = build(MODEL_CONFIGS[name]).state_dict()
    assert {key: tensor.shape for key, tensor in found.items()} == {
        key: tensor.shape for key, tensor in expected.items()
    }


class LargestTensor(TorchDispatchMode):
    """Remember the bytes of the largest tensor that any operation makes."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                # Storage, not shape: an expanded view holds nothing of its own.
                self.bytes = max(self.bytes, leaf.untyped_storage().nbytes())
        return out


@pytest.mark.parametrize("attends_globally", [True, False])
def test_no_temporary_of_vit_b_is_given_back_to_the_kernel(attends_globally):
    # All heads' scores of a global block at once would be 805 MB; above 32 MiB glibc maps anew.
    block = Block(VIT_B.encoder, map_side=64, attends_globally=attends_globally).eval()
    with torch.inference_mode(), LargestTensor() as largest:
        block(torch.randn(1, 64, 64, 768))
    assert 10 * MIB < largest.bytes < 24 * MIB


@given(
    b=st.integers(1, 2),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    window=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    num_heads=st.integers(1, 3),
)
def test_windows_are_cut_and_put_back(b, h, w, window, num_heads):
    x = torch.arange(b * h * w * num_heads * 2.0).reshape(b, h, w, num_heads * 2)
    bias = torch.arange(num_heads * 2.0) / 64
    windows = partition(x, bias, window, num_heads)
    count = b * num_heads * -(-h // window[0]) * -(-w // window[1])
    assert windows.shape == (count, *window, 2)
    assert torch.equal(unpartition(windows, (h, w), num_heads), x + bias)


def test_padding_holds_the_bias_as_a_layer_makes_of_zeros():
    windows = partition(torch.ones(1, 2, 3, 4), torch.arange(4.0), (2, 2), 2)
    # Two windows side by side, two heads each; the right window's second column is padding.
    assert windows.shape == (4, 2, 2, 2)
    assert windows[0, :, :, 1].tolist() == [[2, 2], [2, 2]]
    assert windows[2, :, :, 1].tolist() == [[2, 1], [2, 1]]
    assert windows[3, :, :, 0].tolist() == [[3, 2], [3, 2]]


def test_relative_looks_up_the_query_minus_the_key():
    table = torch.arange(5.0)[:, None]  # distances -2 .. 2
    assert image_encoder.relative(table, 3)[..., 0].tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]


def test_shares_that_spare_a_core_its_cache_are_not_traced(images, monkeypatch):
    # vit_b's graph of such shares had 19,000 nodes, and took more than twenty minutes to export.
    blocks = replace(SMALL.encoder, depth=2, global_attn_indexes=(1,))
    encoder = ImageEncoderViT(blocks, input_side=128, out_chans=48).eval()

    def nodes() -> int:
        program = torch.export.export(encoder, (images[:1, :, :128, :128],), strict=False)
        return len(program.graph.nodes)

    whole = nodes()
    monkeypatch.setattr(image_encoder, "SCORES_AT_ONCE", 64)
    monkeypatch.setattr(image_encoder, "TOKENS_AT_ONCE", 4)
    assert nodes() == whole
    monkeypatch.setattr(image_encoder, "SCORES_IN_GRAPHS", 64)
    assert nodes() > 2 * whole

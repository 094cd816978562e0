"""Keys that are not written out answer as the written-out ones do."""

import pytest
import torch
import torch.nn.functional as F

from maskmill.model.low_rank import Keys, Projection, Written, centred, split_heads
from maskmill.model.transformer import Attention

N, T, HEADS, HW, C = 3, 5, 2, 30, 16


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(0)

    def noise(*shape):
        return torch.randn(*shape, generator=generator)

    base, constant, pe = noise(HW, C), noise(C), noise(HW, C)
    keys = Keys(noise(N, 1, HW).abs(), noise(N, HEADS * T, HW), noise(N, HEADS * T, C))
    written_out = (
        keys.scale.transpose(1, 2) * base
        + keys.coefficients.transpose(1, 2) @ keys.factors
        + constant
    )
    return base, constant, pe, keys, written_out, noise(N, HEADS, T, C // HEADS)


def test_scores_are_products_with_the_projected_keys(parts):
    base, constant, pe, keys, written_out, tokens = parts
    layer = torch.nn.Linear(C, C)
    with torch.inference_mode():
        found = Projection(layer, HEADS, base, constant, pe).scores(tokens, keys)
        projected = split_heads(layer, written_out + pe, HEADS)  # n heads hw d
        expected = (tokens @ projected.transpose(-1, -2)).flatten(1, 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_weighted_is_the_average_of_the_projected_keys(parts):
    base, constant, _, keys, written_out, _ = parts
    layer = torch.nn.Linear(C, C)
    weights = torch.randn(N, HEADS * T, HW).softmax(-1)
    with torch.inference_mode():
        found = Projection(layer, HEADS, base, constant).weighted(weights, keys)
        projected = split_heads(layer, written_out, HEADS)
        expected = weights.view(N, HEADS, T, HW) @ projected
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_what_attention_writes_is_centred_and_its_products_with_the_base_agree(parts):
    base = centred(parts[0])
    attention = Attention(C, HEADS)
    written = Written(attention, base)
    values = torch.randn(N, HEADS, T, C // HEADS)
    with torch.inference_mode():
        factors = written.factors(values)
        joined = torch.zeros(N, HEADS, T, C)
        for head in range(HEADS):
            inner = torch.zeros(N, T, C)
            inner[..., head * (C // HEADS) : (head + 1) * (C // HEADS)] = values[:, head]
            joined[:, head] = F.linear(inner, attention.out_proj.weight)
        torch.testing.assert_close(factors, centred(joined).flatten(1, 2), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            written.with_base(values), factors @ base.t(), rtol=1e-3, atol=1e-3
        )

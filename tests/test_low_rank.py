"""Keys that are not written out answer as the written-out ones do."""

import pytest
import torch
import torch.nn.functional as F

from maskmill.model.low_rank import (
    Writing,
    centred,
    energy,
    project,
    scores,
    split_heads,
    weighted,
    written_by,
)
from maskmill.model.transformer import Attention

N, T, HEADS, HW, C = 3, 5, 2, 30, 16


@pytest.fixture
def parts():
    """A base onto which two layers wrote; the keys that come of it, written out; and tokens."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape):
        return torch.randn(*shape, generator=generator)

    base, constant, pe = noise(HW, C), noise(C), noise(HW, C)
    writings = tuple(
        Writing(noise(N, HEADS * t, HW), noise(N, HEADS * t, C), noise(N, 1, HW).abs())
        for t in (T, T - 1)
    )
    written_out = base.expand(N, -1, -1)
    for attention, factors, scale in writings:
        written_out = (written_out + attention.transpose(1, 2) @ factors) * scale.transpose(1, 2)
    return base, constant, pe, writings, written_out + constant, noise(N, HEADS, T, C // HEADS)


def test_scores_are_products_with_the_projected_keys(parts):
    base, constant, pe, writings, written_out, tokens = parts
    layer = torch.nn.Linear(C, C)
    with torch.inference_mode():
        shared = project(layer, HEADS, base, constant, pe)
        found = scores(tokens, shared, layer, writings)
        projected = split_heads(layer, written_out + pe, HEADS)  # n heads hw d
        expected = tokens @ projected.transpose(-1, -2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_weighted_is_the_average_of_the_projected_keys(parts):
    base, constant, _, writings, written_out, _ = parts
    layer = torch.nn.Linear(C, C)
    weights = torch.randn(N, HEADS, T, HW).softmax(-1)
    with torch.inference_mode():
        found = weighted(weights, project(layer, HEADS, base, constant), layer, writings)
        expected = weights @ split_heads(layer, written_out, HEADS)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_energy_is_the_sum_of_squares_of_what_was_written_onto(parts):
    base, _, _, writings, _, _ = parts
    attention, factors, _ = writings[0]
    with_base = (factors @ base.t()).view(N, HEADS, T, HW)
    found = energy(base.square().sum(1), with_base, attention, factors)
    expected = (base + attention.transpose(1, 2) @ factors).square().sum(2)[:, None]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_what_attention_writes_is_its_output_by_head_and_centred():
    attention = Attention(C, HEADS)
    values = torch.randn(N, HEADS, T, C // HEADS)
    with torch.inference_mode():
        found = values @ written_by(attention)
        for head in range(HEADS):
            inner = torch.zeros(N, T, C)
            inner[..., head * (C // HEADS) : (head + 1) * (C // HEADS)] = values[:, head]
            joined = F.linear(inner, attention.out_proj.weight)
            torch.testing.assert_close(found[:, head], centred(joined), rtol=1e-4, atol=1e-4)

"""Image keys of many prompts that are never written out, and what attention does with them.

For `n` prompts the keys of the image's cells are kept as what the prompts' tokens wrote onto a base
that all prompts share. Each writing was followed by a norm that scaled every cell:

    keys = scale2 * (scale1 * (base + attention1^T @ factors1) + attention2^T @ factors2) + rest

with `base` (hw c), `scale` (n 1 hw), `attention` (n j hw) and `factors` (n j c); j is heads *
tokens, far below c * n. Linear layers act on base, factors and rest; attention acts on the parts.
`grid_decoder` explains why keys have this form, and uses what is here. Everything is a function of
tensors alone, so that `onnx_graphs` can trace it.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.model.transformer import Attention


class Writing(NamedTuple):
    """What one layer's tokens wrote: `attention` n j hw, `factors` n j c, then `scale` n 1 hw."""

    attention: Tensor
    factors: Tensor
    scale: Tensor


class Projected(NamedTuple):
    """The shared part of projected keys: `base` heads d hw, `rest` heads d hw, or heads d 1."""

    base: Tensor
    rest: Tensor


def project(
    layer: nn.Linear,
    num_heads: int,
    base: Float[Tensor, "hw c"],
    constant: Float[Tensor, " c"],
    key_pe: Float[Tensor, "hw c"] | None = None,
) -> Projected:
    """Apply a linear layer to what all prompts share.

    Args:
        layer: The layer; its output is split into `num_heads` heads.
        num_heads: Heads.
        base: Shared part of the keys.
        constant: What layer norm added to every cell.
        key_pe: Position of every cell, where the layer sees it.
    """
    rest = constant[None] if key_pe is None else constant + key_pe
    return Projected(
        by_head(base @ layer.weight.t(), num_heads),
        by_head(F.linear(rest, layer.weight, layer.bias), num_heads),
    )


def scores(
    tokens: Float[Tensor, "n heads t d"],
    shared: Projected,
    layer: nn.Linear,
    writings: tuple[Writing, ...],
) -> Float[Tensor, "n heads t hw"]:
    """Multiply tokens with every cell's keys, projected by a layer."""
    n, heads, t, _ = tokens.shape
    out = on_shared(tokens, shared.base)
    for writing in writings:
        products = (tokens @ _split(layer, writing.factors, heads)).flatten(1, 2)  # n j j
        written = torch.bmm(products, writing.attention).view(n, heads, t, -1)
        out = written.add_(out).mul_(writing.scale[:, None])
    return out.add_(on_shared(tokens, shared.rest)) if writings else out


def weighted(
    weights: Float[Tensor, "n heads t hw"],
    shared: Projected,
    layer: nn.Linear,
    writings: tuple[Writing, ...],
) -> Float[Tensor, "n heads t d"]:
    """Average every cell's projected keys; the weights of each row add up to 1."""
    n, heads, t, _ = weights.shape
    out = shared.rest.transpose(1, 2)
    for writing in reversed(writings):
        weights = weights * writing.scale[:, None]
        mixed = torch.bmm(weights.flatten(1, 2), writing.attention.transpose(1, 2))
        split = _split(layer, writing.factors, heads).transpose(-1, -2)  # n heads j d
        out = out + mixed.view(n, heads, t, -1) @ split
    return out + over_shared(weights, shared.base)


def _split(
    layer: nn.Linear, factors: Float[Tensor, "n j c"], num_heads: int
) -> Float[Tensor, "n heads d j"]:
    """Project factors, and split what comes out into heads."""
    n, j, _ = factors.shape
    projected = factors @ layer.weight.t()
    return projected.view(n, j, num_heads, -1).permute(0, 2, 3, 1)


def energy(
    square: Float[Tensor, "*n hw"],
    with_base: Float[Tensor, "n heads t hw"],
    attention: Float[Tensor, "n j hw"],
    factors: Float[Tensor, "n j c"],
) -> Float[Tensor, "n 1 hw"]:
    """Sum the squares over channels of a base with something written onto it.

    Args:
        square: The same sum of the base alone.
        with_base: Products of each factor with the base of every cell.
        attention: How much of each factor was written onto each cell.
        factors: What was written.
    """
    form = torch.bmm(torch.bmm(factors, factors.transpose(1, 2)), attention)
    form = form.view(with_base.shape).add_(with_base, alpha=2.0).view(attention.shape)
    return form.mul_(attention).sum(1, keepdim=True).add_(square)


def by_head(x: Float[Tensor, "hw inner"], num_heads: int) -> Float[Tensor, "heads d hw"]:
    """Split the channels of a map into heads, cells last."""
    return x.view(len(x), num_heads, -1).permute(1, 2, 0).contiguous()


def on_shared(
    tokens: Float[Tensor, "n heads t d"], shared: Float[Tensor, "heads d hw"]
) -> Float[Tensor, "n heads t hw"]:
    """Multiply every prompt's tokens with a shared map, head by head."""
    if torch.compiler.is_exporting():
        return tokens @ shared  # for which PyTorch, unlike ONNX Runtime, would copy the map
    n, heads, t, d = tokens.shape
    rows = tokens.transpose(0, 1).reshape(heads, n * t, d)
    return torch.bmm(rows, shared).view(heads, n, t, -1).transpose(0, 1)


def over_shared(
    weights: Float[Tensor, "n heads t hw"], shared: Float[Tensor, "heads d hw"]
) -> Float[Tensor, "n heads t d"]:
    """Average a shared map over its cells, head by head."""
    if torch.compiler.is_exporting():
        return weights @ shared.transpose(1, 2)
    n, heads, t, hw = weights.shape
    rows = weights.transpose(0, 1).reshape(heads, n * t, hw)
    return torch.bmm(rows, shared.transpose(1, 2)).view(heads, n, t, -1).transpose(0, 1)


def split_heads(layer: nn.Module, x: Tensor, num_heads: int) -> Float[Tensor, "n heads t d"]:
    """Apply a linear layer and split what comes out into heads."""
    n, t, _ = x.shape
    out: Tensor = layer(x)
    return out.view(n, t, num_heads, -1).transpose(1, 2)


def centred(x: Tensor) -> Tensor:
    """Take off the mean over channels."""
    return x - x.mean(dim=-1, keepdim=True)


def written_by(attention: Attention) -> Float[Tensor, "heads d c"]:
    """Return the output layer of an attention by head, centred.

    Layer norm takes off what is the same in all channels, so it is taken off beforehand.
    """
    out = centred(attention.out_proj.weight.t())  # inner c
    return out.view(attention.num_heads, -1, out.shape[1])

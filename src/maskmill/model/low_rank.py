"""Image keys of many prompts that are never written out, and what attention does with them.

For `n` prompts the keys of the image's cells are kept as

    keys = scale * base + coefficients^T @ factors + constant

with `base` (hw c) shared by all prompts, one `scale` per cell, `coefficients` (n j hw) and
`factors` (n j c); j is heads * tokens, far below c * n. Linear layers and attention act on the
parts. `grid_decoder` explains why keys have this form, and uses what is here.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.model.transformer import Attention


class Keys(NamedTuple):
    """The image's keys for `n` prompts; see the module. `scale` is `n 1 hw`."""

    scale: Tensor
    coefficients: Tensor
    factors: Tensor


class Projection:
    """One linear layer of an attention, applied to keys that are not written out.

    Args:
        layer: The layer; its output is split into `num_heads` heads.
        base: Shared part of the keys.
        constant: What layer norm added to every cell.
        key_pe: Position of every cell, where the layer sees it.
    """

    def __init__(
        self,
        layer: nn.Linear,
        num_heads: int,
        base: Float[Tensor, "hw c"],
        constant: Float[Tensor, " c"],
        key_pe: Float[Tensor, "hw c"] | None = None,
    ) -> None:
        self.weight, self.num_heads = layer.weight, num_heads
        self.base = by_head(base @ layer.weight.t(), num_heads)  # heads d hw
        rest = constant[None] if key_pe is None else constant + key_pe
        self.rest = by_head(F.linear(rest, layer.weight, layer.bias), num_heads)  # heads d hw | 1
        self.base_and_rest = self.base + self.rest

    def scores(self, tokens: Float[Tensor, "n heads t d"], keys: Keys) -> Float[Tensor, "n j hw"]:
        """Multiply tokens with the projected keys of every cell."""
        if not keys.factors.shape[1]:
            return on_shared(tokens, self.base_and_rest)  # nothing has been written yet
        scores = on_shared(tokens, self.base).mul_(keys.scale).add_(on_shared(tokens, self.rest))
        return scores.baddbmm_(self._with_factors(tokens, keys), keys.coefficients)

    def weighted(
        self, weights: Float[Tensor, "n j hw"], keys: Keys
    ) -> Float[Tensor, "n heads t d"]:
        """Average the projected keys; the weights of each row add up to 1."""
        n, j, hw = weights.shape
        heads, t = self.num_heads, j // self.num_heads
        mixed = torch.bmm(weights, keys.coefficients.transpose(1, 2))  # n j j2
        split = self._split_factors(keys)
        out = mixed.view(n, heads, t, mixed.shape[-1]) @ split.transpose(-1, -2)
        # Heads first: a product that broadcasts over prompts would copy the base for each.
        scaled = weights.new_empty(heads, n, t, hw)
        torch.mul(weights.view(n, heads, t, hw).transpose(0, 1), keys.scale, out=scaled)
        by_base = torch.bmm(scaled.view(heads, n * t, hw), self.base.transpose(1, 2))
        return out + by_base.view(heads, n, t, -1).transpose(0, 1) + self.rest.transpose(1, 2)

    def _split_factors(self, keys: Keys) -> Float[Tensor, "n heads d j"]:
        n, j, _ = keys.factors.shape
        projected = keys.factors @ self.weight.t()
        width = len(self.weight) // self.num_heads
        return projected.view(n, j, self.num_heads, width).permute(0, 2, 3, 1)

    def _with_factors(
        self, tokens: Float[Tensor, "n heads t d"], keys: Keys
    ) -> Float[Tensor, "n j j2"]:
        return (tokens @ self._split_factors(keys)).flatten(1, 2)


def by_head(x: Float[Tensor, "hw inner"], num_heads: int) -> Float[Tensor, "heads d hw"]:
    """Split the channels of a map into heads, cells last."""
    return x.view(len(x), num_heads, -1).permute(1, 2, 0).contiguous()


def on_shared(
    tokens: Float[Tensor, "n heads t d"], shared: Float[Tensor, "heads d hw"]
) -> Float[Tensor, "n j hw"]:
    """Multiply every prompt's tokens with a shared map, head by head."""
    n, heads, t, _ = tokens.shape
    products = tokens.new_empty(n, heads * t, shared.shape[-1])
    for one, out in zip(tokens, products, strict=True):  # one product for all would need a copy
        torch.bmm(one, shared, out=out.view(heads, t, -1))
    return products


def split_heads(layer: nn.Module, x: Tensor, num_heads: int) -> Float[Tensor, "n heads t d"]:
    """Apply a linear layer and split what comes out into heads."""
    n, t, _ = x.shape
    out: Tensor = layer(x)
    return out.view(n, t, num_heads, -1).transpose(1, 2)


def centred(x: Tensor) -> Tensor:
    """Take off the mean over channels."""
    return x - x.mean(dim=-1, keepdim=True)


class Written:
    """What image-to-token attention writes onto a centred `base`; `rescale` is a layer norm's."""

    def __init__(
        self, attention: Attention, base: Float[Tensor, "hw c"], rescale: Tensor | None = None
    ) -> None:
        self.num_heads = attention.num_heads
        # Layer norm takes off what is the same in all channels, so it is taken off beforehand.
        out = centred(attention.out_proj.weight.t()).t()  # c inner
        self.out = out.t().reshape(self.num_heads, -1, out.shape[0])  # heads d c
        self.overlap = by_head((base if rescale is None else base * rescale) @ out, self.num_heads)

    def factors(self, values: Float[Tensor, "n heads t d"]) -> Float[Tensor, "n j c"]:
        """What each token adds to a cell that attends to it alone, centred."""
        return (values @ self.out).flatten(1, 2)

    def with_base(self, values: Float[Tensor, "n heads t d"]) -> Float[Tensor, "n j hw"]:
        """Products of those factors with the base of every cell."""
        return on_shared(values, self.overlap)

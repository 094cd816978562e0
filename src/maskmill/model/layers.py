"""The two small layers that several components of the model share."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Normalise each pixel over its channels; `b c h w` in and out.

    Source:
        ConvNeXt, by way of the published checkpoints (epsilon 1e-6).
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise over dimension 1."""
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]

    def channels_last(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        """Normalise a tensor whose channels come last; the same numbers, one fused kernel."""
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


class Mlp(nn.Module):
    """A stack of linear layers with ReLU between; used for hypernetworks and the IoU head."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int, num_layers: int) -> None:
        super().__init__()
        dims = [in_dim, *[hidden_dim] * (num_layers - 1), out_dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(dims))

    def forward(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b e"]:
        """Apply the layers."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out

"""The box detector: a light head on what the image encoder made, which says where objects are.

Anchor-free and centre-based, one class "object": for every cell of the finest map it says how
likely an object's box is centred there, and how far that box reaches to each side. It sees the
embedding and, where a model has them, the finer maps; the encoder itself is not changed by it.

Source:
    Zhou et al., "Objects as Points", arXiv 1904.07850; Liu et al., "Training-Time-Friendly
    Network", arXiv 1909.00700, for boxes learned from more than the centre cell.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (96, 64, 32)
"""Channels at strides 16, 8 and 4."""
GROUPS = 8
"""Groups of channels that are normalised together."""
PRIOR = 0.02
"""Chance of a centre that an untrained head gives to every cell."""


class BoxHead(nn.Module):
    """Centres and boxes from an embedding and its finer maps.

    Args:
        channels: Of the embedding and of each finer map, coarse to fine.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        widths = WIDTHS[: len(self.channels)] if len(self.channels) > 1 else WIDTHS[:2]
        # What each channel is like is measured once, on the training images: maps differ in scale.
        for i, count in enumerate(self.channels):
            self.register_buffer(f"mean_{i}", torch.zeros(count, 1, 1))
            self.register_buffer(f"std_{i}", torch.ones(count, 1, 1))
        self.lateral = nn.ModuleList(
            nn.Conv2d(c, w, 1) for c, w in zip(self.channels, widths, strict=False)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(_Block(width) for width in widths[:2])
        width = widths[-1]
        self.out = nn.Sequential(
            nn.GroupNorm(GROUPS, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(GROUPS, width),
            nn.GELU(),
            nn.Conv2d(width, 5, 1),
        )
        last = self.out[-1]
        assert isinstance(last, nn.Conv2d)
        nn.init.normal_(last.weight, std=0.01)
        with torch.no_grad():
            assert last.bias is not None
            last.bias.copy_(torch.tensor([math.log(PRIOR / (1 - PRIOR)), 1.0, 1.0, 1.0, 1.0]))

    @property
    def stride(self) -> int:
        """Input pixels per cell of the answer: 4 with two finer maps, else 8."""
        return 4 if len(self.channels) == 3 else 8

    def measure(self, maps: Sequence[Float[Tensor, "n _c _h _w"]]) -> None:
        """Take note of what each channel is like, from maps of some training images."""
        for i, values in enumerate(maps):
            deviation, mean = torch.std_mean(values.float(), (0, 2, 3))
            getattr(self, f"mean_{i}").copy_(mean[:, None, None])
            getattr(self, f"std_{i}").copy_(deviation[:, None, None] + 1e-4)

    def forward(
        self, embedding: Float[Tensor, "b c h w"], *finer: Float[Tensor, "b _c _h _w"]
    ) -> tuple[Float[Tensor, "b 1 H W"], Float[Tensor, "b 4 H W"]]:
        """Answer for every cell.

        Args:
            embedding: Encoder output.
            *finer: Finer maps, coarse to fine.

        Returns:
            Logits of "an object's box is centred here", and how far the box reaches to the left,
            top, right and bottom of the cell's middle, in pixels of the input frame.
        """
        maps = [
            (values - getattr(self, f"mean_{i}")) / getattr(self, f"std_{i}")
            for i, values in enumerate((embedding, *finer))
        ]
        x = self.blocks[0](self.lateral[0](maps[0]))
        for i, step in enumerate(self.down, 1):
            x = step(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
            if i < len(maps):
                x = x + self.lateral[i](maps[i])
            if i < len(self.blocks):  # none at stride 4, where it would cost most
                x = self.blocks[i](x)
        out: Tensor = self.out(x)
        return out[:, :1], torch.exp(out[:, 1:].clamp(-4, 7)) * self.stride


class _Block(nn.Module):
    """Two normalised 3x3 convolutions around a residual; without norms steps this large diverge."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, width) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            out = conv(F.gelu(norm(out)))
        return x + out

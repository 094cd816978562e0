"""The pixel encoder: what a pixel is like, so that a few strokes on one image tell it on others.

Filters say how a pixel looks, and which of their answers carry over to another image nobody knows
beforehand. This network is taught just that: to give every pixel a descriptor on which a linear
probe, fitted to strokes on some images, is right on others (`scribble.pretrain`). It sees the image
twice, as it is and relative to its own mean and spread, so that it can heed colours where
all images have the same light, and differences where they have not.

Source:
    Ronneberger et al., "U-Net", arXiv 1505.04597, for the shape; Bertinetto et al., "Meta-learning
    with differentiable closed-form solvers", arXiv 1805.08136, for how it is taught.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (32, 48, 64, 80, 80)
"""Channels at strides 2, 4, 8, 16 and 32."""
DESCRIPTORS = 24
"""Channels of the answer."""
STRIDE = 4
"""Pixels a cell of the answer, each way."""
GROUPS = 8
"""Groups of channels that are normalised together."""


class PixelEncoder(nn.Module):
    """Descriptors of every fourth pixel each way."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(6, WIDTHS[0], 5, stride=2, padding=2)
        self.down = nn.ModuleList(
            _Block(before, width, stride=2 if level else 1)
            for level, (before, width) in enumerate(
                zip((WIDTHS[0], *WIDTHS[:-1]), WIDTHS, strict=True)
            )
        )
        self.up = nn.ModuleList(
            _Block(WIDTHS[level + 1] + WIDTHS[level], WIDTHS[level])
            for level in range(1, len(WIDTHS) - 1)
        )
        self.out = nn.Conv2d(WIDTHS[1], DESCRIPTORS, 1)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d rows columns"]:
        """Describe images.

        Args:
            image: RGB from 0 to 1; sides divisible by `STRIDE`.
        """
        spread, mean = torch.std_mean(image, (2, 3), keepdim=True, correction=0)
        x = F.relu(self.stem(torch.cat([image * 2 - 1, (image - mean) / (spread + 0.02)], 1)))
        skipped: list[Tensor] = []
        for block in self.down:
            x = block(x)
            skipped.append(x)
        for level in reversed(range(1, len(skipped) - 1)):
            fine = skipped[level]
            x = F.interpolate(x, size=fine.shape[2:], mode="bilinear", align_corners=False)
            x = self.up[level - 1](torch.cat([x, fine], 1))
        descriptors: Tensor = self.out(x)
        return descriptors


class _Block(nn.Module):
    """Two normalised 3x3 convolutions, the first of which may halve the sides."""

    def __init__(self, width_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(each, width, 3, stride=step, padding=1, bias=False)
            for each, step in ((width_in, stride), (width, 1))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return x

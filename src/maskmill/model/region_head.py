"""The region head: a small U-Net over the image's own pixels and what the image encoder made of it.

The mask decoder draws on a grid of four input pixels, and an encoder that learned from photographs
sees small objects coarsely. Where an image holds many of one kind, as cells or seeds, few labelled
images teach a network that looks at the pixels themselves to outline every one: of each pixel it
says whether it lies in an object, whether an outline runs there, and how deep inside it lies.
`maskmill.regions` floods objects from that. The encoder is not changed by it.

Source:
    Ronneberger et al., "U-Net", arXiv 1505.04597; Bai and Urtasun, "Deep Watershed Transform",
    arXiv 1611.08303, for the depth that is flooded; Chen et al., "DCAN", arXiv 1604.02677, for
    outlines beside insides.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (16, 32, 48, 64, 96)
"""Channels at 1, 1/2, 1/4, 1/8 and 1/16 of the working image."""
MAPS_LEVEL, MAPS_WIDTH = 2, 96
"""Where the model's maps come in, and the channels that they are narrowed to."""
GROUPS = 8
"""Groups of channels that are normalised together."""
ANSWERS = 3
"""Inside, outline, depth."""


class RegionHead(nn.Module):
    """Inside, outline and depth of every pixel.

    Args:
        channels: Of all the model's maps together.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # What each channel is like is measured once, on the training images: maps differ in scale.
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))
        self.narrow = nn.Conv2d(channels, MAPS_WIDTH, 1)
        self.down = nn.ModuleList(_Block(a, b) for a, b in pairwise((3, *WIDTHS)))
        self.up = nn.ModuleList(
            _Block(coarse + fine + (MAPS_WIDTH if level == MAPS_LEVEL else 0), fine)
            for level, (fine, coarse) in enumerate(pairwise(WIDTHS))
        )
        self.out = nn.Conv2d(WIDTHS[0], ANSWERS, 1)

    def measure(self, maps: Sequence[Float[Tensor, "c _h _w"]]) -> None:
        """Take note of what each channel is like, from maps of some training images."""
        told = [torch.std_mean(values.float(), (1, 2)) for values in maps]
        mean = torch.stack([mean for _, mean in told]).mean(0)
        variance = torch.stack([deviation**2 for deviation, _ in told]).mean(0)
        self.mean.copy_(mean[:, None, None])
        self.std.copy_((variance.sqrt() + 1e-3)[:, None, None])

    def forward(
        self, image: Float[Tensor, "b 3 h w"], maps: Float[Tensor, "b c cells_high cells_wide"]
    ) -> Float[Tensor, "b 3 h w"]:
        """Answer for every pixel, in logits.

        Args:
            image: From `regions.working_image`; sides divisible by `regions.MULTIPLE`.
            maps: From `regions.working_maps`, a cell for every four pixels each way.
        """
        skipped: list[Tensor] = []
        x = image
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skipped.append(x)
        told = self.narrow((maps - self.mean) / self.std)
        for level in reversed(range(len(self.up))):
            fine = skipped[level]
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            parts = [x, fine, told] if level == MAPS_LEVEL else [x, fine]
            x = self.up[level](torch.cat(parts, 1))
        answer: Tensor = self.out(x)
        return answer


class _Block(nn.Module):
    """Two normalised 3x3 convolutions."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(each, width, 3, padding=1) for each in (width_in, width)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.gelu(norm(conv(x)))
        return x

"""How like the clicked pixels every other pixel is: the image's own answer to a click.

Nearness (see `prompt_maps`) makes a click draw a blob. Likeness makes it follow what is there: each
pixel gets a short descriptor from the encoder's maps, in a few groups that learn to agree within
different things (a part, an object, a surface), and is compared with the pixels that were clicked.
Like the nearness maps these are added to the masks' logits. They are not part of the paper's model.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

GROUPS = 4
GROUP_WIDTH = 8
"""Descriptors of a pixel, and numbers in each."""
NUM_LIKENESS_MAPS = 2 * GROUPS
FAR = 1000.0  # a squared distance at which likeness is zero


class Likeness(nn.Module):
    """Describe pixels, and compare them with the clicked ones.

    Args:
        chans: Channels of the embedding and of the finer maps, coarse to fine.
    """

    def __init__(self, chans: tuple[int, ...]) -> None:
        super().__init__()
        width = GROUPS * GROUP_WIDTH
        self.describe = nn.ModuleList(nn.Conv2d(c, width, 1, bias=False) for c in chans)
        self.norm = nn.BatchNorm2d(width)

    def descriptors(
        self, maps: tuple[Float[Tensor, "m _c _h _w"], ...]
    ) -> Float[Tensor, "m groups d h w"]:
        """Describe every low-res pixel: four to each side of the embedding's cells.

        Args:
            maps: The embedding and the finer maps, coarse to fine.
        """
        low = 4 * maps[0].shape[-1]
        described = self.describe[0](maps[0])
        for layer, finer in zip(list(self.describe)[1:], maps[1:], strict=True):
            described = F.interpolate(described, scale_factor=2.0, mode="nearest") + layer(finer)
        if described.shape[-1] != low:  # the paper's encoders have no finer maps
            described = F.interpolate(described, size=(low, low), mode="bilinear")
        normal: Tensor = self.norm(described)
        return normal.view(-1, GROUPS, GROUP_WIDTH, low, low)

    def forward(
        self,
        descriptors: Float[Tensor, "m groups d h w"],
        points: Float[Tensor, "n p 2"],
        point_labels: Int[Tensor, "n p"],
    ) -> Float[Tensor, "n maps h w"]:
        """Compare every pixel with the clicked ones.

        Args:
            descriptors: Of one image (`m` = 1) or of one per prompt.
            points: (x, y) of points and box corners as shares of the frame, [0, 1].
            point_labels: 1 foreground, 0 background; all others are ignored.

        Returns:
            Likeness in [0, 1] to the most alike foreground click, one map a group, then the same
            for background clicks. All zero where a prompt has none of the kind.
        """
        m, groups, d, h, w = descriptors.shape
        n = points.shape[0]
        pixels = descriptors.reshape(m, groups, d, h * w)
        # A padding point, which is like nothing, so that a prompt without points has one.
        points, point_labels = F.pad(points, (0, 0, 1, 0)), F.pad(point_labels, (1, 0), value=-1)
        column = (points[..., 0] * w).long().clamp(0, w - 1)
        cells = (points[..., 1] * h).long().clamp(0, h - 1) * w + column  # n p
        if m == 1:
            # Chosen from the last axis: from a middle one a graph would turn the whole map around.
            chosen = pixels.squeeze(0).index_select(2, cells.flatten())
            clicked = chosen.view(groups, d, n, -1).permute(2, 0, 3, 1)  # n groups p d
        else:
            index = cells[:, None, None].expand(-1, groups, d, -1)
            clicked = pixels.gather(3, index).transpose(2, 3)
        # |a - b|^2 as |a|^2 - 2ab + |b|^2: one product instead of a difference per number.
        distance = (
            clicked.square().sum(-1, keepdim=True)
            - 2 * (clicked @ pixels)
            + pixels.square().sum(2, keepdim=True)
        ) / d  # n groups p hw
        found = []
        for label in (1, 0):
            away = ((point_labels != label) * FAR).to(points.dtype)[:, None, :, None]
            found.append(torch.exp(-(distance + away).amin(2).clamp(min=0)))
        return torch.cat(found, dim=1).view(n, NUM_LIKENESS_MAPS, h, w)


def comparable(pixels: Float[Tensor, "groups d hw"]) -> Float[Tensor, "groups d_and_2 hw"]:
    """Add to descriptors what `likeness_to_cells` needs: their squared lengths, and ones."""
    squares = pixels.square().sum(1, keepdim=True)
    return torch.cat([pixels, squares, torch.ones_like(squares)], dim=1)


def likeness_to_cells(
    pixels: Float[Tensor, "groups d_and_2 hw"], cells: Int[Tensor, " n"]
) -> Float[Tensor, "n groups hw"]:
    """Compare every pixel with some of them, as `Likeness` does for single foreground clicks.

    Args:
        pixels: Descriptors of one image, from `comparable`.
        cells: Index of each clicked pixel.
    """
    d = pixels.shape[1] - 2
    clicked = pixels.index_select(2, cells).transpose(1, 2)  # groups n d+2
    descriptors, square = clicked[..., :d], clicked[..., d : d + 1]
    # The exponent -|a - b|^2 / d, as one product with what a pixel is compared by.
    asked = torch.cat([2 * descriptors, -torch.ones_like(square), -square], dim=2) / d
    return torch.bmm(asked, pixels).clamp_(max=0).exp_().transpose(0, 1)

"""Prompts as maps: how near each pixel is to the clicks, and whether the box holds it.

A token says where a click is only through its position encoding, and a decoder needs millions of
examples to learn what "near" means from that. These maps say it outright: each mask token adds them
to its logits with weights of its own. They are not part of the paper's model; they are what lets a
small one learn from few photographs.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

REACHES = (0.02, 0.05, 0.12, 0.3)
"""Deviations of the bells around a click, shares of the frame's side: a screw, a cup, a car."""
NUM_PROMPT_MAPS = 2 * len(REACHES) + 2


def prompt_maps(
    points: Float[Tensor, "n p 2"], point_labels: Int[Tensor, "n p"], side: int
) -> Float[Tensor, "n m side side"]:
    """Draw prompts as maps.

    Args:
        points: (x, y) of points and box corners as shares of the frame, [0, 1].
        point_labels: 1 foreground, 0 background, 2 and 3 a box's corners, -1 padding.
        side: Side of the maps, pixels.

    Returns:
        `NUM_PROMPT_MAPS` maps in [0, 1]: a bell of each reach around the nearest foreground click,
        the same for background, the part of each pixel that is inside the box, and a dome over the
        box. All zero where a prompt has none of the kind.

    Example:
        >>> maps = prompt_maps(torch.tensor([[[0.5, 0.5]]]), torch.tensor([[1]]), 8)
        >>> maps.shape, bool(maps[0, 4:].any())
        (torch.Size([1, 10, 8, 8]), False)
    """
    # A padding point, which is nothing, so that a prompt without points has one to be far from.
    points = F.pad(points, (0, 0, 1, 0))
    point_labels = F.pad(point_labels, (1, 0), value=-1)
    centres = pixel_centres(side, points)
    down, across = bells_by_axis(points, centres)  # each n p reach side
    bells = []
    for label in (1, 0):
        of_kind = (point_labels == label).to(points.dtype)[..., None, None]
        # The bell around the nearest click is the highest of all clicks' bells.
        bells.append((down[..., None] * (across * of_kind)[..., None, :]).amax(1))
    box = torch.stack(_box_maps(points, point_labels, centres), dim=1)
    return torch.cat([*bells, box], dim=1)


def pixel_centres(side: int, like: Tensor) -> Float[Tensor, " side"]:
    """Place the centres of a map's pixels, as shares of the frame."""
    return (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side


def bells_by_axis(
    points: Float[Tensor, "*n 2"], centres: Float[Tensor, " side"]
) -> tuple[Float[Tensor, "*n reach side"], Float[Tensor, "*n reach side"]]:
    """Draw the bells around points along each axis; a bell is the product of its two sections.

    So a map costs a product per pixel and no exponential.

    Args:
        points: (x, y) as shares of the frame.
        centres: From `pixel_centres`.

    Returns:
        Sections down the image, and across it.
    """
    narrow = -0.5 / points.new_tensor(REACHES).square()[:, None]  # reach 1
    across = torch.exp((centres - points[..., :1, None]) ** 2 * narrow)
    down = torch.exp((centres - points[..., 1:, None]) ** 2 * narrow)
    return down, across


def _box_maps(
    points: Float[Tensor, "n p 2"], point_labels: Int[Tensor, "n p"], centres: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw the inside of each prompt's box, with soft edges, and a dome over it."""
    first, last = (
        (points * (point_labels == label)[..., None]).sum(1)[..., None]  # n 2 1
        for label in (2, 3)
    )
    boxed = (point_labels == 2).any(1).to(points.dtype)[:, None, None]
    half = (last - first) / 2
    off = (centres - (first + last) / 2).abs()  # n 2 side
    inside = ((half - off) * len(centres) + 0.5).clamp(0, 1)
    dome = (1 - (off / half.clamp(min=0.5 / len(centres))) ** 2).clamp(min=0)
    return (
        boxed * inside[:, 1, :, None] * inside[:, 0, None],
        boxed * dome[:, 1, :, None] * dome[:, 0, None],
    )

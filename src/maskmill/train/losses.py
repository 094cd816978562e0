"""Losses on low-res mask logits; targets may be soft, an area-averaged mask holds sub-pixel edges.

All functions keep one number per mask and reduce over its pixels only: which of the three
candidates is taught, and with which weight, is decided by the caller.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def focal_loss(
    logits: Float[Tensor, "*n h w"], target: Float[Tensor, "*n h w"], *, gamma: float = 2.0
) -> Float[Tensor, "*n"]:
    """Measure the sigmoid focal loss, averaged over pixels.

    Args:
        logits: Un-thresholded masks.
        target: Share of each pixel that belongs to the object, [0, 1].
        gamma: How strongly easy pixels are muted; 0 is cross entropy.

    Returns:
        One loss per mask.

    Source:
        Lin et al., arXiv 1708.02002, with the balance alpha 0.25 that the paper's sources use.
    """
    alpha = 0.25
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p = logits.sigmoid()
    p_target = p * target + (1 - p) * (1 - target)
    balance = alpha * target + (1 - alpha) * (1 - target)
    return (balance * bce * (1 - p_target) ** gamma).mean((-2, -1))


def bce_loss(
    logits: Float[Tensor, "*n h w"], target: Float[Tensor, "*n h w"]
) -> Float[Tensor, "*n"]:
    """Measure the binary cross entropy, averaged over pixels; arguments as in `focal_loss`."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((-2, -1))


def dice_loss(
    logits: Float[Tensor, "*n h w"], target: Float[Tensor, "*n h w"]
) -> Float[Tensor, "*n"]:
    """Measure one minus the soft dice overlap, smoothed by one pixel; arguments as in `focal_loss`.

    Source:
        Milletari et al., arXiv 1606.04797.
    """
    p = logits.sigmoid()
    overlap = (p * target).sum((-2, -1))
    total = p.sum((-2, -1)) + target.sum((-2, -1))
    return 1 - (2 * overlap + 1) / (total + 1)


def sketch_loss(
    sketches: Float[Tensor, "n k hw"], drawn: Float[Tensor, "n k low low"]
) -> Float[Tensor, ""]:
    """Measure how far sketches are from the masks that were drawn, which are not moved.

    Args:
        sketches: Logits per cell of the embedding, row by row.
        drawn: Low-res mask logits, a whole number of times as fine.

    Returns:
        Cross entropy against each cell's mean probability, averaged over all.
    """
    side = int(sketches.shape[-1] ** 0.5)
    shares = F.avg_pool2d(drawn.detach().float().sigmoid(), drawn.shape[-1] // side)
    return F.binary_cross_entropy_with_logits(sketches.float(), shares.flatten(2))


@torch.no_grad()
def mask_iou(
    logits: Float[Tensor, "*n h w"], target: Float[Tensor, "*n h w"]
) -> Float[Tensor, "*n"]:
    """Measure the IoU of thresholded masks; two empty masks score 0.

    Args:
        logits: Un-thresholded masks, cut at 0.
        target: Soft masks, cut at one half.

    Returns:
        IoU in [0, 1].

    Example:
        >>> mask_iou(torch.tensor([[1.0, 1.0, -1.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
        tensor(0.5000)
    """
    mask, truth = logits > 0, target > 0.5
    union = (mask | truth).sum((-2, -1))
    return (mask & truth).sum((-2, -1)) / union.clamp(min=1)

"""What everything mode's predicted IoU is: of a mask with the best thing it could be.

A click's predicted IoU says how well a mask fits what was meant by that click. A grid's points mean
nothing; there the question is whether the mask is of anything at all, and a number taught on clicks
ranks such masks hardly better than chance. So a grid corrects it by how large and how undecided the
mask is: once by its sketch, to know which masks are worth drawing, and again when it is drawn. Not
of the paper's model.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.model.layers import Mlp

HIDDEN_DIM = 16
"""Width of the correcting networks: they see three numbers."""
LOGIT_OFFSET = 1.0
"""How far the cut-off is moved to see how undecided a drawn mask is, as for stability scores."""


class GridIou(nn.Module):
    """Turn a click's predicted IoU into a grid point's.

    `promise` goes by the sketch and is taught to be hardly ever too low; `worth` goes by the mask
    that was drawn and is what everything mode tells. A fresh one of either changes nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.promise, self.worth = Correction(), Correction()


class Correction(nn.Module):
    """A small network that corrects predicted IoU by a mask's size and doubt."""

    def __init__(self) -> None:
        super().__init__()
        self.head = Mlp(3, HIDDEN_DIM, 1, 3)
        nn.init.zeros_(self.head.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head.layers[-1].bias)  # type: ignore[arg-type]

    def forward(
        self,
        predicted_iou: Float[Tensor, "*n"],
        share: Float[Tensor, "*n"],
        doubt: Float[Tensor, "*n"],
    ) -> Float[Tensor, "*n"]:
        """Correct predicted IoU.

        Args:
            predicted_iou: As for a click.
            share: What part of the frame the mask covers, [0, 1].
            doubt: How undecided it is, about [0, 1]; see `mask_reader.share_and_doubt` for a sketch
                and `drawn_share_and_doubt` for a mask.

        Returns:
            IoU with the best object or union of objects. It is not held to [0, 1]: two masks that
            are as good as can be, or as bad, are still told apart.
        """
        # About one in size each: a mask of 5 % of the frame is 0 here, one of 0.1 % is -1.6.
        known = torch.stack([predicted_iou, (share + 1e-3).log() / 2 + 1.5, 4 * doubt], dim=-1)
        corrected: Tensor = predicted_iou + self.head(known)[..., 0]
        return corrected


def drawn_share_and_doubt(
    masks: Float[Tensor, "n k low_h low_w"],
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Measure drawn masks (logits).

    Returns:
        The part of the frame that each covers, [0, 1]; and how undecided it is: one minus its
        stability score, 0 where it stays the same when the cut-off moves.
    """
    share = (masks > 0).float().mean((2, 3))
    inner = (masks > LOGIT_OFFSET).float().sum((2, 3))
    outer = (masks > -LOGIT_OFFSET).float().sum((2, 3))
    return share, 1 - inner / outer.clamp(min=1)

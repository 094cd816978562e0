"""What a mask covers, before it is drawn: the ground on which its IoU is predicted.

The paper predicts IoU from one token. That token must guess what the three masks will look like;
here each mask token first sketches its mask on the coarse keys, and the sketch says which cells to
average inside and outside of it. What stands inside, what outside, how large and how undecided the
sketch is: from these a small network corrects the paper's prediction. Not of the paper's model.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.model.layers import Mlp


def share_and_doubt(
    sketches: Float[Tensor, "n k hw"],
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Measure sketches (logits).

    Returns:
        The part of the frame that each covers, [0, 1]; and how undecided it is: the mean of its
        cells' variance over that part, 0 where every cell is sure.
    """
    p = sketches.sigmoid()
    share = p.mean(2)
    return share, (p * (1 - p)).mean(2) / (share + 0.01)


class MaskReader(nn.Module):
    """Sketch masks on the coarse keys and correct their predicted IoU.

    Args:
        dim: Channels of tokens and keys.
        hidden_dim: Width of the correcting network.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        inner = dim // 4
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.head = Mlp(2 * dim + 2 * inner + 2, hidden_dim, 1, 3)
        nn.init.zeros_(self.head.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.head.layers[-1].bias)  # type: ignore[arg-type]

    def queries(self, mask_tokens: Float[Tensor, "n k c"]) -> Float[Tensor, "n k d"]:
        """Say what each mask token looks for; its product with a cell's key is the sketch."""
        scaled: Tensor = self.q_proj(mask_tokens) / math.sqrt(self.q_proj.out_features)
        return scaled

    @staticmethod
    def weights(sketches: Float[Tensor, "n k hw"]) -> Float[Tensor, "n sides hw"]:
        """Turn sketches (logits) into averages over the inside of each, then over the outside."""
        inside = sketches.sigmoid()
        both = torch.cat([inside, 1 - inside], dim=1)
        normal: Tensor = both / both.sum(2, keepdim=True).clamp(min=1e-6)
        return normal

    def correct(
        self,
        iou_token: Float[Tensor, "n c"],
        mask_tokens: Float[Tensor, "n k c"],
        sketches: Float[Tensor, "n k hw"],
        averages: Float[Tensor, "n sides d"],
    ) -> Float[Tensor, "n k"]:
        """Return what to add to the predicted IoU of each mask."""
        inside, outside = averages.chunk(2, dim=1)
        share, doubt = (x[..., None] for x in share_and_doubt(sketches))
        everywhere = iou_token[:, None].expand_as(mask_tokens)
        known = torch.cat([everywhere, mask_tokens, inside, outside, share, doubt], dim=2)
        added: Tensor = self.head(known)
        return added[..., 0]

    def forward(
        self,
        iou_token: Float[Tensor, "n c"],
        mask_tokens: Float[Tensor, "n k c"],
        keys: Float[Tensor, "n hw c"],
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k hw"]]:
        """Return what to add to the predicted IoU, and the sketches it rests on."""
        sketches = self.queries(mask_tokens) @ self.k_proj(keys).transpose(1, 2)
        averages = self.weights(sketches) @ self.v_proj(keys)
        return self.correct(iou_token, mask_tokens, sketches, averages), sketches

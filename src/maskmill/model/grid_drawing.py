"""Draws the masks of prompts that `grid_decoder` has decoded, one prompt after the other.

What all prompts of an image share is made once: the upscaled base, the finer maps with every bias
folded in, the pixels' descriptors. The rest of a prompt stays within a core's cache. The masks are
those of `MaskDecoder.draw` up to float rounding.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.model.likeness import likeness_to_cell
from maskmill.model.low_rank import Keys
from maskmill.model.mask_decoder import blocks_of_cells
from maskmill.model.prompt_maps import REACHES, bells_by_axis, pixel_centres
from maskmill.model.sam import Sam

NUMBERS_AT_ONCE = 1 << 17
"""About the size of the largest temporary while cells are upscaled: what a core's cache holds."""


class Drawing:
    """Draw three candidates for single foreground points; made once per image.

    Args:
        sam: The model.
        embedding: From `sam.encode`, one image.
        high_res: From `sam.encode`.
        base: The shared part of the keys that leave the transformer.
        constant: What its last norm adds to every cell.
    """

    def __init__(
        self,
        sam: Sam,
        embedding: Float[Tensor, "1 c h w"],
        high_res: tuple[Float[Tensor, "1 _c _h _w"], ...],
        base: Float[Tensor, "hw c"],
        constant: Float[Tensor, " c"],
    ) -> None:
        self.decoder = sam.mask_decoder
        up1, self.norm, _, up2, _ = self.decoder.output_upscaling
        self.weight1, bias1 = _unshuffled(up1)
        self.weight2, bias2 = _unshuffled(up2)
        self.base = base @ self.weight1.t()
        rest = F.linear(constant, self.weight1, bias1)
        count = len(base)
        # What is added after each of the two steps, biases and finer maps in one.
        finer = [blocks_of_cells(x, cell)[0] for x, cell in zip(high_res, (2, 4), strict=False)]
        self.rest1 = rest + finer[0] if finer else rest.expand(count, -1)
        self.rest2 = bias2 + finer[1].view(count * 4, -1) if finer else bias2.expand(count * 4, -1)
        described = sam.describe(embedding, high_res)
        if described is not None:
            self.pixels = described[0].flatten(2)
            self.squares = self.pixels.square().sum(1, keepdim=True)
        parts = -(-4 * count * len(bias2) // NUMBERS_AT_ONCE)
        self.cells_at_once = -(-count // parts)
        # Pixels are upscaled cell by cell, each split 2x2 and again 2x2.
        side = self.decoder.embedding_side
        order = torch.arange(16 * count, device=base.device).view(side, side, 2, 2, 2, 2)
        self.reading_order = order.permute(0, 2, 4, 1, 3, 5).flatten()

    def draw(
        self,
        mask_tokens: Float[Tensor, "n 3 c"],
        keys: list[Keys],
        places: Float[Tensor, "n 2"],
    ) -> Float[Tensor, "n 3 low_h low_w"]:
        """Draw prompts by their tokens for ambiguous prompts, their keys and their points.

        Args:
            mask_tokens: As the transformer left them.
            keys: One each, without the dimension of prompts.
            places: (x, y) as shares of the frame.
        """
        mlps = list(self.decoder.output_hypernetworks_mlps)[1:]
        hyper = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(mlps)], dim=1)
        (n, k, _), low = hyper.shape, 4 * self.decoder.embedding_side
        masks = hyper.new_empty(n, k, low * low)
        for i in range(n):
            torch.index_select(self._pixels(hyper[i], keys[i]), 1, self.reading_order, out=masks[i])
        square = masks.view(n, k, low, low)
        self._add_nearness(square, mask_tokens, places)
        self._add_likeness(masks, mask_tokens, places)
        return square

    def _pixels(self, hyper: Float[Tensor, "k c_low"], keys: Keys) -> Float[Tensor, "k pixels"]:
        """Upscale the image of one prompt, and read its masks off, cell by cell."""
        factors = keys.factors @ self.weight1.t()
        pixels = hyper.new_empty(len(hyper), 16 * len(self.base))
        for start in range(0, len(self.base), self.cells_at_once):
            cells = slice(start, min(start + self.cells_at_once, len(self.base)))
            x = torch.addcmul(self.rest1[cells], self.base[cells], keys.scale[0, cells, None])
            x = x.addmm_(keys.coefficients[:, cells].t(), factors)
            x = F.gelu(self.norm.channels_last(x.view(4 * len(x), -1)))  # type: ignore[operator]
            x = (x @ self.weight2.t()).add_(self.rest2[4 * cells.start : 4 * cells.stop])
            x = F.gelu(x).view(4 * len(x), -1)
            torch.mm(hyper, x.t(), out=pixels[:, 16 * cells.start : 16 * cells.stop])
        return pixels

    def _add_nearness(
        self,
        masks: Float[Tensor, "n k low_h low_w"],
        tokens: Float[Tensor, "n k c"],
        places: Float[Tensor, "n 2"],
    ) -> None:
        """Add the bells around each prompt's point, which are products and never written out."""
        if self.decoder.prompt_map_head is None:
            return
        weights = self.decoder.prompt_map_head(tokens)[..., : len(REACHES)]  # those of foreground
        down, across = bells_by_axis(places, pixel_centres(masks.shape[-1], places))
        weighted = (weights[..., None] * down[:, None]).transpose(2, 3)  # n k low_h reach
        for i in range(len(masks)):
            masks[i] += weighted[i] @ across[i]

    def _add_likeness(
        self,
        masks: Float[Tensor, "n k pixels"],
        tokens: Float[Tensor, "n k c"],
        places: Float[Tensor, "n 2"],
    ) -> None:
        """Add how like the pixel of each prompt's point all others are."""
        if self.decoder.likeness_head is None:
            return
        weights = self.decoder.likeness_head(tokens)[..., : len(self.pixels)]  # of foreground
        low = 4 * self.decoder.embedding_side
        column, row = (places * low).long().clamp(0, low - 1).unbind(1)
        for i, cell in enumerate((row * low + column).tolist()):
            masks[i].addmm_(weights[i], likeness_to_cell(self.pixels, self.squares, cell))


def _unshuffled(conv: nn.Module) -> tuple[Float[Tensor, "c4 c"], Float[Tensor, " c4"]]:
    """Return a 2x2 transposed convolution of stride 2 as a linear layer to the four sub-pixels."""
    weight, bias = conv.weight, conv.bias  # c out 2 2
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return weight.permute(2, 3, 1, 0).flatten(0, 2), bias.repeat(4)

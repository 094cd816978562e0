"""Draws the masks of prompts that `grid_decoder` has decoded.

What all prompts of an image share is made once: the upscaled base, the finer maps with every bias
folded in, the pixels' descriptors. Upscaling splits every cell 2x2 twice; here each of the upper
and lower halves is a product of its own, so that pixels come out row by row and each temporary
stays within a core's cache. The masks are those of `MaskDecoder.draw` up to float rounding.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.model.likeness import comparable, likeness_to_cells
from maskmill.model.low_rank import Writing
from maskmill.model.mask_decoder import MaskDecoder, blocks_of_cells
from maskmill.model.prompt_maps import REACHES, bells_by_axis, pixel_centres
from maskmill.model.sam import Sam

NUMBERS_AT_ONCE = 1 << 17
"""About the size of one prompt's largest temporary: what a core's cache holds."""


class Canvas(NamedTuple):
    """What all prompts of an image share of their masks.

    Cells are `hw`; c1 and c2 are the channels after the first and the second step. `base` and
    `rest1` are `2 hw 2*c1`, upper halves of the cells first: the first step's answer to the keys'
    base, and what is added to it. `rest2` (2 2*hw 2 2*c2, or 1 1 2 2*c2) is added after the second
    step. `pixels` are what pixels are compared by, of one group for a model that does not use it.
    """

    base: Tensor
    rest1: Tensor
    rest2: Tensor
    pixels: Tensor


def canvas(
    sam: Sam,
    embedding: Float[Tensor, "1 c h w"],
    high_res: tuple[Float[Tensor, "1 _c _h _w"], ...],
    base: Float[Tensor, "hw c"],
    constant: Float[Tensor, " c"],
) -> Canvas:
    """Prepare an image for drawing.

    Args:
        sam: The model.
        embedding: From `sam.encode`, one image.
        high_res: From `sam.encode`.
        base: The shared part of the keys that leave the transformer.
        constant: What its last norm adds to every cell.
    """
    up1, _, _, up2, _ = sam.mask_decoder.output_upscaling
    weight1, bias1 = _in_halves(up1)
    _, bias2 = _in_halves(up2)
    rest1 = (weight1 @ constant + bias1)[:, None]  # 2 1 2*c1
    rest2 = bias2[None, None]  # 1 1 2 2*c2
    if finer := sam.mask_decoder.finer(high_res):
        count, eighth, quarter = len(base), *finer[:2]
        # blocks_of_cells gives hw (y1 x1 c1), and hw (y1 x1 y2 x2 c2) for the finer map.
        rest1 = rest1 + blocks_of_cells(eighth, 2)[0].view(count, 2, -1).transpose(0, 1)
        fine = blocks_of_cells(quarter, 4)[0].view(count, 2, 2, 2, -1).transpose(0, 1)
        rest2 = rest2 + fine.reshape(2, count * 2, 2, -1)
    else:
        rest1 = rest1.expand(2, len(base), -1)
    described = sam.describe(embedding, high_res)
    pixels = base.new_zeros(1, 1, 1) if described is None else described[0].flatten(2)
    return Canvas(base @ weight1.transpose(1, 2), rest1, rest2, comparable(pixels))


def draw(
    sam: Sam,
    shared: Canvas,
    mask_tokens: Float[Tensor, "n 3 c"],
    writings: tuple[Writing, Writing],
    places: Float[Tensor, "n 2"],
) -> Float[Tensor, "n 3 low_h low_w"]:
    """Draw three candidates for single foreground points.

    Args:
        sam: The model.
        shared: From `canvas`.
        mask_tokens: As the transformer left them, those for ambiguous prompts.
        writings: What the transformer wrote onto the keys.
        places: (x, y) as shares of the frame.
    """
    decoder = sam.mask_decoder
    masks = _upscaled(decoder, shared, _own(decoder, mask_tokens, writings))
    near, like = decoder.prompt_map_head, decoder.likeness_head
    if near is not None:
        masks = masks.add_(_nearness(near, mask_tokens, places, masks))
    if like is not None:
        masks = masks.add_(_likeness(like, mask_tokens, places, shared.pixels, masks))
    return masks


class _Own(NamedTuple):
    """What is a prompt's own: `hyper` n k c2, and what was written onto the upscaled base.

    `scale` is `n hw 1`, `written` `n hw j` and `factors`, of upper and lower halves, `n j 2*c1`.
    """

    hyper: Tensor
    scale: Tensor
    written: Tensor
    factors: tuple[Tensor, Tensor]


def _own(
    decoder: MaskDecoder, mask_tokens: Float[Tensor, "n k c"], writings: tuple[Writing, Writing]
) -> _Own:
    mlps = list(decoder.output_hypernetworks_mlps)[1:]
    hyper = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(mlps)], dim=1)
    first, second = writings
    scale = second.scale * first.scale
    written = torch.cat([first.attention * scale, second.attention * second.scale], dim=1)
    factors = torch.cat([first.factors, second.factors], dim=1)
    upper, lower = (factors @ weight.t() for weight in _in_halves(decoder.output_upscaling[0])[0])
    return _Own(hyper, scale.transpose(1, 2), written.transpose(1, 2), (upper, lower))


def _upscaled(decoder: MaskDecoder, shared: Canvas, own: _Own) -> Float[Tensor, "n k low_h low_w"]:
    """Upscale the image of each prompt, and read its masks off, some rows of cells at a time."""
    side = decoder.embedding_side
    band = max(1, NUMBERS_AT_ONCE // (side * shared.base.shape[-1]))
    bands = []
    for top in range(0, side, band):
        bottom = min(top + band, side)
        rows = [*_pixel_rows(decoder, shared, own, slice(top * side, bottom * side))]
        # Each n k (h w x1 x2): every fourth row of the mask, from the first to the fourth.
        split = [row.view(*row.shape[:2], bottom - top, 4 * side) for row in rows]
        bands.append(torch.stack(split, dim=3).flatten(2, 3))
    return torch.cat(bands, dim=2)


def _pixel_rows(
    decoder: MaskDecoder, shared: Canvas, own: _Own, cells: slice
) -> Iterator[Float[Tensor, "n k pixels"]]:
    """Yield the masks of some cells: of the first, second, third and fourth row in each cell."""
    _, norm, _, up2, _ = decoder.output_upscaling
    weight2, _ = _in_halves(up2)
    n = own.hyper.shape[0]
    for upper in range(2):
        x = own.scale[:, cells] * shared.base[upper, cells] + shared.rest1[upper, cells]
        x = torch.baddbmm(x, own.written[:, cells], own.factors[upper])
        x = F.gelu(norm.channels_last(x.view(n, 2 * x.shape[1], -1)))  # type: ignore[operator]
        rest2 = shared.rest2[min(upper, len(shared.rest2) - 1)]
        if len(rest2) > 1:
            rest2 = rest2[2 * cells.start : 2 * cells.stop]
        for half in range(2):
            y = F.gelu((x @ weight2[half].t()).add_(rest2[:, half]))
            yield own.hyper @ y.view(n, 2 * y.shape[1], -1).transpose(1, 2)


def _nearness(
    head: nn.Module,
    tokens: Float[Tensor, "n k c"],
    places: Float[Tensor, "n 2"],
    like: Float[Tensor, "n k low_h low_w"],
) -> Float[Tensor, "n k low_h low_w"]:
    """Weigh the bells around each prompt's point, which are products and never written out."""
    weights = head(tokens)[..., : len(REACHES)]  # those of foreground
    down, across = bells_by_axis(places, pixel_centres(like.shape[-1], places))
    weighted = (weights[..., None] * down[:, None]).transpose(2, 3)  # n k low_h reach
    return torch.bmm(weighted.flatten(1, 2), across).view(like.shape)


def _likeness(
    head: nn.Module,
    tokens: Float[Tensor, "n k c"],
    places: Float[Tensor, "n 2"],
    pixels: Float[Tensor, "groups d hw"],
    like: Float[Tensor, "n k low_h low_w"],
) -> Float[Tensor, "n k low_h low_w"]:
    """Weigh how like the pixel of each prompt's point all others are."""
    weights = head(tokens)[..., : len(pixels)]  # those of foreground
    low = like.shape[-1]
    column, row = (places * low).long().clamp(0, low - 1).unbind(1)
    alike = likeness_to_cells(pixels, row * low + column)
    return torch.bmm(weights, alike).view(like.shape)


def _in_halves(conv: nn.Module) -> tuple[Float[Tensor, "2 c2 c"], Float[Tensor, "2 c2"]]:
    """Return a 2x2 transposed convolution of stride 2 as linear layers to upper and lower pixels.

    Each gives a pair of pixels, left and right, with their channels.
    """
    weight, bias = conv.weight, conv.bias  # c out 2 2
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return weight.permute(2, 3, 1, 0).flatten(1, 2), bias.repeat(2).expand(2, -1)

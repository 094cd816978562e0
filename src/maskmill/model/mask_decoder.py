"""From an image embedding and prompt tokens to masks and their predicted IoU.

Upscaling works on rows of channels, not on maps: a 2x2 transposed convolution with stride 2 is one
linear layer whose output holds the four sub-pixels of each cell, so cells stay in reading order and
only the finished masks are shuffled into place. Same weights and numbers as the paper's decoder,
less memory.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.config import DecoderConfig
from maskmill.model.grid_iou import GridIou
from maskmill.model.layers import LayerNorm2d, Mlp
from maskmill.model.likeness import NUM_LIKENESS_MAPS
from maskmill.model.mask_reader import MaskReader
from maskmill.model.prompt_maps import NUM_PROMPT_MAPS
from maskmill.model.transformer import TwoWayTransformer


class Attended(NamedTuple):
    """What the transformer made of `n` prompts, before any mask is drawn.

    `mask_tokens` is `n 4 c` (one mask, then three for ambiguous prompts), `predicted_iou` `n 4`,
    `keys`, the image as each prompt sees it, `n hw c`, and `sketches` `n 4 hw` are the masks on the
    coarse keys, in logits; None for a model that predicts IoU from one token.
    """

    mask_tokens: Tensor
    predicted_iou: Tensor
    keys: Tensor
    sketches: Tensor | None = None

    def rows(self, index: Tensor) -> "Attended":
        """Keep some prompts only, by index or by a boolean mask."""
        sketches = None if self.sketches is None else self.sketches[index]
        return Attended(
            self.mask_tokens[index], self.predicted_iou[index], self.keys[index], sketches
        )


def blocks_of_cells(x: Float[Tensor, "b c hs ws"], cell: int) -> Float[Tensor, "b hw c_cells"]:
    """Bring a finer map into the order of a coarser map's cells.

    Args:
        x: A map `cell` times as fine as the embedding.
        cell: 2, or 4 for the map that two 2x2 upscalings make.

    Returns:
        For each cell of the embedding its sub-pixels, in the order in which repeated 2x2 upscaling
        makes them, with their channels: `cell * cell * c` numbers.
    """
    b, c, hs, ws = x.shape
    h, w = hs // cell, ws // cell
    # Channels last first: then whole rows of channels move, three times as fast as single numbers.
    x = x.flatten(2).transpose(1, 2)
    if torch.compiler.is_exporting():
        # ONNX Runtime would join this transposition with the next one again, but for a product.
        x = x @ torch.eye(c)
    if cell == 2:
        x = x.reshape(b, h, 2, w, 2, c).permute(0, 1, 3, 2, 4, 5)
    else:
        x = x.reshape(b, h, 2, 2, w, 2, 2, c).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return x.reshape(b, h * w, cell * cell * c)


class MaskDecoder(nn.Module):
    """Predict masks for prompts on one image, or on one image per prompt.

    Args:
        config: Widths and depths.
        embedding_side: Side of the image embedding, cells.
    """

    def __init__(self, config: DecoderConfig, *, embedding_side: int) -> None:
        super().__init__()
        dim = config.transformer_dim
        self.embedding_side = embedding_side
        self.num_mask_tokens = config.num_multimask_outputs + 1
        self.high_res = config.high_res
        self.transformer = TwoWayTransformer(
            depth=config.depth,
            embedding_dim=dim,
            num_heads=config.num_heads,
            mlp_dim=config.mlp_dim,
        )
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            Mlp(dim, dim, dim // 8, 3) for _ in range(self.num_mask_tokens)
        )
        self.iou_prediction_head = Mlp(
            dim, config.iou_head_hidden_dim, self.num_mask_tokens, config.iou_head_depth
        )
        self.prompt_map_head = _zeros(dim, NUM_PROMPT_MAPS) if config.prompt_maps else None
        self.likeness_head = _zeros(dim, NUM_LIKENESS_MAPS) if config.likeness else None
        self.mask_reader: MaskReader | None = None
        if config.read_masks:
            self.mask_reader = MaskReader(dim, config.iou_head_hidden_dim)
        # Only `grid_decoder` asks it; without sketches it would have nothing to go by.
        self.grid_iou = GridIou() if config.grid_iou and config.read_masks else None

    def attend(
        self,
        keys: Float[Tensor, "m hw c"],
        key_pe: Float[Tensor, "1 hw c"],
        sparse: Float[Tensor, "n p c"],
    ) -> Attended:
        """Run the transformer and the IoU head, and draw nothing yet.

        Args:
            keys: Image embedding plus dense mask prompts; batch 1 where all prompts share them.
            key_pe: Position of every cell.
            sparse: Prompt tokens.
        """
        output_tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        expanded = output_tokens.unsqueeze(0).expand(sparse.shape[0], -1, -1)
        tokens, keys = self.transformer(keys, key_pe, torch.cat([expanded, sparse], dim=1))
        iou_token, mask_tokens = tokens[:, 0], tokens[:, 1 : 1 + self.num_mask_tokens]
        predicted_iou = self.iou_prediction_head(iou_token)
        if self.mask_reader is None:
            return Attended(mask_tokens, predicted_iou, keys)
        correction, sketches = self.mask_reader(iou_token, mask_tokens, keys)
        return Attended(mask_tokens, predicted_iou + correction, keys, sketches)

    def draw(
        self,
        attended: Attended,
        high_res: tuple[Float[Tensor, "_ _ _ _"], ...],
        chosen: slice,
        maps: Float[Tensor, "n m low_h low_w"] | None = None,
    ) -> Float[Tensor, "n k low_h low_w"]:
        """Upscale the image of each prompt and read its masks off it.

        Args:
            attended: Prompts that deserve a mask.
            high_res: Finer maps, coarse to fine (strides 8 and 4), or none; batch 1 or `n`.
            chosen: Which of the mask tokens to draw.
            maps: Nearness and likeness to the prompts, for a model that adds them to its masks.

        Returns:
            Low-res mask logits, a quarter of the input frame's side.
        """
        mlps = list(self.output_hypernetworks_mlps)[chosen]
        tokens = attended.mask_tokens[:, chosen]
        hyper = torch.stack([mlp(tokens[:, i]) for i, mlp in enumerate(mlps)], dim=-1)  # n c/8 k
        cells = self._upscale(attended.keys, self.finer(high_res)) @ hyper  # n hw*16 k
        n, k, side = hyper.shape[0], len(mlps), self.embedding_side
        # Cells in reading order, each split 2x2 and again 2x2: y = (h, y1, y2), x = (w, x1, x2).
        cells = cells.reshape(n, side, side, 2, 2, 2, 2, k).permute(0, 1, 3, 5, 2, 4, 6, 7)
        masks = cells.reshape(n, -1, k).transpose(1, 2).reshape(n, k, 4 * side, 4 * side)
        return masks if maps is None else masks + self.weigh(tokens, maps)

    def finer(self, high_res: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the finer maps that masks are drawn with: none in a model that does without."""
        return high_res if self.high_res else ()

    def weigh(
        self, tokens: Float[Tensor, "n k c"], maps: Float[Tensor, "n m low_h low_w"]
    ) -> Float[Tensor, "n k low_h low_w"]:
        """Sum the maps of each prompt with the weights that its mask tokens give them."""
        heads = [head for head in (self.prompt_map_head, self.likeness_head) if head is not None]
        weights = torch.cat([head(tokens) for head in heads], dim=-1)  # n k m
        summed: Tensor = weights @ maps.flatten(2)
        return summed.reshape(*weights.shape[:2], *maps.shape[2:])

    def _upscale(
        self, keys: Float[Tensor, "n hw c"], high_res: tuple[Tensor, ...]
    ) -> Float[Tensor, "n cells c_low"]:
        up1, norm, _, up2, _ = self.output_upscaling
        n, hw, _ = keys.shape
        x = self._up(keys, up1)
        if high_res:
            x = x + blocks_of_cells(high_res[0], 2)
        x = F.gelu(norm.channels_last(x.reshape(n, hw * 4, -1)))  # type: ignore[operator]
        x = self._up(x, up2)
        if high_res:
            x = x + blocks_of_cells(high_res[1], 4).reshape(-1, hw * 4, x.shape[-1])
        return F.gelu(x).reshape(n, hw * 16, -1)

    @staticmethod
    def _up(x: Float[Tensor, "n t c"], conv: nn.Module) -> Float[Tensor, "n t c4"]:
        weight, bias = conv.weight, conv.bias  # c out 2 2
        assert isinstance(weight, Tensor)
        assert isinstance(bias, Tensor)
        return F.linear(x, weight.permute(2, 3, 1, 0).flatten(0, 2), bias.repeat(4))


def _zeros(in_dim: int, out_dim: int) -> nn.Linear:
    """Build a linear layer that answers nothing until it has learned something."""
    layer = nn.Linear(in_dim, out_dim)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer

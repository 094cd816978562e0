"""Turn points, boxes and masks into tokens and maps that the mask decoder understands.

Numbers here live in the input frame: pixels of the padded square that the
image encoder saw, (x, y).
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from maskmill.model.layers import LayerNorm2d
from maskmill.model.prompt_maps import prompt_maps


class PositionEmbeddingRandom(nn.Module):
    """Encode positions by sines and cosines of random projections."""

    positional_encoding_gaussian_matrix: Tensor  # 2 c/2

    def __init__(self, num_pos_feats: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, num_pos_feats))

    def forward(self, coords: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n c"]:
        """Encode positions (x, y) given as shares of the frame, [0, 1]."""
        projected = 2 * math.pi * ((2 * coords - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([projected.sin(), projected.cos()], dim=-1)

    def grid(self, side: int) -> Float[Tensor, "hw c"]:
        """Encode the centres of the cells of a square grid, row by row."""
        matrix = self.positional_encoding_gaussian_matrix
        centres = (torch.arange(side, device=matrix.device, dtype=matrix.dtype) + 0.5) / side
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        encoded: Tensor = self(torch.stack([x, y], dim=-1))
        return encoded.flatten(0, 1)


class PromptEncoder(nn.Module):
    """Encode prompts: points and box corners as sparse tokens, masks as a dense map.

    Args:
        embed_dim: Channels of tokens and of the dense map.
        input_side: Side of the padded square input frame, pixels.
        embedding_side: Side of the image embedding, cells.
        mask_in_chans: Channels inside the mask prompt's convolutions.
        look_chans: Channels of all the encoder's maps together if tokens of points hold what these
            show there, as `DecoderConfig.look_at_points` says; 0 for tokens of position only.
    """

    def __init__(
        self,
        embed_dim: int,
        *,
        input_side: int,
        embedding_side: int,
        mask_in_chans: int,
        look_chans: int = 0,
    ) -> None:
        super().__init__()
        self.input_side = input_side
        self.embedding_side = embedding_side
        self.pe_layer = PositionEmbeddingRandom(embed_dim // 2)
        # Background, foreground, the box's top-left corner, its bottom-right corner.
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, embed_dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, embed_dim)
        self.no_mask_embed = nn.Embedding(1, embed_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_in_chans // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans // 4),
            nn.GELU(),
            nn.Conv2d(mask_in_chans // 4, mask_in_chans, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans),
            nn.GELU(),
            nn.Conv2d(mask_in_chans, embed_dim, kernel_size=1),
        )
        # One half for background points, one for foreground.
        self.look = nn.Linear(look_chans, 2 * embed_dim) if look_chans else None

    def embed_points(
        self, point_coords: Float[Tensor, "n p 2"], point_labels: Int[Tensor, "n p"]
    ) -> Float[Tensor, "n p c"]:
        """Encode points.

        Args:
            point_coords: (x, y) in the input frame; +0.5 moves an index to its pixel's centre.
            point_labels: 1 foreground, 0 background, 2 and 3 a box's top-left and bottom-right
                corner, -1 padding, whose position is ignored.

        Returns:
            One token per point.
        """
        kinds = [self.not_a_point_embed, *self.point_embeddings]
        table = torch.cat([kind.get_parameter("weight") for kind in kinds])  # row: label + 1
        position: Tensor = self.pe_layer((point_coords + 0.5) / self.input_side)
        is_point = (point_labels >= 0).to(position.dtype).unsqueeze(-1)
        tokens: Tensor = position * is_point + table[point_labels + 1]
        return tokens

    def embed_looks(
        self,
        maps: tuple[Float[Tensor, "m _c _h _w"], ...],
        point_coords: Float[Tensor, "n p 2"],
        point_labels: Int[Tensor, "n p"],
    ) -> Float[Tensor, "n p c"]:
        """Encode what the image shows at each point; to be added to the point's token.

        Args:
            maps: The embedding and the finer maps, of one image (`m` = 1) or of one per prompt.
            point_coords: As in `embed_points`.
            point_labels: As in `embed_points`; box corners and padding look at nothing.
        """
        assert self.look is not None
        places = (point_coords + 0.5) / self.input_side
        looks: Tensor = self.look(torch.cat([_at(x, places) for x in maps], dim=-1))
        background, foreground = looks.chunk(2, dim=-1)
        is_foreground = (point_labels == 1)[..., None].to(looks.dtype)
        is_background = (point_labels == 0)[..., None].to(looks.dtype)
        return foreground * is_foreground + background * is_background

    def draw_maps(
        self, point_coords: Float[Tensor, "n p 2"], point_labels: Int[Tensor, "n p"]
    ) -> Float[Tensor, "n m low_h low_w"]:
        """Draw points and boxes as maps of low-res size; arguments as in `embed_points`."""
        places = (point_coords + 0.5) / self.input_side
        return prompt_maps(places, point_labels, 4 * self.embedding_side)

    def embed_masks(
        self, mask_input: Float[Tensor, "n 1 low_h low_w"] | None
    ) -> Float[Tensor, "n hw c"]:
        """Encode low-res mask logits as a dense map; without a mask, one constant row.

        Returns:
            `n hw c`, or `1 1 c` without masks: the constant is added by broadcasting, so that the
            image's keys stay shared by all prompts.
        """
        if mask_input is None:
            return self.no_mask_embed.weight.unsqueeze(0)
        dense: Tensor = self.mask_downscaling(mask_input)
        return dense.flatten(2).transpose(1, 2)

    def dense_pe(self) -> Float[Tensor, "1 hw c"]:
        """Encode the position of every cell of the embedding."""
        return self.pe_layer.grid(self.embedding_side).unsqueeze(0)


def _at(x: Float[Tensor, "m c h w"], places: Float[Tensor, "n p 2"]) -> Float[Tensor, "n p c"]:
    """Read a map in the cells where points (x, y), shares of the frame, lie."""
    m, c, h, w = x.shape
    column = (places[..., 0] * w).long().clamp(0, w - 1)
    row = (places[..., 1] * h).long().clamp(0, h - 1)
    cells = row * w + column  # n p
    if m == 1:
        return x[0].flatten(1).t()[cells]
    return x.flatten(2).gather(2, cells[:, None].expand(-1, c, -1)).transpose(1, 2)

"""The paper's image encoder: a plain ViT that attends within windows and, in four blocks, globally.

Same parameters and numbers as the published vit_b, vit_l and vit_h. What differs is memory: no
temporary here outgrows about 20 MB, however large the image, because above 32 MB the C library
hands every block back to the kernel, and faulting it in again costs as much as the arithmetic. Maps
are channels-last (`b h w c`) between the patch embedding and the neck.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from maskmill.config import VitConfig
from maskmill.model.layers import LayerNorm2d

LAYER_NORM_EPS = 1e-6  # of the published checkpoints; PyTorch's default is 1e-5
SCORES_AT_ONCE = 1024 * 1024  # attention scores held at a time: 4 MiB of float32, a core's cache
TOKENS_AT_ONCE = 512  # tokens inside the MLP at a time: 6 MiB of float32 in vit_b
# A traced graph holds every share as nodes of its own, and vit_b's would be 19,000: shares of a
# graph are bounded by memory alone, at 64 MiB of scores.
SCORES_IN_GRAPHS = 16 * SCORES_AT_ONCE


class PatchEmbed(nn.Module):
    """Turn each square patch of pixels into one token."""

    def __init__(self, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b h w c"]:
        """Embed the patches of normalised pixels."""
        out: Tensor = self.proj(x)
        return out.permute(0, 2, 3, 1)


class Attention(nn.Module):
    """Multi-head attention over a map or its windows, with decomposed relative positions.

    Args:
        dim: Channels of a token.
        num_heads: Attention heads.
        window_size: Side of a window in tokens, or 0 to attend over the whole map.
        map_side: Side of the whole map in tokens.

    Source:
        Li et al., "MViTv2", arXiv 2112.01526, section 4.1, for the relative positions.
    """

    def __init__(self, dim: int, num_heads: int, *, window_size: int, map_side: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        side = window_size or map_side
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, dim // num_heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, dim // num_heads))

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Attend within each window, or over the whole map."""
        height, width = x.shape[1:3]
        window = (self.window_size, self.window_size) if self.window_size else (height, width)
        rel_h, rel_w = relative(self.rel_pos_h, window[0]), relative(self.rel_pos_w, window[1])
        attended = attend(*self.project(x, window), rel_h, rel_w)
        out: Tensor = self.proj(unpartition(attended, (height, width), self.num_heads))
        return out

    def project(
        self, x: Float[Tensor, "b h w c"], window: tuple[int, int]
    ) -> tuple[Float[Tensor, "g wh ww d"], Float[Tensor, "g wh ww d"], Float[Tensor, "g wh ww d"]]:
        """Return queries, keys and values by window and head."""
        # Three linear layers rather than one: the joint output would be the largest tensor here.
        weights, biases = self.qkv.weight.chunk(3), self.qkv.bias.chunk(3)
        q, k, v = (
            partition(F.linear(x, weight), bias, window, self.num_heads)
            for weight, bias in zip(weights, biases, strict=True)
        )
        return q, k, v


def partition(
    x: Float[Tensor, "b h w c"], bias: Float[Tensor, " c"], window: tuple[int, int], num_heads: int
) -> Float[Tensor, "g wh ww d"]:
    """Cut a linear layer's output into windows and heads, and add the layer's bias.

    The paper pads the layer's input with zeros up to whole windows. Of such a token the layer makes
    its bias, so padding the output before the bias is added gives the same numbers for less work.

    Args:
        x: Output of the linear layer, without its bias.
        bias: That layer's bias.
        window: (H, W) of a window, tokens.
        num_heads: Attention heads; they share the channels.

    Returns:
        One map per image, window and head, in that order.
    """
    b, h, w, c = x.shape
    wh, ww = window
    x = F.pad(x, (0, 0, 0, -w % ww, 0, -h % wh)) + bias
    x = x.view(b, -(-h // wh), wh, -(-w // ww), ww, num_heads, c // num_heads)
    return x.permute(0, 1, 3, 5, 2, 4, 6).reshape(-1, wh, ww, c // num_heads)


def unpartition(
    x: Float[Tensor, "g wh ww d"], size: tuple[int, int], num_heads: int
) -> Float[Tensor, "b h w c"]:
    """Put windows and heads back into maps of `size` (H, W) tokens, dropping what was padded."""
    _, wh, ww, d = x.shape
    rows, columns = -(-size[0] // wh), -(-size[1] // ww)
    x = x.view(-1, rows, columns, num_heads, wh, ww, d).permute(0, 1, 4, 2, 5, 3, 6)
    x = x.reshape(-1, rows * wh, columns * ww, num_heads * d)
    return x[:, : size[0], : size[1]]


def relative(table: Float[Tensor, "l d"], side: int) -> Float[Tensor, "side side d"]:
    """Look up the embedding of the distance from each query position to each key position."""
    position = torch.arange(side, device=table.device)
    return table[position[:, None] - position[None, :] + side - 1]


def attend(
    q: Float[Tensor, "g rows w d"],
    k: Float[Tensor, "g h w d"],
    v: Float[Tensor, "g h w d"],
    rel_h: Float[Tensor, "rows h d"],
    rel_w: Float[Tensor, "w w d"],
) -> Float[Tensor, "g rows w d"]:
    """Attend over each map by itself, a few rows of queries at a time.

    Args:
        q: Queries, all rows or some of one map per image, window and head.
        k: Keys.
        v: Values.
        rel_h: Embedding of the vertical distance, by query row and key row.
        rel_w: Embedding of the horizontal distance, by query column and key column.

    Returns:
        The attended values.
    """
    _, h, w, _ = k.shape
    at_once = SCORES_IN_GRAPHS if torch.compiler.is_exporting() else SCORES_AT_ONCE
    maps = max(1, at_once // (h * w) ** 2)
    rows = min(h, max(1, at_once // (h * w * w)))
    attended = []
    for some_q, some_k, some_v in zip(*(torch.split(x, maps) for x in (q, k, v)), strict=True):
        parts = zip(torch.split(some_q, rows, dim=1), torch.split(rel_h, rows), strict=True)
        done = [attend_rows(part, some_k, some_v, part_rel_h, rel_w) for part, part_rel_h in parts]
        attended.append(torch.cat(done, dim=1))
    return torch.cat(attended)


def attend_rows(
    q: Float[Tensor, "g rows w d"],
    k: Float[Tensor, "g h w d"],
    v: Float[Tensor, "g h w d"],
    rel_h: Float[Tensor, "rows h d"],
    rel_w: Float[Tensor, "w w d"],
) -> Float[Tensor, "g rows w d"]:
    """Attend from some rows of queries to all keys, with the bias of their relative positions."""
    by_row = torch.einsum("grwd,rkd->grwk", q, rel_h)
    by_column = torch.einsum("grwd,wkd->grwk", q, rel_w)
    bias = by_row[..., :, None] + by_column[..., None, :]  # g rows w h w
    out = F.scaled_dot_product_attention(
        q.flatten(1, 2)[:, None],
        k.flatten(1, 2)[:, None],
        v.flatten(1, 2)[:, None],
        attn_mask=bias.flatten(3, 4).flatten(1, 2)[:, None],
    )
    return out.view_as(q)


class MLPBlock(nn.Module):
    """Two linear layers with GELU between, applied to a share of the tokens at a time."""

    def __init__(self, dim: int, mlp_dim: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, mlp_dim)
        self.lin2 = nn.Linear(mlp_dim, dim)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Apply the layers to every token."""
        tokens = x.reshape(-1, x.shape[-1])
        at_once = len(tokens) if torch.compiler.is_exporting() else TOKENS_AT_ONCE
        parts = [self.lin2(F.gelu(self.lin1(some))) for some in torch.split(tokens, at_once)]
        return torch.cat(parts).view(x.shape)


class Block(nn.Module):
    """Attention and MLP, each normalised before and added to what came in.

    Args:
        config: Widths and window.
        map_side: Side of the whole map, tokens.
        attends_globally: Over the whole map, or within windows.
    """

    def __init__(self, config: VitConfig, *, map_side: int, attends_globally: bool) -> None:
        super().__init__()
        dim = config.embed_dim
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(
            dim,
            config.num_heads,
            window_size=0 if attends_globally else config.window_size,
            map_side=map_side,
        )
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = MLPBlock(dim, int(dim * config.mlp_ratio))

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Apply the block."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class ImageEncoderViT(nn.Module):
    """Turn normalised pixels of the padded square input frame into an image embedding.

    Args:
        config: Widths, depth and which blocks attend globally.
        input_side: Side of the input frame in pixels, a multiple of the patch size. It fixes the
            position tables: a state dict only loads at the side it was trained for.
        out_chans: Channels of the embedding.

    Source:
        Kirillov et al., "Segment Anything", arXiv 2304.02643, appendix A; Li et al., "Exploring
        Plain Vision Transformer Backbones for Object Detection", arXiv 2203.16527.
    """

    def __init__(self, config: VitConfig, *, input_side: int, out_chans: int) -> None:
        super().__init__()
        side = input_side // config.patch_size
        self.patch_embed = PatchEmbed(config.patch_size, config.embed_dim)
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, config.embed_dim))
        self.blocks = nn.ModuleList(
            Block(config, map_side=side, attends_globally=i in config.global_attn_indexes)
            for i in range(config.depth)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(config.embed_dim, out_chans, kernel_size=1, bias=False),
            LayerNorm2d(out_chans),
            nn.Conv2d(out_chans, out_chans, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(out_chans),
        )

    def forward(
        self, x: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b c h w"], tuple[Tensor, ...]]:
        """Encode images.

        Args:
            x: Normalised pixels over the padded square input frame.

        Returns:
            The embedding at a stride of one patch, and an empty tuple: the paper's encoder makes no
            finer maps.
        """
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2)), ()

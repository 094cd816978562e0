"""The two-way transformer: tokens attend to the image, and the image to the tokens.

The image side is by far the larger, and for prompts without a mask it is the same for all of them
until the first image-to-token attention. Every function here therefore accepts keys of batch 1
beside tokens of batch `n` and computes what is shared once; the numbers are those of the paper's
decoder.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than its tokens'.

    Args:
        embedding_dim: Width of queries, keys and values.
        num_heads: Heads.
        downsample_rate: Tokens' width over inner width.
    """

    def __init__(self, embedding_dim: int, num_heads: int, downsample_rate: int = 1) -> None:
        super().__init__()
        inner = embedding_dim // downsample_rate
        self.num_heads = num_heads
        self.q_proj = nn.Linear(embedding_dim, inner)
        self.k_proj = nn.Linear(embedding_dim, inner)
        self.v_proj = nn.Linear(embedding_dim, inner)
        self.out_proj = nn.Linear(inner, embedding_dim)

    def _heads(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        return x.reshape(b, t, self.num_heads, c // self.num_heads).transpose(1, 2)  # b heads t d

    def forward(
        self, q: Float[Tensor, "n tq c"], k: Float[Tensor, "m tk c"], v: Float[Tensor, "m tk c"]
    ) -> Float[Tensor, "n tq c"]:
        """Attend from few tokens to keys; keys of batch 1 are shared by all queries."""
        n, tq, _ = q.shape
        if k.shape[0] == 1:
            # Attention treats queries one by one: all prompts' tokens are just more queries.
            q = q.reshape(1, n * tq, -1)
        query, key, value = (
            self._heads(self.q_proj(q)),
            self._heads(self.k_proj(k)),
            self._heads(self.v_proj(v)),
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        out = scores.softmax(dim=-1) @ value
        return self.out_proj(out.transpose(1, 2).reshape(n, tq, -1))  # type: ignore[no-any-return]

    def from_image(
        self, q: Float[Tensor, "m hw c"], k: Float[Tensor, "n t c"], v: Float[Tensor, "n t c"]
    ) -> Float[Tensor, "n hw c"]:
        """Attend from every cell of the image to a handful of tokens; shared cells have batch 1.

        Scores are kept as `n heads t hw`: the softmax runs over the few tokens while the long image
        axis stays innermost, which vectorises. Folding the output projection into the values makes
        the result one product of width heads * t, far narrower than the image's channels.
        """
        n, t, _ = k.shape
        query = self._heads(self.q_proj(q)) / math.sqrt(self.q_proj.out_features // self.num_heads)
        key, value = self._heads(self.k_proj(k)), self._heads(self.v_proj(v))
        scores = key @ query.transpose(-1, -2)  # n heads t hw
        attention = scores.softmax(dim=2).reshape(n, self.num_heads * t, -1)
        c = self.out_proj.out_features
        out_weight = self.out_proj.weight.t().reshape(self.num_heads, -1, c)  # heads d c
        folded = (value @ out_weight).reshape(n, self.num_heads * t, c)
        return attention.transpose(1, 2) @ folded + self.out_proj.bias


class MLPBlock(nn.Module):
    """Two linear layers with ReLU between, as in the paper's decoder."""

    def __init__(self, embedding_dim: int, mlp_dim: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(embedding_dim, mlp_dim)
        self.lin2 = nn.Linear(mlp_dim, embedding_dim)

    def forward(self, x: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        """Apply the block."""
        out: Tensor = self.lin2(F.relu(self.lin1(x)))
        return out


class TwoWayAttentionBlock(nn.Module):
    """Self-attention of tokens, tokens to image, an MLP on tokens, image to tokens."""

    def __init__(
        self, embedding_dim: int, num_heads: int, mlp_dim: int, *, skip_first_layer_pe: bool
    ) -> None:
        super().__init__()
        self.self_attn = Attention(embedding_dim, num_heads)
        self.norm1 = nn.LayerNorm(embedding_dim)
        self.cross_attn_token_to_image = Attention(embedding_dim, num_heads, downsample_rate=2)
        self.norm2 = nn.LayerNorm(embedding_dim)
        self.mlp = MLPBlock(embedding_dim, mlp_dim)
        self.norm3 = nn.LayerNorm(embedding_dim)
        self.norm4 = nn.LayerNorm(embedding_dim)
        self.cross_attn_image_to_token = Attention(embedding_dim, num_heads, downsample_rate=2)
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(
        self,
        queries: Float[Tensor, "n t c"],
        keys: Float[Tensor, "m hw c"],
        query_pe: Float[Tensor, "n t c"],
        key_pe: Float[Tensor, "1 hw c"],
    ) -> tuple[Float[Tensor, "n t c"], Float[Tensor, "n hw c"]]:
        """Update tokens and image; keys come with batch 1 or `n` and leave with `n`."""
        if self.skip_first_layer_pe:
            queries = self.self_attn(queries, queries, queries)
        else:
            q = queries + query_pe
            queries = queries + self.self_attn(q, q, queries)
        queries = self.norm1(queries)
        keys_with_pe = keys + key_pe
        queries = queries + self.cross_attn_token_to_image(queries + query_pe, keys_with_pe, keys)
        queries = self.norm2(queries)
        queries = self.norm3(queries + self.mlp(queries))
        update = self.cross_attn_image_to_token.from_image(
            keys_with_pe, queries + query_pe, queries
        )
        return queries, self.norm4(keys + update)


class TwoWayTransformer(nn.Module):
    """A stack of two-way blocks and a last attention from tokens to image."""

    def __init__(self, *, depth: int, embedding_dim: int, num_heads: int, mlp_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(embedding_dim, num_heads, mlp_dim, skip_first_layer_pe=i == 0)
            for i in range(depth)
        )
        self.final_attn_token_to_image = Attention(embedding_dim, num_heads, downsample_rate=2)
        self.norm_final_attn = nn.LayerNorm(embedding_dim)

    def forward(
        self,
        keys: Float[Tensor, "m hw c"],
        key_pe: Float[Tensor, "1 hw c"],
        tokens: Float[Tensor, "n t c"],
    ) -> tuple[Float[Tensor, "n t c"], Float[Tensor, "n hw c"]]:
        """Let tokens and image exchange what they know.

        Args:
            keys: Image embedding plus mask prompts, row by row; batch 1 where all prompts share it.
            key_pe: Position of every cell.
            tokens: Output tokens and prompt tokens.

        Returns:
            Updated tokens and updated image, both per prompt.
        """
        queries = tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, key_pe)
        attended = self.final_attn_token_to_image(queries + tokens, keys + key_pe, keys)
        out: Tensor = self.norm_final_attn(queries + attended)
        return out, keys

"""The mask decoder for many point prompts on one image: the same numbers for far fewer products.

Prompts of points change the image's keys only through two attentions to a handful of tokens. What
they add has rank heads * tokens (56 for the paper's model), not channels (256), and what they add
it to is the same for all prompts. So the keys are never written out; `low_rank` says in what form
they are kept. Products with what is shared are made once per image (`share`); layer norm needs each
cell's variance, which is a quadratic form of what was written.

What is here equals `MaskDecoder` up to float rounding (a test says so), but for the predicted IoU
of a model that has one of its own for grids; it covers two-way transformers of depth 2, that is all
the published ones and ours, and prompts of one point. Only what the three candidates for an
ambiguous prompt need is computed.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from maskmill.model.grid_drawing import Canvas, canvas, draw
from maskmill.model.grid_iou import drawn_share_and_doubt
from maskmill.model.low_rank import (
    Projected,
    Writing,
    by_head,
    centred,
    energy,
    on_shared,
    over_shared,
    project,
    scores,
    split_heads,
    weighted,
    written_by,
)
from maskmill.model.mask_reader import share_and_doubt
from maskmill.model.sam import Sam
from maskmill.model.transformer import Attention, TwoWayAttentionBlock

NUMBERS_AT_ONCE = 1 << 21
"""About the size of what is written for the prompts of one call. Prompts that are taken one by one
read all that they share, 25 MB in vit_b, from memory again each time; many at once outgrow the
cache with what is their own. Between, four at a time in vit_b, lies the least processor time: 16 ms
a prompt for 23 one by one."""


class Shared(NamedTuple):
    """What all prompts of an image share before they are drawn.

    `first_*` are `heads d hw`, projections of keys onto which nothing has been written. `square*`
    (hw) are sums of squares of the keys' base before each norm, `overlap*` (heads d hw) its
    products with what a token can write, and `with_constant` (hw) those with what the second layer
    adds to every cell. `rewritten` is the overlap with what the first layer wrote, as its norm left
    it. `read_*` are empty for a model that predicts IoU from one token.
    """

    first_k: Tensor
    first_v: Tensor
    first_q: Tensor
    square0: Tensor
    overlap0: Tensor
    second_k: Projected
    second_v: Projected
    second_q: Projected
    square1: Tensor
    rewritten: Tensor
    overlap1: Tensor
    with_constant: Tensor
    last_k: Projected
    last_v: Projected
    read_k: tuple[Projected, ...]
    read_v: tuple[Projected, ...]


class Seen(NamedTuple):
    """What the transformer made of `n` prompts, before any mask is drawn.

    `predicted_iou` is `n 3`, as for a click, and `promise` what is to be expected of the mask once
    it is drawn: the same for a model that has no predicted IoU of its own for grids. `mask_tokens`
    is `n 3 c`; `places` (n 2) are the points (x, y) as shares of the frame; `first` and `second`
    are what was written onto the keys.
    """

    predicted_iou: Tensor
    promise: Tensor
    mask_tokens: Tensor
    places: Tensor
    first: Writing
    second: Writing

    def rows(self, index: Int[Tensor, " m"]) -> "Seen":
        """Keep some prompts only."""
        first, second = (Writing(*(part[index] for part in w)) for w in (self.first, self.second))
        return Seen(
            self.predicted_iou[index],
            self.promise[index],
            self.mask_tokens[index],
            self.places[index],
            first,
            second,
        )


class Drawn(NamedTuple):
    """Three candidates of `n` prompts: `masks` n 3 low_h low_w, logits, and `predicted_iou` n 3."""

    masks: Tensor
    predicted_iou: Tensor


class GridDecoder:
    """Decode single points; knows a model and no image.

    Args:
        sam: A model whose transformer has two layers, in evaluation mode.
    """

    def __init__(self, sam: Sam) -> None:
        self.sam, self.decoder = sam, sam.mask_decoder
        first, second = self.decoder.transformer.layers
        assert isinstance(first, TwoWayAttentionBlock)
        assert isinstance(second, TwoWayAttentionBlock)
        self.first, self.second = first, second
        self.heads = first.cross_attn_token_to_image.num_heads

    @property
    def most_at_once(self) -> int:
        """Count the prompts that one call should take."""
        tokens = 1 + self.decoder.num_mask_tokens + 2  # for IoU, masks, a point and its padding
        return max(1, NUMBERS_AT_ONCE // (2 * self.heads * tokens * self.decoder.embedding_side**2))

    def share(
        self, embedding: Float[Tensor, "1 c h w"], high_res: tuple[Float[Tensor, "1 _c _h _w"], ...]
    ) -> tuple[Shared, Canvas]:
        """Compute once what all prompts of an image share, to attend and to draw.

        Args:
            embedding: From `sam.encode`, one image.
            high_res: From `sam.encode`.
        """
        heads, pe = self.heads, self.sam.prompt_encoder.dense_pe()[0]
        keys = embedding[0].flatten(1).t() + self.sam.prompt_encoder.embed_masks(None)[0]
        look, write = self.first.cross_attn_token_to_image, self.first.cross_attn_image_to_token
        base0 = centred(keys + write.out_proj.bias)
        norm, look1 = self.first.norm4, self.second.cross_attn_token_to_image
        write1 = self.second.cross_attn_image_to_token
        scaled = base0 * norm.weight
        base1 = centred(scaled)
        last, norm1 = self.decoder.transformer.final_attn_token_to_image, self.second.norm4
        base2, reader = base1 * norm1.weight, self.decoder.mask_reader
        shared = Shared(
            by_head(look.k_proj(keys + pe), heads),
            by_head(look.v_proj(keys), heads),
            by_head(write.q_proj(keys + pe), heads),
            base0.square().sum(1),
            written_by(write) @ base0.t(),
            project(look1.k_proj, heads, scaled, norm.bias, pe),
            project(look1.v_proj, heads, scaled, norm.bias),
            project(write1.q_proj, heads, scaled, norm.bias, pe),
            base1.square().sum(1),
            written_by(write) @ (base1 * norm.weight).t(),
            written_by(write1) @ base1.t(),
            base1 @ self._constant(),
            project(last.k_proj, heads, base2, norm1.bias, pe),
            project(last.v_proj, heads, base2, norm1.bias),
            () if reader is None else (project(reader.k_proj, 1, base2, norm1.bias),),
            () if reader is None else (project(reader.v_proj, 1, base2, norm1.bias),),
        )
        return shared, canvas(self.sam, embedding, high_res, base2, norm1.bias)

    def _constant(self) -> Float[Tensor, " c"]:
        """Return what the second layer adds to every cell, whatever the prompt."""
        return centred(self.first.norm4.bias + self.second.cross_attn_image_to_token.out_proj.bias)

    def attend(
        self,
        embedding: Float[Tensor, "1 c h w"],
        high_res: tuple[Float[Tensor, "1 _c _h _w"], ...],
        shared: Shared,
        points: Float[Tensor, "n 2"],
    ) -> Seen:
        """Run points through the transformer and the IoU head, and draw nothing yet.

        Args:
            embedding: As for `share`.
            high_res: As for `share`.
            shared: From `share`.
            points: (x, y) in the input frame, each a prompt of its own.
        """
        tokens = self._tokens(embedding, high_res, points)
        first, values, queries = self._first_layer(tokens, shared)
        second, queries = self._second_layer(tokens, queries, shared, first, values)
        # From here on only the IoU token and those of the three candidates are asked for.
        last = 1 + self.decoder.num_mask_tokens
        queries, tokens = (torch.cat([x[:, :1], x[:, 2:last]], 1) for x in (queries, tokens))
        transformer, norm = self.decoder.transformer, self.second.norm4
        writings = (
            first._replace(factors=second[1] * norm.weight),
            Writing(second[0], second[2] * norm.weight, second[3]),
        )
        queries = queries + self._look(
            transformer.final_attn_token_to_image,
            shared.last_k,
            shared.last_v,
            queries + tokens,
            writings,
        )
        queries = transformer.norm_final_attn(queries)
        iou_token, mask_tokens = queries[:, 0], queries[:, 1:]
        iou, promise = self._predicted_iou(iou_token, mask_tokens, shared, writings)
        places = (points + 0.5) / self.sam.prompt_encoder.input_side
        return Seen(iou, promise, mask_tokens, places, *writings)

    def _tokens(
        self, embedding: Tensor, high_res: tuple[Tensor, ...], points: Float[Tensor, "n 2"]
    ) -> Float[Tensor, "n t c"]:
        """Return the output tokens and the prompt's: its point, and the padding for "no box"."""
        coords = torch.stack([points, torch.zeros_like(points)], dim=1)
        # `len` would fix the number of points in a traced graph.
        labels = torch.tensor([1, -1], device=points.device).expand(points.shape[0], 2)
        sparse = self.sam.embed_points(embedding, high_res, coords, labels)
        output = torch.cat([self.decoder.iou_token.weight, self.decoder.mask_tokens.weight])
        return torch.cat([output.expand(points.shape[0], -1, -1), sparse], dim=1)

    def _first_layer(self, tokens: Tensor, shared: Shared) -> tuple[Writing, Tensor, Tensor]:
        layer, write = self.first, self.first.cross_attn_image_to_token
        look = layer.cross_attn_token_to_image
        queries = layer.norm1(layer.self_attn(tokens, tokens, tokens))
        weights = on_shared(self._scaled(look.q_proj, queries + tokens), shared.first_k).softmax(-1)
        queries = queries + self._joined(look, over_shared(weights, shared.first_v))
        queries = layer.norm2(queries)
        queries = layer.norm3(queries + layer.mlp(queries))
        asked = on_shared(self._scaled(write.k_proj, queries + tokens), shared.first_q)
        attention = _over_tokens(asked)
        values = split_heads(write.v_proj, queries, self.heads)
        factors = (values @ written_by(write)).flatten(1, 2)
        with_base = on_shared(values, shared.overlap0)
        squares = energy(shared.square0, with_base, attention, factors)
        scale = torch.rsqrt(squares / factors.shape[-1] + layer.norm4.eps)
        return Writing(attention, factors * layer.norm4.weight, scale), values, queries

    def _second_layer(
        self, tokens: Tensor, queries: Tensor, shared: Shared, first: Writing, values0: Tensor
    ) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """Return its attention, both layers' factors and its scale; and the queries."""
        layer, write = self.second, self.second.cross_attn_image_to_token
        q = queries + tokens
        queries = layer.norm1(queries + layer.self_attn(q, q, queries))
        look = layer.cross_attn_token_to_image
        queries = queries + self._look(
            look, shared.second_k, shared.second_v, queries + tokens, (first,)
        )
        queries = layer.norm2(queries)
        queries = layer.norm3(queries + layer.mlp(queries))
        keys = self._scaled(write.k_proj, queries + tokens)
        attention = _over_tokens(scores(keys, shared.second_q, write.q_proj, (first,)))
        values = split_heads(write.v_proj, queries, self.heads)
        before = centred(first.factors)
        factors = (values @ written_by(write)).flatten(1, 2)
        # In every cell the weights of the first head's tokens add up to 1: what is added to each of
        # their factors is added to every cell once.
        t = tokens.shape[1]
        factors = torch.cat([factors[:, :t] + self._constant(), factors[:, t:]], dim=1)
        squares = first.scale.square() * energy(
            shared.square1, on_shared(values0, shared.rewritten), first.attention, before
        )
        squares = squares + 2 * first.scale * shared.with_constant
        overlap = on_shared(values, shared.overlap1)
        products = torch.bmm(factors, before.transpose(1, 2))
        with_base = torch.bmm(products, first.attention).view(overlap.shape)
        with_base = with_base.add_(overlap).mul_(first.scale[:, None])
        squares = energy(squares, with_base, attention, factors)
        scale = torch.rsqrt(squares / factors.shape[-1] + layer.norm4.eps)
        return (attention, before, factors, scale), queries

    def _look(
        self,
        attention: Attention,
        k: Projected,
        v: Projected,
        q: Tensor,
        writings: tuple[Writing, ...],
    ) -> Float[Tensor, "n t c"]:
        """Attend from tokens to the image."""
        asked = scores(self._scaled(attention.q_proj, q), k, attention.k_proj, writings)
        return self._joined(
            attention, weighted(asked.softmax(dim=-1), v, attention.v_proj, writings)
        )

    def _scaled(self, layer: torch.nn.Module, x: Tensor) -> Float[Tensor, "n heads t d"]:
        heads = split_heads(layer, x, self.heads)
        return heads / math.sqrt(heads.shape[-1])

    @staticmethod
    def _joined(attention: Attention, out: Float[Tensor, "n heads t d"]) -> Tensor:
        joined: Tensor = attention.out_proj(out.transpose(1, 2).flatten(2))
        return joined

    def _predicted_iou(
        self, iou_token: Tensor, mask_tokens: Tensor, shared: Shared, writings: tuple[Writing, ...]
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
        """Predict the IoU of the three candidates as for a click, and as for a grid's point."""
        iou: Tensor = self.decoder.iou_prediction_head(iou_token)[:, 1:]
        reader, of_grid = self.decoder.mask_reader, self.decoder.grid_iou
        if reader is None:
            return iou, iou
        asked = reader.queries(mask_tokens)[:, None]
        sketches = scores(asked, shared.read_k[0], reader.k_proj, writings)[:, 0]
        weights = reader.weights(sketches)[:, None]
        averages = weighted(weights, shared.read_v[0], reader.v_proj, writings)[:, 0]
        iou = iou + reader.correct(iou_token, mask_tokens, sketches, averages)
        return iou, iou if of_grid is None else of_grid.promise(iou, *share_and_doubt(sketches))

    def draw(self, canvas: Canvas, seen: Seen) -> Drawn:
        """Upscale the image of each prompt, read three candidates off it, and judge them."""
        writings = (seen.first, seen.second)
        masks = draw(self.sam, canvas, seen.mask_tokens, writings, seen.places)
        of_grid = self.decoder.grid_iou
        if of_grid is None:
            return Drawn(masks, seen.predicted_iou)
        return Drawn(masks, of_grid.worth(seen.predicted_iou, *drawn_share_and_doubt(masks)))


def _over_tokens(asked: Float[Tensor, "n heads t hw"]) -> Float[Tensor, "n j hw"]:
    """Turn every cell's scores into how much it attends to each token."""
    # Written out: PyTorch's softmax over a dimension that is not the last takes twice as long.
    powers = (asked - asked.amax(2, keepdim=True)).exp_()
    return powers.div_(powers.sum(2, keepdim=True)).flatten(1, 2)

"""The mask decoder for many point prompts on one image: the same numbers for far fewer products.

Prompts of points change the image's keys only through two attentions to a handful of tokens. What
they add has rank heads * tokens (56 for the paper's model), not channels (256), and what they add
it to is the same for all prompts. So the keys are never written out. They are kept as

    keys = scale * base + coefficients^T @ factors + constant

with `base` (hw c) shared by all prompts, one `scale` per cell, `coefficients` (n j hw) and
`factors` (n j c). A linear layer acts on base, factors and constant; layer norm needs each cell's
variance, a quadratic form of the coefficients; products with `base` are made once per image.

What is here equals `MaskDecoder` up to float rounding (a test says so); it covers two-way
transformers of depth 2, that is all the published ones and ours, and prompts without masks.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from maskmill.model.grid_drawing import Drawing
from maskmill.model.low_rank import Keys, Projection, Written, centred, split_heads
from maskmill.model.mask_reader import MaskReader
from maskmill.model.sam import Sam
from maskmill.model.transformer import Attention, TwoWayAttentionBlock

NUMBERS_AT_ONCE = 1 << 19
"""About the size of the largest temporary: what a core's cache holds. So prompts are run one by one
in the paper's models, and many at once in small ones, where the calls would cost more."""


class Seen(NamedTuple):
    """What the transformer made of `n` prompts, before any mask is drawn.

    `mask_tokens` is `n 4 c`, `predicted_iou` `n 4`; `keys` are one per prompt, without the `n`;
    `places` (n 2) are the points (x, y) as shares of the frame.
    """

    mask_tokens: Tensor
    predicted_iou: Tensor
    keys: list[Keys]
    places: Tensor


class GridDecoder:
    """Decode single points against one embedding; made once per image.

    Args:
        sam: A model whose transformer has two layers, in evaluation mode.
        embedding: From `sam.encode`, one image.
        high_res: From `sam.encode`.
    """

    def __init__(
        self,
        sam: Sam,
        embedding: Float[Tensor, "1 c h w"],
        high_res: tuple[Float[Tensor, "1 _c _h _w"], ...],
    ) -> None:
        self.sam, self.decoder = sam, sam.mask_decoder
        self.maps = (embedding, *high_res)
        first, second = self.decoder.transformer.layers
        assert isinstance(first, TwoWayAttentionBlock)
        assert isinstance(second, TwoWayAttentionBlock)
        self.first, self.second = first, second
        self.heads = self.first.cross_attn_token_to_image.num_heads
        pe = sam.prompt_encoder.dense_pe()[0]
        keys = embedding[0].flatten(1).t() + sam.prompt_encoder.embed_masks(None)[0]
        self._share_first(keys, pe)
        self._share_second(pe)
        self._share_last(pe)
        tokens = 1 + self.decoder.num_mask_tokens + 2  # for IoU, masks, a point and its padding
        self.numbers_per_prompt = (2 * self.heads * tokens + 1) * len(keys)

    def _share_first(self, keys: Float[Tensor, "hw c"], pe: Float[Tensor, "hw c"]) -> None:
        look, write = self.first.cross_attn_token_to_image, self.first.cross_attn_image_to_token
        zero = torch.zeros_like(keys[0])
        self.first_k = Projection(look.k_proj, self.heads, keys, zero, pe)
        self.first_v = Projection(look.v_proj, self.heads, keys, zero)
        self.first_q = Projection(write.q_proj, self.heads, keys, zero, pe)
        self.base0 = centred(keys + write.out_proj.bias)
        self.square0 = self.base0.square().sum(1)
        self.written0 = Written(write, self.base0)

    def _share_second(self, pe: Float[Tensor, "hw c"]) -> None:
        look, write = self.second.cross_attn_token_to_image, self.second.cross_attn_image_to_token
        norm = self.first.norm4
        base = self.base0 * norm.weight
        self.second_k = Projection(look.k_proj, self.heads, base, norm.bias, pe)
        self.second_v = Projection(look.v_proj, self.heads, base, norm.bias)
        self.second_q = Projection(write.q_proj, self.heads, base, norm.bias, pe)
        self.base1 = centred(base)
        self.square1 = self.base1.square().sum(1)
        self.written1 = Written(write, self.base1)
        # The first layer's writing has since been centred and rescaled by its norm.
        self.rewritten0 = Written(
            self.first.cross_attn_image_to_token, self.base1, rescale=norm.weight
        )
        self.constant1 = centred(norm.bias + write.out_proj.bias)
        self.with_constant1 = self.base1 @ self.constant1

    def _share_last(self, pe: Float[Tensor, "hw c"]) -> None:
        look, norm = self.decoder.transformer.final_attn_token_to_image, self.second.norm4
        base = self.base1 * norm.weight
        self.last_k = Projection(look.k_proj, self.heads, base, norm.bias, pe)
        self.last_v = Projection(look.v_proj, self.heads, base, norm.bias)
        if self.decoder.mask_reader is not None:
            self.read_k = Projection(self.decoder.mask_reader.k_proj, 1, base, norm.bias)
            self.read_v = Projection(self.decoder.mask_reader.v_proj, 1, base, norm.bias)
        embedding, *high_res = self.maps
        self.drawing = Drawing(self.sam, embedding, tuple(high_res), base, norm.bias)

    def attend(
        self, point_coords: Float[Tensor, "n p 2"], point_labels: Int[Tensor, "n p"]
    ) -> Seen:
        """Run points through the transformer and the IoU head, and draw nothing yet.

        Args:
            point_coords: (x, y) in the input frame; each prompt's point, then its padding.
            point_labels: 1 and -1.
        """
        embedding, *high_res = self.maps
        sparse = self.sam.embed_points(embedding, tuple(high_res), point_coords, point_labels)
        output = torch.cat([self.decoder.iou_token.weight, self.decoder.mask_tokens.weight])
        tokens = torch.cat([output.expand(len(sparse), -1, -1), sparse], dim=1)
        at_once = max(1, NUMBERS_AT_ONCE // self.numbers_per_prompt)
        parts = [self._attend(part) for part in torch.split(tokens, at_once)]
        mask_tokens, predicted_iou, keys = zip(*parts, strict=True)
        return Seen(
            torch.cat(mask_tokens),
            torch.cat(predicted_iou),
            [each for part in keys for each in part],
            (point_coords[:, 0] + 0.5) / self.sam.prompt_encoder.input_side,
        )

    def _attend(self, tokens: Float[Tensor, "n t c"]) -> tuple[Tensor, Tensor, list[Keys]]:
        keys, values, queries = self._first_layer(tokens)
        keys, queries = self._second_layer(tokens, queries, keys, values)
        look = self.decoder.transformer.final_attn_token_to_image
        queries = queries + self._look(look, self.last_k, self.last_v, queries + tokens, keys)
        queries = self.decoder.transformer.norm_final_attn(queries)
        iou_token, mask_tokens = queries[:, 0], queries[:, 1 : 1 + self.decoder.num_mask_tokens]
        iou = self.decoder.iou_prediction_head(iou_token)
        if self.decoder.mask_reader is not None:
            iou = iou + self._read(self.decoder.mask_reader, iou_token, mask_tokens, keys)
        each = [Keys(*parts) for parts in zip(*(part.unbind() for part in keys), strict=True)]
        return mask_tokens, iou, each

    def _read(
        self, reader: MaskReader, iou_token: Tensor, mask_tokens: Tensor, keys: Keys
    ) -> Float[Tensor, "n k"]:
        """Return what the masks' sketches add to their predicted IoU."""
        sketches = self.read_k.scores(reader.queries(mask_tokens)[:, None], keys)
        averages = self.read_v.weighted(reader.weights(sketches), keys)[:, 0]
        return reader.correct(iou_token, mask_tokens, sketches, averages)

    def _first_layer(self, tokens: Tensor) -> tuple[Keys, Tensor, Tensor]:
        layer, n = self.first, len(tokens)
        keys = Keys(
            tokens.new_ones(n, 1, len(self.base0)),
            tokens.new_zeros(n, 0, len(self.base0)),
            tokens.new_zeros(n, 0, tokens.shape[-1]),
        )
        queries = layer.norm1(layer.self_attn(tokens, tokens, tokens))
        queries = queries + self._look(
            layer.cross_attn_token_to_image, self.first_k, self.first_v, queries + tokens, keys
        )
        queries = layer.norm2(queries)
        queries = layer.norm3(queries + layer.mlp(queries))
        write = layer.cross_attn_image_to_token
        attention = self._write(write, self.first_q, queries + tokens, keys)
        values = split_heads(write.v_proj, queries, self.heads)
        factors = self.written0.factors(values)
        variance = self._variance(
            keys.scale, self.square0, self.written0.with_base(values), attention, factors
        )
        scale = torch.rsqrt(variance + layer.norm4.eps)
        keys = Keys(scale, attention.mul_(scale), factors * layer.norm4.weight)
        return keys, values, queries

    def _second_layer(
        self, tokens: Tensor, queries: Tensor, keys: Keys, values0: Tensor
    ) -> tuple[Keys, Tensor]:
        layer = self.second
        q = queries + tokens
        queries = layer.norm1(queries + layer.self_attn(q, q, queries))
        queries = queries + self._look(
            layer.cross_attn_token_to_image, self.second_k, self.second_v, queries + tokens, keys
        )
        queries = layer.norm2(queries)
        queries = layer.norm3(queries + layer.mlp(queries))
        write = layer.cross_attn_image_to_token
        attention = self._write(write, self.second_q, queries + tokens, keys)
        values = split_heads(write.v_proj, queries, self.heads)
        n, hw = len(tokens), len(self.base1)
        with_base = torch.cat(
            [
                self.rewritten0.with_base(values0),
                self.written1.with_base(values),
                self.with_constant1.expand(n, 1, hw),
            ],
            dim=1,
        )
        constant = self.constant1.expand(n, 1, -1)
        factors = centred(torch.cat([keys.factors, self.written1.factors(values), constant], 1))
        coefficients = torch.cat([keys.coefficients, attention, attention.new_ones(n, 1, hw)], 1)
        variance = self._variance(keys.scale, self.square1, with_base, coefficients, factors)
        scale = torch.rsqrt(variance + layer.norm4.eps)
        factors = factors * layer.norm4.weight
        return Keys(keys.scale * scale, coefficients.mul_(scale), factors), queries

    def _look(
        self, attention: Attention, k: Projection, v: Projection, q: Tensor, keys: Keys
    ) -> Float[Tensor, "n t c"]:
        """Attend from tokens to the image."""
        heads = split_heads(attention.q_proj, q, self.heads)
        scores = k.scores(heads / math.sqrt(heads.shape[-1]), keys)
        out = v.weighted(scores.softmax(dim=-1), keys)
        joined: Tensor = attention.out_proj(out.transpose(1, 2).flatten(2))
        return joined

    def _write(
        self, attention: Attention, q: Projection, k: Tensor, keys: Keys
    ) -> Float[Tensor, "n j hw"]:
        """Return how much every cell of the image attends to each token."""
        heads = split_heads(attention.k_proj, k, self.heads)
        scores = q.scores(heads / math.sqrt(heads.shape[-1]), keys)
        # PyTorch's softmax over a dimension that is not the last takes twice as long as this.
        by_head = scores.view(len(scores), self.heads, -1, scores.shape[-1])
        by_head.sub_(by_head.amax(2, keepdim=True)).exp_()
        by_head.div_(by_head.sum(2, keepdim=True))
        return scores

    @staticmethod
    def _variance(
        scale: Float[Tensor, "n 1 hw"],
        square: Float[Tensor, " hw"],
        with_base: Float[Tensor, "n j hw"],
        coefficients: Float[Tensor, "n j hw"],
        factors: Float[Tensor, "n j c"],
    ) -> Float[Tensor, "n 1 hw"]:
        """Return each cell's variance over channels; base and factors are centred."""
        products = torch.bmm(factors, factors.transpose(1, 2))
        form = with_base.mul_(2 * scale).baddbmm_(products, coefficients)
        total = form.mul_(coefficients).sum(1, keepdim=True) + scale.square() * square
        return total / factors.shape[-1]

    def draw(self, seen: Seen, rows: Sequence[int]) -> Float[Tensor, "n k low_h low_w"]:
        """Upscale the image of some of the prompts `seen`, and read three candidates off each."""
        keys = [seen.keys[row] for row in rows]
        return self.drawing.draw(seen.mask_tokens[rows, 1:], keys, seen.places[rows])

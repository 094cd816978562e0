"""The graphs that are exported: functions of the model with named inputs and outputs, traced.

Inputs and outputs are described in `docs/decisions/onnx.md`.
"""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from maskmill.model.mask_decoder import Attended
from maskmill.model.sam import Sam
from maskmill.model.tiny_encoder import fold_batch_norm
from maskmill.onnx_backend import (
    ATTEND_FILE,
    DECODER_FILE,
    DRAW_FILE,
    ENCODER_FILE,
    MASK_DECODER_FILE,
)


def graphs(sam: Sam) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield each file's name and graph; every float is still 32 bits wide."""
    sam = copy.deepcopy(sam).requires_grad_(False)
    fold_batch_norm(sam)
    side, n, p = sam.config.input_side, 3, 4
    image = torch.zeros(1, 3, side, side)
    with torch.no_grad():
        embedding, high_res = sam.encode(image)
    finer = ["high_res_8", "high_res_4"][: len(high_res)]
    yield (
        ENCODER_FILE,
        _trace(_Encoder(sam), (image,), (None,), ["image"], ["embedding", *finer]),
    )
    low = sam.config.low_res_side
    mask_input = torch.zeros(n, 1, low, low)
    args = (embedding, high_res, torch.zeros(n, p, 2), torch.ones(n, p))
    free = torch.export.Dim.DYNAMIC
    shapes = (None, (None,) * len(high_res), {0: free, 1: free}, {0: free, 1: free})
    inputs = ["embedding", *finer, "point_coords", "point_labels"]
    outputs = ["low_res_mask_logits", "predicted_iou"]
    decoder = _Decoder(sam)
    yield DECODER_FILE, _trace(decoder, args, shapes, inputs, outputs)
    yield (
        MASK_DECODER_FILE,
        _trace(
            decoder, (*args, mask_input), (*shapes, {0: free}), [*inputs, "mask_input"], outputs
        ),
    )
    seen = ["predicted_iou", "mask_tokens", "keys"]
    yield ATTEND_FILE, _trace(_Attend(sam), args, shapes, inputs, seen)
    channels, cells = sam.config.decoder.transformer_dim, sam.config.embedding_side**2
    tokens = torch.zeros(n, sam.mask_decoder.num_mask_tokens, channels)
    yield (
        DRAW_FILE,
        _trace(
            _Draw(sam),
            (*args, tokens, torch.zeros(n, cells, channels)),
            (*shapes, {0: free}, {0: free}),
            [*inputs, *seen[1:]],
            ["low_res_mask_logits"],
        ),
    )


class _Encoder(nn.Module):
    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        embedding, high_res = self.sam.encode(image)
        return embedding, *high_res


class _Decoder(nn.Module):
    """All four masks at once: what is left out of a graph's outputs saves next to nothing."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(
        self,
        embedding: Tensor,
        high_res: tuple[Tensor, ...],
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        labels = point_labels.long()
        attended = self.sam.attend(embedding, high_res, point_coords, labels, mask_input)
        maps = self.sam.draw_maps(self.sam.describe(embedding, high_res), point_coords, labels)
        masks = self.sam.mask_decoder.draw(attended, high_res, slice(0, None), maps)
        return masks, attended.predicted_iou


class _Attend(nn.Module):
    """The decoder's first half: predicted IoU, and what drawing needs."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(
        self,
        embedding: Tensor,
        high_res: tuple[Tensor, ...],
        point_coords: Tensor,
        point_labels: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        seen = self.sam.attend(embedding, high_res, point_coords, point_labels.long())
        return seen.predicted_iou, seen.mask_tokens, seen.keys


class _Draw(nn.Module):
    """The decoder's second half: the three candidates of prompts that are worth it."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam

    def forward(
        self,
        embedding: Tensor,
        high_res: tuple[Tensor, ...],
        point_coords: Tensor,
        point_labels: Tensor,
        mask_tokens: Tensor,
        keys: Tensor,
    ) -> Tensor:
        described = self.sam.describe(embedding, high_res)
        maps = self.sam.draw_maps(described, point_coords, point_labels.long())
        seen = Attended(mask_tokens, mask_tokens[..., 0], keys)
        return self.sam.mask_decoder.draw(seen, high_res, slice(1, None), maps)


def _trace(
    module: nn.Module,
    args: tuple[Any, ...],
    dynamic_shapes: tuple[Any, ...],
    input_names: list[str],
    output_names: list[str],
) -> onnx.ModelProto:
    with _quiet_exporter():
        program = torch.export.export(
            module.eval(), args, dynamic_shapes=dynamic_shapes, strict=False
        )
        exported = torch.onnx.export(
            program,
            (),
            dynamo=True,
            optimize=True,
            verbose=False,
            input_names=input_names,
            output_names=output_names,
        )
    assert exported is not None
    proto: onnx.ModelProto = exported.model_proto
    return proto


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what PyTorch's exporter says about itself and about torchvision's absence."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch|onnx")
            yield
    finally:
        logger.setLevel(level)

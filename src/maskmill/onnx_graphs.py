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
import onnxscript.optimizer
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from maskmill.model.box_head import BoxHead
from maskmill.model.category_head import CategoryHead
from maskmill.model.grid_decoder import Drawn, GridDecoder, Seen, Shared
from maskmill.model.grid_drawing import Canvas
from maskmill.model.pixel_encoder import STRIDE, PixelEncoder
from maskmill.model.region_head import RegionHead
from maskmill.model.sam import Sam
from maskmill.model.tiny_encoder import fold_batch_norm
from maskmill.onnx_backend import (
    ATTEND_FILE,
    DECODER_FILE,
    DRAW_FILE,
    ENCODER_FILE,
    MASK_DECODER_FILE,
    SHARE_FILE,
)

LARGEST_FOLDED = 4096
"""Bytes of the largest constant that is computed while exporting. Larger ones, the cells' positions
above all, would be the better part of a file; the runtime computes them when it opens it."""


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
    if sam.config.decoder.depth == 2:
        yield from _grid_graphs(sam, embedding, high_res)


def box_head_graph(
    head: BoxHead, embedding: Tensor, high_res: tuple[Tensor, ...]
) -> onnx.ModelProto:
    """Return the graph of a box detector, for maps of the sizes of these."""
    names = ["embedding", *["high_res_8", "high_res_4"][: len(high_res)]]
    shapes = (None, (None,) * len(high_res))
    head = copy.deepcopy(head).requires_grad_(False)
    return _trace(_BoxHead(head), (embedding, high_res), shapes, names, ["logits", "reach"])


def region_head_graph(
    head: RegionHead, image: Float[Tensor, "1 3 h w"], maps: Float[Tensor, "1 c _h _w"]
) -> onnx.ModelProto:
    """Return the graph of a region head, for images of any size that it can halve."""
    head = copy.deepcopy(head).requires_grad_(False)
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    shapes = ({2: 16 * rows, 3: 16 * columns}, {2: 4 * rows, 3: 4 * columns})
    return _trace(head, (image, maps), shapes, ["image", "maps"], ["logits"])


def pixel_encoder_graph(encoder: PixelEncoder) -> onnx.ModelProto:
    """Return the graph of a pixel encoder, for an image of any size that its stride divides."""
    encoder = copy.deepcopy(encoder).requires_grad_(False)
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    shapes = ({2: STRIDE * rows, 3: STRIDE * columns},)
    return _trace(encoder, (torch.zeros(1, 3, 64, 96),), shapes, ["image"], ["descriptors"])


def category_head_graph(head: CategoryHead, descriptors: Float[Tensor, "n f"]) -> onnx.ModelProto:
    """Return the graph of a category head, for any number of masks."""
    head = copy.deepcopy(head).requires_grad_(False)
    free = ({0: torch.export.Dim.DYNAMIC},)
    return _trace(head, (descriptors,), free, ["descriptors"], ["chances"])


def _grid_graphs(
    sam: Sam, embedding: Tensor, high_res: tuple[Tensor, ...]
) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield the three parts of `GridDecoder`, which everything mode runs one after the other."""
    grid, points = GridDecoder(sam), torch.zeros(3, 2)
    with torch.no_grad():
        shared, canvas = grid.share(embedding, high_res)
        seen = grid.attend(embedding, high_res, shared, points)
    image = ["embedding", *["high_res_8", "high_res_4"][: len(high_res)]]
    names = [*_names("shared", shared)], [*_names("canvas", canvas)], [*_names("seen", seen)]
    maps = (None, (None,) * len(high_res))
    yield (
        SHARE_FILE,
        _trace(_Share(grid), (embedding, high_res), maps, image, [*names[0], *names[1]]),
    )
    free = {0: torch.export.Dim.DYNAMIC}
    yield (
        ATTEND_FILE,
        _trace(
            _Attend(grid),
            (embedding, high_res, shared, points),
            (*maps, tree_map(lambda _: None, shared), free),
            [*image, *names[0], "points"],
            names[2],
        ),
    )
    yield (
        DRAW_FILE,
        _trace(
            _Draw(grid),
            (canvas, seen),
            (tree_map(lambda _: None, canvas), tree_map(lambda _: free, seen)),
            [*names[1], *names[2]],
            ["low_res_mask_logits", "predicted_iou"],
        ),
    )


def _names(name: str, value: object) -> Iterator[str]:
    """Name the tensors within nested tuples after their fields."""
    if isinstance(value, Tensor):
        yield name
    elif isinstance(value, tuple):
        fields = getattr(value, "_fields", range(len(value)))
        for field, part in zip(fields, value, strict=True):
            yield from _names(f"{name}.{field}", part)


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


class _Share(nn.Module):
    """What all points of an image share."""

    def __init__(self, grid: GridDecoder) -> None:
        super().__init__()
        self.sam, self.grid = grid.sam, grid

    def forward(self, embedding: Tensor, high_res: tuple[Tensor, ...]) -> tuple[Shared, Canvas]:
        return self.grid.share(embedding, high_res)


class _Attend(nn.Module):
    """What points promise, and what drawing needs."""

    def __init__(self, grid: GridDecoder) -> None:
        super().__init__()
        self.sam, self.grid = grid.sam, grid

    def forward(
        self, embedding: Tensor, high_res: tuple[Tensor, ...], shared: Shared, points: Tensor
    ) -> Seen:
        return self.grid.attend(embedding, high_res, shared, points)


class _Draw(nn.Module):
    """The three candidates of points that are worth it."""

    def __init__(self, grid: GridDecoder) -> None:
        super().__init__()
        self.sam, self.grid = grid.sam, grid

    def forward(self, canvas: Canvas, seen: Seen) -> Drawn:
        return self.grid.draw(canvas, seen)


class _BoxHead(nn.Module):
    def __init__(self, head: BoxHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, embedding: Tensor, high_res: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return self.head(embedding, *high_res)  # type: ignore[no-any-return]


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
            optimize=False,
            verbose=False,
            input_names=input_names,
            output_names=output_names,
        )
        assert exported is not None
        onnxscript.optimizer.optimize_ir(
            exported.model, input_size_limit=LARGEST_FOLDED, output_size_limit=LARGEST_FOLDED
        )
    proto: onnx.ModelProto = exported.model_proto
    return proto


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence what PyTorch's exporter says about itself and about torchvision's absence."""
    # The last two tell of inputs and outputs that they did not merge, which is as it should be.
    names = (
        "torch.onnx._internal.exporter._registration",
        "onnx_ir.passes.common",
        "onnxscript.optimizer._constant_folding",
    )
    loggers = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch|onnx")
            yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)

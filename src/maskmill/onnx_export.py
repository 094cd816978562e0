"""Writes a model as ONNX files that `onnx_backend` and a browser run, and proves that they agree.

Six graphs: the encoder, the decoder, the decoder for prompts that bring a mask, and for everything
mode the three parts of a decoder for many points. Inputs and outputs are float32, described in
`docs/decisions/onnx.md`. Weights are stored as
float16 followed by a cast, and computed with in float32: the runtime folds the casts when it opens
a file, so small files cost neither accuracy nor time. Only values that float16 holds exactly are
stored so; call `round_to_float16` first to make that all of them.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from maskmill.config import ModelConfig
from maskmill.errors import CheckpointError
from maskmill.model.checkpoint import SMALL_TENSOR
from maskmill.model.sam import Sam
from maskmill.model.torch_backend import TorchBackend, TorchPointDecoder
from maskmill.onnx_backend import GRID_FILES, ONNX_FILES, OnnxBackend, OnnxPointDecoder
from maskmill.onnx_graphs import graphs
from maskmill.weights import CARD, read_card, write_card

MAX_LOGIT_DIFFERENCE = 1e-3
MIN_MASK_IOU = 0.995
"""What the two runtimes may differ by, in logits and in IoU of the masks."""

FLOAT16_FROM = 64
"""Initialisers with fewer values than this are not worth a cast."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far ONNX Runtime and PyTorch were apart on the prompts that `export` tried.

    Attributes:
        logit_difference: Largest absolute difference of low-res mask logits.
        iou_difference: Largest absolute difference of predicted IoU.
        mask_iou: Smallest IoU between the two runtimes' masks, low-res, at threshold 0.
    """

    logit_difference: float
    iou_difference: float
    mask_iou: float


def round_to_float16(model: nn.Module) -> None:
    """Round a model's large tensors to the nearest float16, in place; they stay float32 tensors.

    A model that is to be shipped is rounded once, before anything is measured on it, so that its
    safetensors file, its ONNX files and its measured quality are of the very same numbers. Small
    tensors are left alone, as `save_model` leaves them.

    Raises:
        CheckpointError: If a value is too large for float16.
    """
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point() or tensor.numel() < SMALL_TENSOR:
                continue
            rounded = tensor.half().float()
            if not rounded.isfinite().all():
                raise CheckpointError(
                    f"{name} holds {tensor.abs().max().item():g}, above float16's 65504; "
                    "export the model unrounded"
                )
            tensor.copy_(rounded)


def export(sam: Sam, folder: Path) -> Parity:
    """Write a model's ONNX files into a folder, after checking them against PyTorch.

    Nothing is left in the folder if the check fails. If the folder holds a card, the new files'
    digests go into it. The files hold no name, path or date of the machine that wrote them.

    Args:
        sam: A model in evaluation mode on the CPU.
        folder: Where to write; made if missing. Files of an earlier export are replaced.

    Returns:
        How closely the two runtimes agreed.

    Raises:
        CheckpointError: If they differ by more than `MAX_LOGIT_DIFFERENCE` or `MIN_MASK_IOU` allow.
        ValueError: If the model is in training mode.
    """
    if sam.training:
        raise ValueError("the model is in training mode; call sam.eval() before exporting")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as scratch:
        staged = Path(scratch)
        for name, model in graphs(sam):
            store_as_float16(model.graph, sam.image_encoder)
            strip_origin(model)
            onnx.save(model, staged / name)
        parity = measure_parity(sam, staged)
        _refuse_disparity(parity)
        for name in (*ONNX_FILES, *GRID_FILES):
            (folder / name).unlink(missing_ok=True)  # an earlier export may have written more
            if (staged / name).exists():
                (staged / name).replace(folder / name)
    if (folder / CARD).is_file():
        write_card(folder, read_card(folder))
    return parity


def measure_parity(sam: Sam, folder: Path, *, seed: int = 0) -> Parity:
    """Run both runtimes on a random frame and on prompts of every structure, and compare.

    Args:
        sam: The model the folder was exported from.
        folder: A folder with exported files.
        seed: Which random frame and prompts.
    """
    torch_backend, onnx_backend = TorchBackend(sam), OnnxBackend(folder)
    random = np.random.default_rng(seed)
    worst = Parity(logit_difference=0.0, iou_difference=0.0, mask_iou=1.0)
    # Each runtime decodes its own embedding: the whole chain is compared, as users run it.
    frame = _random_frame(sam.config, random)
    encoded = [backend.encode(frame) for backend in (torch_backend, onnx_backend)]
    for n, points, boxed, masked in ((1, 1, 0, 0), (3, 2, 0, 0), (2, 0, 1, 0), (2, 1, 1, 1)):
        coords, labels, mask = _random_prompts(sam.config, random, n, points, boxed, masked)
        expected = torch_backend.decode(*encoded[0], coords, labels, mask, True)
        found = onnx_backend.decode(*encoded[1], coords, labels, mask, True)
        worst = _worse(worst, expected, found)
    reference = torch_backend.point_decoder(*encoded[0])
    grid = onnx_backend.point_decoder(*encoded[1])
    if grid is None or reference is None:
        return worst
    coords, _, _ = _random_prompts(sam.config, random, 4, 1, 0, 0)
    places = np.ascontiguousarray(coords[:, 0])
    for wanted, given in zip(_of_grid(reference, places), _of_grid(grid, places), strict=True):
        worst = _worse(worst, wanted, given)
    return worst


def _of_grid(
    decoder: TorchPointDecoder | OnnxPointDecoder, points: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a grid's masks with their predicted IoU, and with what they promised."""
    seen: Any  # each runtime's own
    seen, promise = decoder.attend(points)
    logits, iou = decoder.draw(seen, np.arange(len(points)))
    return (logits, iou), (logits, promise)


def _worse(
    worst: Parity, first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> Parity:
    """Take note of how far two answers, each of logits and predicted IoU, are apart."""
    (logits_a, iou_a), (logits_b, iou_b) = first, second
    return Parity(
        logit_difference=max(worst.logit_difference, float(abs(logits_a - logits_b).max())),
        iou_difference=max(worst.iou_difference, float(abs(iou_a - iou_b).max())),
        mask_iou=min(worst.mask_iou, _smallest_iou(logits_a > 0, logits_b > 0)),
    )


def store_as_float16(graph: onnx.GraphProto, encoder: nn.Module) -> None:
    """Replace float32 initialisers by float16 ones where that loses nothing.

    A convolution that had its batch norm folded in is no longer exact in float16; it is written as
    the original weight times a factor per output channel.

    Args:
        graph: Changed in place.
        encoder: Whose convolutions were folded, as they were before.
    """
    originals = {name: t.numpy() for name, t in encoder.state_dict().items()}
    added: list[onnx.NodeProto] = []
    kept: list[onnx.TensorProto] = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < FLOAT16_FROM:
            kept.append(tensor)
            continue
        if _is_exact(values):
            kept.append(numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}_f16"))
            added.append(_cast(f"{tensor.name}_f16", tensor.name))
            continue
        original = originals.get(tensor.name.split("image_encoder.")[-1])
        factor = None if original is None else _channel_factor(original, values)
        if original is None or factor is None:
            kept.append(tensor)
            continue
        kept.append(numpy_helper.from_array(original.astype(np.float16), f"{tensor.name}_f16"))
        kept.append(numpy_helper.from_array(factor, f"{tensor.name}_factor"))
        added.append(_cast(f"{tensor.name}_f16", f"{tensor.name}_f32"))
        added.append(
            onnx.helper.make_node(
                "Mul", [f"{tensor.name}_f32", f"{tensor.name}_factor"], [tensor.name]
            )
        )
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _cast(source: str, target: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [source], [target], to=onnx.TensorProto.FLOAT)


def _is_exact(values: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        return bool((values.astype(np.float16).astype(np.float32) == values).all())


def _channel_factor(original: np.ndarray, folded: np.ndarray) -> np.ndarray | None:
    """Return `f` of shape `out 1 1 1` with folded = original * f, or None if there is none."""
    if original.shape != folded.shape or original.ndim != 4 or not _is_exact(original):
        return None
    flat, flat_folded = original.reshape(len(original), -1), folded.reshape(len(folded), -1)
    rows = np.arange(len(flat))
    largest = abs(flat).argmax(axis=1)
    pivot = flat[rows, largest]
    factor = np.divide(
        flat_folded[rows, largest], pivot, out=np.zeros_like(pivot), where=pivot != 0
    )
    factor = factor.astype(np.float32).reshape(-1, 1, 1, 1)
    return factor if np.allclose(original * factor, folded, rtol=1e-5, atol=1e-12) else None


def strip_origin(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes about the source files that it traced."""
    model.doc_string = ""
    del model.metadata_props[:]
    model.graph.doc_string = ""
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input):
        part.doc_string = ""
        del part.metadata_props[:]
    for output in model.graph.output:
        output.doc_string = ""
        del output.metadata_props[:]


def _random_frame(config: ModelConfig, random: np.random.Generator) -> np.ndarray:
    """Return a normalised frame of soft blobs, whose embedding differs from cell to cell."""
    coarse = torch.from_numpy(random.standard_normal((1, 3, 12, 12), dtype=np.float32))
    side = config.input_side
    frame = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return frame.numpy()


def _random_prompts(
    config: ModelConfig,
    random: np.random.Generator,
    n: int,
    points: int,
    boxed: int,
    masked: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return `n` prompts of one structure, in the input frame."""
    side, low = config.input_side, config.low_res_side
    coords = random.uniform(0, side, (n, points + 2 * boxed, 2)).astype(np.float32)
    labels = random.integers(0, 2, (n, points + 2 * boxed))
    if boxed:
        coords[:, points:].sort(axis=1)
        labels[:, points:] = (2, 3)
    else:
        coords = np.concatenate([coords, np.zeros((n, 1, 2), np.float32)], axis=1)
        labels = np.concatenate([labels, np.full((n, 1), -1)], axis=1)
    mask = random.standard_normal((n, 1, low, low), dtype=np.float32) * 5 if masked else None
    return coords, labels, mask


def _smallest_iou(a: np.ndarray, b: np.ndarray) -> float:
    shared, either = (a & b).sum(axis=(-2, -1)), (a | b).sum(axis=(-2, -1))
    return float(np.where(either == 0, 1.0, shared / np.maximum(either, 1)).min())


def _refuse_disparity(parity: Parity) -> None:
    # Written so that NaN, which compares as false, is refused too.
    fine = parity.logit_difference <= MAX_LOGIT_DIFFERENCE and parity.mask_iou >= MIN_MASK_IOU
    if not fine:
        raise CheckpointError(
            f"ONNX Runtime and PyTorch differ by {parity.logit_difference:.2g} in logits and their "
            f"masks have IoU {parity.mask_iou:.4f}; allowed are {MAX_LOGIT_DIFFERENCE:g} and "
            f"{MIN_MASK_IOU}. Use the torch backend for this model"
        )

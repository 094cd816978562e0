"""Published checkpoints: read without running their code, and recognised by their shapes.

A `.pth` is a pickle, and a pickle is a program. It is only ever read by PyTorch's restricted
reader, and what that refuses is refused, never retried.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskmill.config import MODEL_CONFIGS, DecoderConfig, ModelConfig, VitConfig
from maskmill.errors import CheckpointError


def read_pickle(path: Path) -> dict[str, Tensor]:
    """Read a `.pth` that holds a state dict of plain tensors and nothing else.

    Args:
        path: A file that `torch.save` wrote, or anything else.

    Returns:
        The tensors by name, on the CPU.

    Raises:
        CheckpointError: If the file is damaged, asks for code, or holds anything but plain tensors.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd protocols; what cannot be read is an error
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
    # Hostile bytes lead the reader into errors of any class; each of them means no.
    except Exception as error:
        if asked := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise CheckpointError(
                f"{path} is refused: besides tensors it asks for {asked[1]}, which could run code; "
                "get a plain state dict from a source you trust"
            ) from error
        # PyTorch's long messages begin with advice on how to load the file unsafely.
        told = str(error).rpartition("WeightsUnpickler error: ")[2].strip().partition("\n")[0]
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}: "
            f"{told.partition('. ')[0]}); download it again"
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and _is_plain(tensor) for name, tensor in state.items()
    ):
        raise CheckpointError(
            f"{path} is no state dict of plain tensors; "
            "use a published sam_vit_b, sam_vit_l or sam_vit_h"
        )
    return state


def _is_plain(tensor: Any) -> bool:
    """Refuse what is no dense tensor, and one that claims more numbers than the file holds."""
    return (
        isinstance(tensor, Tensor)
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and tensor.untyped_storage().nbytes() >= tensor.numel() * tensor.element_size()
    )


def recognise(state: Mapping[str, Tensor], path: Path) -> ModelConfig:
    """Read the architecture off the shapes of a published state dict.

    Args:
        state: Tensors by their published names.
        path: What to call the file in an error.

    Returns:
        The configuration, named after the paper's variant where it is one, else `vit`.

    Raises:
        CheckpointError: If tensors that every model of the paper has are not there.
    """
    try:
        encoder, input_side = _recognise_encoder(state)
        decoder = _recognise_decoder(state)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"{path} is not a model of the paper: {error} is missing or has another shape; "
            "use a published sam_vit_b, sam_vit_l or sam_vit_h, or a model's folder"
        ) from error
    found = ModelConfig(name="vit", encoder=encoder, decoder=decoder, input_side=input_side)
    named = (c for c in MODEL_CONFIGS.values() if c == replace(found, name=c.name))
    return next(named, found)


def _recognise_encoder(state: Mapping[str, Tensor]) -> tuple[VitConfig, int]:
    """Read the encoder's configuration, and the side of the input frame in pixels."""
    side, embed_dim = state["image_encoder.pos_embed"].shape[2:]
    patch_size = state["image_encoder.patch_embed.proj.weight"].shape[-1]
    depth = _count(state, "image_encoder.blocks.{}.attn.rel_pos_h")
    tables = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)]
    # A table holds the distances from -(reach - 1) to reach - 1, of the map or of a window.
    reach = [(length + 1) // 2 for length, _ in tables]
    mlp_dim = state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0]
    encoder = VitConfig(
        embed_dim=embed_dim,
        depth=depth,
        num_heads=embed_dim // tables[0][1],
        global_attn_indexes=tuple(i for i in range(depth) if reach[i] == side),
        window_size=min(reach),
        patch_size=patch_size,
        mlp_ratio=mlp_dim / embed_dim,
    )
    return encoder, side * patch_size


def _recognise_decoder(state: Mapping[str, Tensor]) -> DecoderConfig:
    """Read all but the number of heads, which leaves no trace in the shapes: the paper's stands."""
    head = "mask_decoder.iou_prediction_head.layers.{}.weight"
    masks, transformer_dim = state["mask_decoder.mask_tokens.weight"].shape
    return DecoderConfig(
        transformer_dim=transformer_dim,
        depth=_count(state, "mask_decoder.transformer.layers.{}.norm1.weight"),
        mlp_dim=state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
        num_multimask_outputs=masks - 1,
        iou_head_depth=_count(state, head),
        iou_head_hidden_dim=state[head.format(0)].shape[0],
        mask_in_chans=state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
    )


def _count(state: Mapping[str, Tensor], key: str) -> int:
    n = 0
    while key.format(n) in state:
        n += 1
    return n

"""The paper's model at a size for tests, with weights that all matter, and its peers.

Fresh weights hide mistakes: position tables start at zero and norms at one. `randomise` leaves none
of them so. The peers are the reference package and Hugging Face's port, holding the same numbers.
"""

import re
import sys
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from maskmill.config import ModelConfig, VitConfig
from maskmill.model.sam import Sam, build

# 16 patches per side: windows of 7 have to be padded, to 21.
SMALL = ModelConfig(
    name="small",
    encoder=VitConfig(
        embed_dim=64, depth=4, num_heads=2, global_attn_indexes=(1, 3), window_size=7
    ),
    input_side=256,
)


def randomise(module: nn.Module, *, seed: int = 0) -> None:
    """Draw every parameter and buffer anew, away from zero and one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            numbers = torch.randn(tensor.shape, generator=generator)
            if "gaussian" in name:
                pass
            elif tensor.ndim == 1 and name.endswith("weight"):  # of a norm
                numbers = 1 + numbers / 4
            elif tensor.ndim == 1 or re.search(
                r"_pos|pos_|(tokens?|embed|embeddings\.\d)\.w", name
            ):
                numbers /= 2
            else:  # a matrix or kernel keeps the scale of what it maps
                numbers /= tensor[0].numel() ** 0.5
            tensor.copy_(numbers)


def small_sam(*, seed: int = 0) -> Sam:
    """Build the small model with random weights, in evaluation mode."""
    sam = build(SMALL).eval()
    randomise(sam, seed=seed)
    return sam


def reference_model(reference: ModuleType, config: ModelConfig) -> Any:
    """Build the reference package's model of a configuration."""
    modeling, vit, decoder = reference.modeling, config.encoder, config.decoder
    assert isinstance(vit, VitConfig)
    side = config.embedding_side
    return modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            img_size=config.input_side,
            patch_size=vit.patch_size,
            embed_dim=vit.embed_dim,
            depth=vit.depth,
            num_heads=vit.num_heads,
            mlp_ratio=vit.mlp_ratio,
            out_chans=decoder.transformer_dim,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=vit.window_size,
            global_attn_indexes=vit.global_attn_indexes,
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=decoder.transformer_dim,
            image_embedding_size=(side, side),
            input_image_size=(config.input_side, config.input_side),
            mask_in_chans=decoder.mask_in_chans,
        ),
        mask_decoder=modeling.MaskDecoder(
            transformer_dim=decoder.transformer_dim,
            transformer=modeling.TwoWayTransformer(
                depth=decoder.depth,
                embedding_dim=decoder.transformer_dim,
                num_heads=decoder.num_heads,
                mlp_dim=decoder.mlp_dim,
            ),
            num_multimask_outputs=decoder.num_multimask_outputs,
            iou_head_depth=decoder.iou_head_depth,
            iou_head_hidden_dim=decoder.iou_head_hidden_dim,
        ),
    ).eval()


def hugging_face_model(config: ModelConfig) -> Any:
    """Build Hugging Face's `SamModel` of a configuration."""
    # transformers asks whether torchvision is there; the reference's stand-ins are not an answer.
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            patch.delitem(sys.modules, name)
        from transformers import SamConfig, SamModel

    vit = config.encoder
    assert isinstance(vit, VitConfig)
    settings = SamConfig(
        vision_config={
            "image_size": config.input_side,
            "patch_size": vit.patch_size,
            "hidden_size": vit.embed_dim,
            "num_hidden_layers": vit.depth,
            "num_attention_heads": vit.num_heads,
            "mlp_dim": int(vit.embed_dim * vit.mlp_ratio),
            "window_size": vit.window_size,
            "global_attn_indexes": list(vit.global_attn_indexes),
            "output_channels": config.decoder.transformer_dim,
        },
        prompt_encoder_config={"image_size": config.input_side},
        # The port says 1e-6; the reference leaves its transformer at PyTorch's 1e-5.
        mask_decoder_config={"layer_norm_eps": 1e-5},
    )
    return SamModel(settings).eval()


def hugging_face_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename published keys to those of Hugging Face's port."""
    renamed = {}
    for key, tensor in state.items():
        for pattern, replacement in _HUGGING_FACE_NAMES:
            key = re.sub(pattern, replacement, key)
        renamed[key] = tensor
    matrix = renamed["shared_image_embedding.positional_embedding"]
    return renamed | {"prompt_encoder.shared_embedding.positional_embedding": matrix}


_HUGGING_FACE_NAMES = [
    (r"^prompt_encoder\.pe_layer\.\w+$", "shared_image_embedding.positional_embedding"),
    (r"^image_encoder\.", "vision_encoder."),
    (r"patch_embed\.proj", "patch_embed.projection"),
    (r"\.blocks\.", ".layers."),
    (r"neck\.0", "neck.conv1"),
    (r"neck\.1", "neck.layer_norm1"),
    (r"neck\.2", "neck.conv2"),
    (r"neck\.3", "neck.layer_norm2"),
    (r"norm_final_attn", "layer_norm_final_attn"),
    (r"\.norm(\d)", r".layer_norm\1"),
    (r"mask_downscaling\.0", "mask_embed.conv1"),
    (r"mask_downscaling\.1", "mask_embed.layer_norm1"),
    (r"mask_downscaling\.3", "mask_embed.conv2"),
    (r"mask_downscaling\.4", "mask_embed.layer_norm2"),
    (r"mask_downscaling\.6", "mask_embed.conv3"),
    (r"point_embeddings", "point_embed"),
    (r"output_upscaling\.0", "upscale_conv1"),
    (r"output_upscaling\.1", "upscale_layer_norm"),
    (r"output_upscaling\.3", "upscale_conv2"),
    (r"(mlps\.\d|head)\.layers\.0", r"\1.proj_in"),
    (r"(mlps\.\d|head)\.layers\.2", r"\1.proj_out"),
    (r"(mlps\.\d|head)\.layers\.1", r"\1.layers.0"),
]


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Compare two tensors, by distance and by largest difference; the larger one counts."""
    assert found.shape == expected.shape
    assert expected.std() > 0.01  # degenerate weights would make everything equal
    found, expected = found.detach().double(), expected.detach().double()
    difference = found - expected
    return max(
        float(difference.norm() / expected.norm()),
        float(difference.abs().max() / expected.abs().max()),
    )

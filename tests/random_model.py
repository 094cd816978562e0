"""Small models with random weights whose masks are neither all full nor all empty."""

from pathlib import Path

import pytest
import torch

from maskmill.config import DecoderConfig, ModelConfig, TinyConfig, VitConfig
from maskmill.model.checkpoint import save_model
from maskmill.model.sam import Sam, build
from maskmill.onnx_export import export, round_to_float16
from maskmill.weights import builtin_models, model_folder

DECODER = DecoderConfig(transformer_dim=64, num_heads=2, mlp_dim=96, iou_head_hidden_dim=48)
SMALL_TINY = ModelConfig(
    name="small-tiny",
    encoder=TinyConfig(
        widths=(16, 24, 64, 96), depths=(1, 1, 1, 1), num_heads=2, high_res_dims=(16, 8)
    ),
    decoder=DecoderConfig(
        transformer_dim=64,
        num_heads=2,
        mlp_dim=96,
        iou_head_hidden_dim=48,
        high_res=True,
        look_at_points=True,
        prompt_maps=True,
        likeness=True,
        read_masks=True,
        grid_iou=True,
    ),
    input_side=160,
)
SMALL_VIT = ModelConfig(
    name="small-vit",
    encoder=VitConfig(embed_dim=48, depth=2, num_heads=2, global_attn_indexes=(1,), window_size=4),
    decoder=DECODER,
    input_side=96,
)


def random_sam(config: ModelConfig, *, seed: int = 3) -> Sam:
    """Build a model in evaluation mode, with batch norms as a training would leave them."""
    sam = build(config, seed=seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in sam.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.weight.uniform_(-1.2, 1.2, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.4, 2, generator=generator)
        for mlp in sam.mask_decoder.output_hypernetworks_mlps:
            mlp.layers[-1].weight.mul_(30)  # type: ignore[union-attr, operator, index]
        if sam.mask_decoder.grid_iou is not None:  # a fresh one changes nothing
            for parameter in sam.mask_decoder.grid_iou.parameters():
                parameter.normal_(0, 0.3, generator=generator)
    return sam


def exported_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save and export a small random model, once per test run: tracing takes most of a minute."""
    folder = tmp_path_factory.getbasetemp() / "exported-model"
    if not folder.exists():
        sam = random_sam(SMALL_TINY)
        round_to_float16(sam)
        save_model(folder, sam, {}, dtype=torch.float16)
        export(sam, folder)
    return folder


def shipped_or_exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the model that ships in the package, or of a random one without it."""
    if "tiny" in builtin_models():
        return model_folder("tiny")
    return exported_folder(tmp_path_factory)

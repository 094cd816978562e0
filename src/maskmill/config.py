"""Settings: one frozen dataclass per component, and a TOML reader that names mistakes.

Read order everywhere: the defaults here, a TOML file, the command line. Environment variables hold
only what differs per machine. Each field carries its unit and one line of explanation below it;
the command line shows that very line as help.
"""

import difflib
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from maskmill.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class VitConfig:
    """The paper's image encoder (ViT with windowed and global attention)."""

    embed_dim: int
    """Width of every block, channels."""
    depth: int
    """Number of blocks."""
    num_heads: int
    """Attention heads per block."""
    global_attn_indexes: tuple[int, ...]
    """Blocks that attend globally; all others within windows."""
    window_size: int = 14
    """Side of an attention window, patches."""
    patch_size: int = 16
    """Side of a patch, pixels."""
    mlp_ratio: float = 4.0
    """Width of a block's MLP over `embed_dim`."""


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    """The embedded default's encoder: convolutions, and attention where the map is smallest."""

    widths: tuple[int, int, int, int] = (40, 80, 192, 256)
    """Channels at strides 4, 8, 16 and 32."""
    depths: tuple[int, int, int, int] = (1, 2, 5, 3)
    """Blocks at strides 4, 8, 16 (convolution) and 32 (attention)."""
    num_heads: int = 8
    """Heads of the attention blocks at stride 32."""
    high_res_dims: tuple[int, int] = (32, 16)
    """Channels of the feature maps at strides 8 and 4 that the mask decoder receives."""


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Prompt encoder, two-way transformer and mask decoder."""

    transformer_dim: int = 256
    """Channels of the embedding and of every token."""
    depth: int = 2
    """Two-way attention blocks."""
    num_heads: int = 8
    """Attention heads."""
    mlp_dim: int = 2048
    """Width of the MLP in a two-way block."""
    num_multimask_outputs: int = 3
    """Candidates for an ambiguous prompt."""
    iou_head_depth: int = 3
    """Layers of the MLP that predicts IoU."""
    iou_head_hidden_dim: int = 256
    """Width of that MLP."""
    mask_in_chans: int = 16
    """Channels inside the mask prompt's convolutions."""
    high_res: bool = False
    """Whether the encoder's finer maps are added while the masks are upscaled."""
    look_at_points: bool = False
    """Whether a point's token also holds what the encoder's maps show at that point."""
    prompt_maps: bool = False
    """Whether nearness to clicks and the inside of the box are added to the masks' logits."""
    likeness: bool = False
    """Whether likeness to the clicked pixels is added to the masks' logits."""
    read_masks: bool = False
    """Whether predicted IoU rests on what each mask covers, and not on one token alone."""
    grid_iou: bool = False
    """Whether everything mode has a predicted IoU of its own; needs `read_masks`."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A promptable model; variants are numbers in here, never other code."""

    name: str
    """What people call it."""
    encoder: VitConfig | TinyConfig
    """The image encoder."""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """The prompt encoder and mask decoder."""
    input_side: int = 1024
    """Side of the padded square input frame, pixels."""
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    """Mean of R, G, B in [0, 255], subtracted from the input."""
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    """Deviation of R, G, B in [0, 255], divided out of the input."""
    mask_threshold: float = 0.0
    """Cut-off in logits between background and object."""
    pred_iou_thresh: float = 0.88
    """Everything mode's cut-off of predicted IoU that suits this model, [0, 1]."""
    stability_score_thresh: float = 0.95
    """Everything mode's cut-off of the stability score that suits this model, [0, 1]."""

    @property
    def embedding_stride(self) -> int:
        """Input pixels per cell of the embedding."""
        return 16

    @property
    def embedding_side(self) -> int:
        """Side of the embedding, cells."""
        return self.input_side // self.embedding_stride

    @property
    def low_res_side(self) -> int:
        """Side of low-res mask logits, pixels: a quarter of the input frame."""
        return self.input_side // 4


VIT_B = ModelConfig(
    name="vit_b",
    encoder=VitConfig(embed_dim=768, depth=12, num_heads=12, global_attn_indexes=(2, 5, 8, 11)),
)
VIT_L = ModelConfig(
    name="vit_l",
    encoder=VitConfig(embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)),
)
VIT_H = ModelConfig(
    name="vit_h",
    encoder=VitConfig(embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)),
)
TINY = ModelConfig(
    name="tiny",
    encoder=TinyConfig(),
    decoder=DecoderConfig(
        transformer_dim=128,
        num_heads=4,
        mlp_dim=512,
        iou_head_hidden_dim=128,
        high_res=True,
        look_at_points=True,
        prompt_maps=True,
        likeness=True,
        read_masks=True,
        grid_iou=True,
    ),
    input_side=384,
    pred_iou_thresh=0.3,
    stability_score_thresh=0.5,
)

MODEL_CONFIGS = {config.name: config for config in (TINY, VIT_B, VIT_L, VIT_H)}


@dataclass(frozen=True, kw_only=True)
class AutomaskConfig:
    """Everything mode; the names are the reference generator's own."""

    points_per_side: int = 32
    """Points along each side of the grid, 1 to 1000."""
    points_per_batch: int = 32
    """Prompts decoded at once; more needs more memory and is rarely faster on a CPU."""
    pred_iou_thresh: float | None = None
    """Masks are kept if their predicted IoU is above this, up to 1; by default the model's own."""
    stability_score_thresh: float | None = None
    """Masks are kept if their stability score is at least this, [0, 1]; by default the model's."""
    stability_score_offset: float = 1.0
    """Distance of the stability score's two cuts from the mask threshold, logits; above 0."""
    box_nms_thresh: float = 0.7
    """Of two masks of one crop whose boxes overlap more than this IoU, [0, 1], the better stays."""
    crop_n_layers: int = 0
    """Extra layers of crops, 0 to 8; layer i has 2^i crops per side."""
    crop_nms_thresh: float = 0.7
    """As `box_nms_thresh`, between crops; the smaller crop wins."""
    crop_overlap_ratio: float = 512 / 1500
    """Overlap of neighbouring crops in layer 1, share of the image's shorter side, [0, 1)."""
    crop_n_points_downscale_factor: int = 1
    """The grid of layer i has points_per_side / factor^i points per side."""
    min_mask_region_area: int = 0
    """Holes and islands below this area are removed, pixels; 0 keeps all."""
    fast: bool = False
    """Skip grid points inside masks that are already confident; bf16 where the CPU has it."""

    def for_model(self, model: ModelConfig) -> "SettledAutomaskConfig":
        """Fill in the thresholds that were left to the model.

        Published models bring the reference generator's, 0.88 and 0.95; a model that is less sure
        of itself brings lower ones, or nothing would pass.

        Example:
            >>> AutomaskConfig(stability_score_thresh=0.5).for_model(VIT_B).pred_iou_thresh
            0.88
        """
        settings = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("pred_iou_thresh", "stability_score_thresh"):
            if settings[name] is None:
                settings[name] = getattr(model, name)
        return SettledAutomaskConfig(**settings)


@dataclass(frozen=True, kw_only=True)
class SettledAutomaskConfig(AutomaskConfig):
    """Everything mode's settings for one model: nothing is left open."""

    pred_iou_thresh: float = 0.88
    """As in `AutomaskConfig`."""
    stability_score_thresh: float = 0.95
    """As in `AutomaskConfig`."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Interactive training; the defaults follow the paper where a CPU allows it."""

    model: str = "tiny"
    """Variant to train, by name."""
    start_from: str = ""
    """Model folder, built-in name or published checkpoint to start from; empty: random weights."""
    leave_out: tuple[str, ...] = ()
    """Parts of the decoder that a fresh model does without: `high_res`, `likeness`, and so on."""
    grow: bool = False
    """Whether parts that `model` has and the model to start from lacks are added, untrained."""
    steps: int = 4000
    """Optimiser steps."""
    batch_images: int = 8
    """Images per step, over all processes."""
    masks_per_image: int = 3
    """Masks prompted per image; the paper takes up to 64."""
    input_side: int = 256
    """Side of the training frame, pixels; multiples of 32."""
    late_input_side: int = 384
    """Side of the frame in the last part, pixels: small first is cheap, large last is sharp."""
    late_share: float = 0.2
    """Share of the steps that are run at `late_input_side`, [0, 1]."""
    click_iterations: int = 3
    """Clicks from the error region after the first prompt; the paper takes 8."""
    iterations_without_point: int = 1
    """Extra rounds that only feed the logits back; the paper takes 2."""
    box_share: float = 0.5
    """Share of masks whose first prompt is a noisy box, [0, 1]."""
    centre_share: float = 0.0
    """Share of clicks at the centre of the error region, [0, 1]; the paper: 0, all uniform."""
    mask_loss: Literal["focal", "bce"] = "focal"
    """Loss per pixel; the paper takes focal."""
    mask_loss_weight: float = 20.0
    """Weight of the loss per pixel."""
    dice_weight: float = 1.0
    """Weight of the dice loss."""
    iou_weight: float = 1.0
    """Weight of the regression of predicted IoU."""
    sketch_weight: float = 0.5
    """Weight of the coarse sketches' likeness to the masks drawn, where a model sketches."""
    learning_rate: float = 8e-4
    """Peak rate of AdamW."""
    weight_decay: float = 0.05
    """Decay of matrices and kernels; norms and biases have none."""
    warmup_steps: int = 200
    """Steps of linear warm-up; a cosine down to a hundredth follows."""
    layer_decay: float = 1.0
    """Rate of each encoder layer over that of the layer above; the paper's 0.8 for fine-tuning."""
    clip_grad_norm: float = 1.0
    """Largest norm of the gradient."""
    ema_decay: float = 0.999
    """Decay of the averaged weights, which are what is saved as the model."""
    start_share: float = 0.0
    """Share of the weights started from in the model that is saved, [0, 1]: it forgets less."""
    keep_statistics: bool = False
    """Keep batch norm's statistics as they were: a few images would bend them to themselves."""
    scale_jitter: tuple[float, float] = (0.5, 2.0)
    """Range of large-scale jitter, times the scale that fits the frame."""
    colour_jitter: float = 0.3
    """Largest relative change of brightness, contrast and saturation."""
    source_power: float = 0.6
    """Sources are drawn by their number of images to this power: 1 images, 0 sources alike."""
    min_mask_share: float = 0.0015
    """Smaller masks are left out, share of the image."""
    max_mask_share: float = 0.95
    """Larger masks are left out, as in the paper."""
    grid_iou_images: int = 40
    """Images on which everything mode's predicted IoU is fitted at the end; 0 leaves it alone."""
    sources: tuple[str, ...] = ()
    """Folders that may be used, by name; empty takes all."""
    max_images: int | None = None
    """Use only so many images, evenly over sources; by default all."""
    precision: Literal["float32", "bf16"] = "float32"
    """Arithmetic of the forward pass; bf16 needs hardware for it."""
    device: str = "auto"
    """auto, cpu or cuda."""
    data_workers: int = 0
    """Processes that prepare images; 0 prepares them in the training process."""
    threads: int = 1
    """Threads of each training process on a CPU; 0 leaves it to PyTorch."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    seed: int = 0
    """Decides weights, order, augmentation and clicks; a CPU repeats a seed to the last bit."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What a model is measured on."""

    split: str | None = None
    """Only images of this split, `val` say; by default all."""
    sources: tuple[str, ...] = ()
    """Only these sources (folders that hold labels), by name; empty takes all."""
    limit: int | None = None
    """Number of images, spread evenly over the sources; by default all."""
    min_mask_share: float = 0.0
    """Smaller masks are left out, share of the image."""
    max_mask_share: float = 0.95
    """Larger masks are left out, as in the paper."""
    everything_images: int | None = 30
    """Images on which everything mode is run too; it is dear. 0 leaves it out."""
    points_per_side: int = 32
    """Points along each side of everything mode's grid."""


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: If the file is missing or is not TOML; the message says where.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read settings {path}: {error.strerror}; check the path"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}; fix that line and run again") from error


def with_settings(config: T, settings: dict[str, Any], *, where: str = "settings") -> T:
    """Return a copy of a configuration with some fields replaced.

    Args:
        config: A dataclass of this module.
        settings: New values by field name.
        where: What to call the settings in an error, a file's name say.

    Raises:
        ConfigError: If a name is unknown; the message offers the nearest one. If a value has the
            wrong type.
    """
    known = {f.name: f.type for f in fields(config)}  # type: ignore[arg-type]
    for key, value in settings.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(sorted(known))}"
            raise ConfigError(f"{where}: unknown setting {key!r}; {hint}")
        if not _fits(value, known[key]):
            raise ConfigError(
                f"{where}: {key} is {value!r}; it must be {_in_words(known[key])}, "
                f"as its default, {getattr(config, key)!r}"
            )
    new: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    # TOML's 1 is an integer; a field that may hold a number takes it as 1.0.
    new |= {
        k: float(v)
        for k, v in settings.items()
        if type(v) is int and float in (known[k], *get_args(known[k]))
    }
    return replace(config, **new)  # type: ignore[type-var]


def _fits(value: Any, kind: Any) -> bool:
    """Tell whether a value out of a TOML file may stand in a field of this annotation."""
    origin, options = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in options
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in options)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False
        kinds = options[:1] * len(value) if options[-1] is ... else options
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if isinstance(value, bool) or kind is bool:  # to Python, True is an int as well
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(repr(option) for option in get_args(kind))
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)


Backend = Literal["auto", "onnx", "torch"]
"""Which runtime runs a model: `auto` takes ONNX Runtime on a CPU where the model has ONNX files."""

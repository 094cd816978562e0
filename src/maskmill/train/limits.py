"""The limits of training's and measuring's settings, checked before anything is read or written."""

import math
from dataclasses import fields

from maskmill.automask.limits import refuse_nonsense as refuse_nonsense_of_automask
from maskmill.config import AutomaskConfig, EvaluateConfig, TrainConfig
from maskmill.errors import ConfigError

AT_LEAST = {
    "steps": 1,
    "batch_images": 1,
    "masks_per_image": 1,
    "checkpoint_every": 1,
    "click_iterations": 0,
    "iterations_without_point": 0,
    "warmup_steps": 0,
    "grid_iou_images": 0,
    "data_workers": 0,
    "threads": 0,
    "learning_rate": 0.0,
    "weight_decay": 0.0,
    "mask_loss_weight": 0.0,
    "dice_weight": 0.0,
    "iou_weight": 0.0,
    "colour_jitter": 0.0,
    "clip_grad_norm": 0.0,
    "seed": 0,
}
SHARES = (
    *("late_share", "box_share", "centre_share", "layer_decay", "ema_decay"),
    *("min_mask_share", "max_mask_share", "source_power", "start_share"),
)


def refuse_nonsense(config: TrainConfig) -> None:
    """Refuse settings under which no run could be made, by name.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{field.name} is {value}; it must be a finite number")
    for name, least in AT_LEAST.items():
        if getattr(config, name) < least:
            raise ConfigError(f"{name} is {getattr(config, name)}; it must be at least {least}")
    for name in SHARES:
        if not 0 <= getattr(config, name) <= 1:
            raise ConfigError(f"{name} is {getattr(config, name)}; it must lie between 0 and 1")
    for name in ("input_side", "late_input_side"):
        side = getattr(config, name)
        if side < 32 or side % 32:
            raise ConfigError(f"{name} is {side}; it must be a multiple of 32, such as 256")
    if config.start_share and not config.start_from:
        raise ConfigError(
            f"start_share is {config.start_share}, but the weights started from are random; "
            "name a model with start_from, or leave it out"
        )
    low, high = config.scale_jitter
    if not 0 < low <= high < math.inf:
        raise ConfigError(f"scale_jitter is {low:g} to {high:g}; give two numbers above 0, rising")
    _refuse_crossed_shares(config)


def refuse_nonsense_to_measure(config: EvaluateConfig) -> None:
    """Refuse settings under which nothing could be measured, by name.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """
    for name, least in (("limit", 1), ("everything_images", 0)):
        value = getattr(config, name)
        if value is not None and value < least:
            raise ConfigError(f"{name} is {value}; it must be at least {least}")
    for name in ("min_mask_share", "max_mask_share"):
        if not 0 <= getattr(config, name) <= 1:
            raise ConfigError(f"{name} is {getattr(config, name)}; it must lie between 0 and 1")
    _refuse_crossed_shares(config)
    refuse_nonsense_of_automask(AutomaskConfig(points_per_side=config.points_per_side))


def _refuse_crossed_shares(config: TrainConfig | EvaluateConfig) -> None:
    if config.min_mask_share >= config.max_mask_share:
        raise ConfigError(
            f"min_mask_share {config.min_mask_share} is not below max_mask_share "
            f"{config.max_mask_share}; no mask could pass"
        )

"""The limits of everything mode's settings, checked before anything is read or written."""

import math

from maskmill.config import AutomaskConfig
from maskmill.errors import ConfigError

RANGES: dict[str, tuple[float, float]] = {
    "points_per_side": (1, 1000),
    "points_per_batch": (1, math.inf),
    # Predicted IoU is not clamped: below zero is how a caller says that all may pass.
    "pred_iou_thresh": (-math.inf, 1),
    "stability_score_thresh": (0, 1),
    "box_nms_thresh": (0, 1),
    "crop_n_layers": (0, 8),
    "crop_nms_thresh": (0, 1),
    "crop_n_points_downscale_factor": (1, math.inf),
    "min_mask_region_area": (0, math.inf),
}
"""Least and greatest value of each setting, both allowed."""


def refuse_nonsense(config: AutomaskConfig) -> None:
    """Refuse settings under which everything mode could not run, or could find nothing.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """
    for name, (least, most) in RANGES.items():
        value = getattr(config, name)
        # Not the other way round: NaN is below nothing and above nothing.
        if value is not None and not least <= value <= most:
            raise ConfigError(f"{name} is {value}; it must be {_in_words(least, most)}")
    if not 0 < config.stability_score_offset < math.inf:
        raise ConfigError(
            f"stability_score_offset is {config.stability_score_offset}; it must be above 0 "
            "and finite"
        )
    if not 0 <= config.crop_overlap_ratio < 1:
        raise ConfigError(
            f"crop_overlap_ratio is {config.crop_overlap_ratio}; it must be at least 0 and below 1"
        )


def _in_words(least: float, most: float) -> str:
    if least == -math.inf:
        return f"at most {most}"
    return f"at least {least}" if most == math.inf else f"between {least} and {most}"

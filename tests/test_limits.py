"""Nonsense settings are refused by name before a run claims its folder, in either mode."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scenes

from maskmill.automask.limits import RANGES
from maskmill.automask.limits import refuse_nonsense as refuse_nonsense_of_automask
from maskmill.config import AutomaskConfig, EvaluateConfig, TrainConfig
from maskmill.errors import ConfigError
from maskmill.train.evaluate import evaluation_images
from maskmill.train.limits import refuse_nonsense
from maskmill.train.loop import train


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"batch_images": 0}, "batch_images is 0"),
        ({"masks_per_image": 0}, "masks_per_image is 0"),
        ({"checkpoint_every": 0}, "checkpoint_every is 0"),
        ({"warmup_steps": -1}, "warmup_steps is -1"),
        ({"threads": -1}, "threads is -1"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it must be a finite"),
        ({"late_share": 7.0}, r"late_share is 7\.0; it must lie between 0 and 1"),
        ({"input_side": 50}, "input_side is 50; it must be a multiple of 32"),
        ({"scale_jitter": (2.0, 0.5)}, r"scale_jitter is 2 to 0\.5; give two numbers"),
        ({"min_mask_share": 0.99}, r"min_mask_share 0\.99 is not below max_mask_share 0\.95"),
    ],
)
def test_each_is_named_with_what_is_allowed(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        refuse_nonsense(replace(TrainConfig(), **settings))  # type: ignore[arg-type]


def test_the_defaults_pass() -> None:
    refuse_nonsense(TrainConfig())


def test_a_refused_run_leaves_its_folder_free(tmp_path: Path) -> None:
    scenes = write_scenes(tmp_path / "scenes", 1)
    with pytest.raises(ConfigError):
        train(scenes, tmp_path / "run", TrainConfig(input_side=50))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("points_per_side", 0, "between 1 and 1000"),
        ("points_per_side", 100_000, "between 1 and 1000"),
        ("points_per_batch", 0, "at least 1"),
        ("pred_iou_thresh", 1.5, "at most 1"),
        ("pred_iou_thresh", float("nan"), "at most 1"),
        ("stability_score_thresh", 1.01, "between 0 and 1"),
        ("stability_score_thresh", -0.1, "between 0 and 1"),
        ("stability_score_offset", 0.0, "above 0 and finite"),
        ("stability_score_offset", float("inf"), "above 0 and finite"),
        ("box_nms_thresh", -0.1, "between 0 and 1"),
        ("box_nms_thresh", 70.0, "between 0 and 1"),
        ("crop_n_layers", -1, "between 0 and 8"),
        ("crop_n_layers", 30, "between 0 and 8"),
        ("crop_nms_thresh", 1.1, "between 0 and 1"),
        ("crop_overlap_ratio", 1.0, "at least 0 and below 1"),
        ("crop_overlap_ratio", float("nan"), "at least 0 and below 1"),
        ("crop_n_points_downscale_factor", 0, "at least 1"),
        ("min_mask_region_area", -1, "at least 0"),
    ],
)
def test_everything_mode_names_what_is_allowed(name: str, value: float, allowed: str) -> None:
    config = replace(AutomaskConfig(), **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as error:
        refuse_nonsense_of_automask(config)
    assert str(error.value) == f"{name} is {value}; it must be {allowed}"


def test_the_ends_of_each_range_are_allowed() -> None:
    for end in (0, 1):
        ends = {name: ends[end] for name, ends in RANGES.items() if np.isfinite(ends[end])}
        refuse_nonsense_of_automask(replace(AutomaskConfig(), **ends))  # type: ignore[arg-type]
    refuse_nonsense_of_automask(AutomaskConfig())
    # What measuring proposals asks for: everything passes.
    refuse_nonsense_of_automask(AutomaskConfig(pred_iou_thresh=-np.inf))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"limit": 0}, "limit is 0; it must be at least 1"),
        ({"everything_images": -1}, "everything_images is -1"),
        ({"points_per_side": 0}, "points_per_side is 0; it must be between 1 and 1000"),
        ({"max_mask_share": 95.0}, r"max_mask_share is 95\.0; it must lie between 0 and 1"),
        ({"min_mask_share": float("nan")}, "min_mask_share is nan"),
        ({"min_mask_share": 0.95}, r"min_mask_share 0\.95 is not below max_mask_share 0\.95"),
    ],
)
def test_measuring_names_what_is_allowed(
    tmp_path: Path, settings: dict[str, object], said: str
) -> None:
    config = replace(EvaluateConfig(), **settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=said):
        evaluation_images(tmp_path, config)

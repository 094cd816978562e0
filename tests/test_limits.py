"""Nonsense settings are refused by name before a run claims its folder."""

from dataclasses import replace
from pathlib import Path

import pytest
from labelled_scene import write_scenes

from maskmill.config import TrainConfig
from maskmill.errors import ConfigError
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

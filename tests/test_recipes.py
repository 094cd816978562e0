"""Shipped recipes: they are found by name, they are settings, and fine-tuning teaches."""

from dataclasses import replace
from pathlib import Path

import pytest
from faint_cells import faint_cells

from maskmill.config import EvaluateConfig, TrainConfig, load_toml, with_settings
from maskmill.predict import Predictor
from maskmill.recipes import NAMES, recipe
from maskmill.train.evaluate import evaluate
from maskmill.train.loop import train

MEASURE = EvaluateConfig(everything_images=0)


def settings_of(name: str) -> TrainConfig:
    return with_settings(TrainConfig(), load_toml(recipe(Path(name))), where=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_found_by_its_name_and_is_settings(name: str) -> None:
    assert settings_of(name) != TrainConfig()


def test_a_file_of_ones_own_comes_before_a_shipped_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("finetune").write_text("steps = 3\n")
    assert settings_of("finetune").steps == 3


def test_fine_tuning_teaches_the_default_what_it_never_saw(tmp_path: Path) -> None:
    images = [faint_cells(tmp_path, f"{i}", i) for i in range(11)]
    config = replace(
        settings_of("finetune"), steps=24, batch_images=4, masks_per_image=2, input_side=128,
        warmup_steps=4, click_iterations=1, threads=1,
    )  # fmt: skip
    model = train(images[:8], tmp_path / "run", config)
    before, after = (
        evaluate(Predictor.load(each, backend="torch", threads=1), images[8:], MEASURE).overall
        for each in ("tiny", model)
    )
    assert after.iou_at_click["1"] > before.iou_at_click["1"] + 0.1, (before, after)
    assert after.iou_at_click["3"] > before.iou_at_click["3"] + 0.05, (before, after)
    assert after.iou_from_box > before.iou_from_box - 0.05, (before, after)

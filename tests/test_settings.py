"""Defaults, then the file, then the command line."""

from pathlib import Path
from typing import Any

import pytest

from maskmill.cli import build_app
from maskmill.config import AutomaskConfig, TrainConfig
from maskmill.errors import ConfigError
from maskmill.weights import model_folder


def parse(*words: object) -> dict[str, Any]:
    tokens = [str(word) for word in words]
    _, bound, _ = build_app().parse_args(tokens, exit_on_error=False, print_error=False)
    bound.apply_defaults()
    return dict(bound.arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "maskmill.toml"
    path.write_text(
        "[automask]\npoints_per_side = 16\nfast = true\n[train]\nscale_jitter = [0.8, 1.2]\n"
    )
    return path


def test_without_a_file_settings_are_the_defaults() -> None:
    assert parse("automask", "photos", "-o", "out")["settings"] == AutomaskConfig()
    assert parse("train", "photos", "--run", "out")["settings"] == TrainConfig()


def test_a_file_changes_what_it_names(file: Path) -> None:
    settings = parse("automask", "photos", "-o", "out", "--config", file)["settings"]
    assert settings == AutomaskConfig(points_per_side=16, fast=True)


def test_each_command_reads_its_own_table(file: Path) -> None:
    settings = parse("train", "photos", "--run", "out", "--config", file)["settings"]
    assert settings == TrainConfig(scale_jitter=(0.8, 1.2))


def test_a_file_without_tables_is_for_the_command_it_is_given_to(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('steps = 7\nsources = ["a", "b"]\n')
    settings = parse("train", "photos", "--run", "out", "--config", path)["settings"]
    assert settings == TrainConfig(steps=7, sources=("a", "b"))


@pytest.mark.parametrize("run", ["1", "2", "gpu"])
def test_the_shipped_models_recipes_are_settings(run: str) -> None:
    path = model_folder("tiny") / f"recipe-{run}.toml"
    settings = parse("train", "photos", "--run", "out", "--config", path)["settings"]
    assert settings.model == "tiny"
    assert settings.sources


def test_the_command_line_wins_even_with_the_default_itself(file: Path) -> None:
    words = ["automask", "photos", "-o", "out", "--config", file]
    settings = parse(*words, "--points-per-side", 32, "--no-fast")["settings"]
    assert settings == AutomaskConfig()


def test_whole_numbers_and_fractions_are_taken_where_they_belong() -> None:
    words = ["automask", "photos", "-o", "out", "--points-per-side", "+8", "--workers", "1"]
    arguments = parse(*words, "--pred-iou-thresh", "0.25", "--box-nms-thresh", "1")
    assert arguments["workers"] == 1
    expected = AutomaskConfig(points_per_side=8, pred_iou_thresh=0.25, box_nms_thresh=1.0)
    assert arguments["settings"] == expected


def test_the_papers_own_spelling_is_taken() -> None:
    settings = parse("automask", "photos", "-o", "out", "--pred_iou_thresh", 0.5)["settings"]
    assert settings == AutomaskConfig(pred_iou_thresh=0.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[automask]\npoints_per_sid = 3\n", "did you mean points_per_side"),
        ("[automusk]\n", r"did you mean \[automask\]"),
        ("points_per_sid = 3\n", "did you mean points_per_side"),
        ("points_per_side = 3\n[train]\n", r"unknown table \[points_per_side\]"),
        ("automask = 3\n[train]\n", "write a table"),
        ("[automask]\npoints_per_side = 'many'\n", "points_per_side is 'many'"),
        ("[automask]\nfast = 1\n", "fast is 1"),
        ("[automask\n", "not TOML"),
    ],
)
def test_mistakes_in_a_file_name_the_file_and_the_way_out(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as error:
        parse("automask", "photos", "-o", "out", "--config", path)
    assert "wrong.toml" in str(error.value)

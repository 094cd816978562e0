import json
from pathlib import Path

import pytest
from labelled_scene import write_scenes
from test_cli import scenes

from maskmill.cli import main
from maskmill.config import TrainConfig
from maskmill.train import loop


def test_the_verb_hands_images_run_and_settings_to_the_loop(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def train(images: object, run: Path, config: TrainConfig) -> Path:
        asked.extend((images, run, config))
        return run / "model"

    monkeypatch.setattr(loop, "train", train)
    folder = scenes(tmp_path / "scenes")
    (folder / "even" if (folder / "even").is_dir() else folder).joinpath("bad.json").write_text("{")
    words = ["train", folder, "--run", tmp_path / "run", "--steps", 3, "--json"]
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "run": str(tmp_path / "run"),
        "model": str(tmp_path / "run" / "model"),
        "images": 2,
        "refused": 1,
        "steps": 3,
    }
    assert "bad.json" in err
    images, run, config = asked[:3]
    monkeypatch.setenv("RANK", "1")  # what torchrun calls the second of several
    assert main([str(word) for word in words]) == 0
    assert len(asked) == 6
    assert capsys.readouterr() == ("", ""), "one of them speaks"
    assert isinstance(images, tuple)
    assert [image.image_id for image in images] == ["scene0", "scene1"]
    assert run == tmp_path / "run"
    assert config == TrainConfig(steps=3)


def test_sources_that_are_not_there_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_scenes(tmp_path / "unlabelled", 1)
    folder = scenes(tmp_path / "scenes")
    words = ["train", str(folder), "--run", str(tmp_path / "run"), "--sources", "nowhere"]
    assert main(words) == 1
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

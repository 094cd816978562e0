import json
from pathlib import Path
from typing import Any

import pytest
import torch
from paper_model import small_sam

from maskmill import onnx_export
from maskmill.cli import main
from maskmill.cli import model as verbs
from maskmill.model.checkpoint import save_model
from maskmill.model.sam import Sam
from maskmill.onnx_export import Parity


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    code = main(["model", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert out.count("\n") == 1
    result: dict[str, Any] = json.loads(out)
    return result


def test_the_default_model_is_listed_and_small_enough(capsys: pytest.CaptureFixture[str]) -> None:
    models = {model["name"]: model for model in run(capsys, "list")["models"]}
    assert models["tiny"]["onnx"]
    assert sum(model["megabytes"] for model in models.values()) <= 25
    assert main(["model", "list"]) == 0
    assert "tiny" in capsys.readouterr().out


def test_a_card_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "card", "tiny")["config"]["input_side"] == 384
    assert main(["model", "card", "tiny"]) == 0
    assert '"input_side": 384' in capsys.readouterr().out


def test_a_published_checkpoint_becomes_a_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    torch.save(small_sam().state_dict(), tmp_path / "sam.pth")
    result = run(capsys, "convert", tmp_path / "sam.pth", tmp_path / "model")
    assert result["card"]["converted_from"] == "sam.pth"
    assert run(capsys, "card", tmp_path / "model") == result["card"]


@pytest.mark.parametrize("words", [["convert", "x.pth", "out"], ["export", "x.pth", "-o", "out"]])
def test_a_checkpoint_that_is_none_is_told_in_words(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.pth").touch()
    assert main(["model", *words]) == 1
    assert capsys.readouterr().err.startswith("maskmill: x.pth is empty (0 bytes); download")
    Path("x.pth").write_text("<html>not found</html>")
    assert main(["model", *words]) == 1
    assert "x.pth is a text that begins '<html>not found</html>'" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("options", [[], ["--float16"]])
def test_export_without_out_leaves_what_is_not_a_folder_of_ones_own(
    capsys: pytest.CaptureFixture[str], options: list[str], tmp_path: Path
) -> None:
    target = "tiny"
    if options:
        save_model(tmp_path, small_sam(), {"name": "small"})
        target = str(tmp_path)
    assert main(["model", "export", target, *options]) == 1
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize("float16", [False, True])
def test_export_adds_files_that_the_card_knows(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    float16: bool,
) -> None:
    """The export itself takes a minute and has its own tests; here a stand-in writes the files."""
    weights: list[torch.Tensor] = []

    def write_onnx(sam: Sam, folder: Path) -> Parity:
        weights.append(next(sam.parameters()).detach().clone())
        for name in ("encoder.onnx", "decoder.onnx"):
            (folder / name).write_bytes(b"a graph")
        return Parity(logit_difference=1e-6, iou_difference=0.0, mask_iou=1.0)

    monkeypatch.setattr(onnx_export, "export", write_onnx)
    save_model(tmp_path / "model", small_sam(), {"name": "small"})
    options = ["--out", tmp_path / "out", "--float16"] if float16 else []
    result = run(capsys, "export", tmp_path / "model", *options)
    folder = tmp_path / "out" if float16 else tmp_path / "model"
    assert result["model"] == str(folder)
    assert result["parity"]["mask_iou"] == 1
    card = run(capsys, "card", folder)
    assert card["name"] == "small"
    assert set(card["files"]) == {"encoder.onnx", "decoder.onnx", "model.safetensors"}
    assert card["dtype"] == ("float16" if float16 else "float32")
    assert torch.equal(weights[0], weights[0].half().float()) == float16


def test_every_verb_is_a_thin_one() -> None:
    assert set(verbs.model_app()) >= {"list", "card", "convert", "export"}

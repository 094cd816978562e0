import json
from pathlib import Path

import numpy as np
import pytest

from maskmill import rle
from maskmill.cli import main
from maskmill.config import AutomaskConfig
from maskmill.demo import SCENES, load_scenes, run_demo
from maskmill.predict import Predictor


def test_photographs_are_there_without_a_download_and_prompts_lie_inside() -> None:
    loaded = list(load_scenes())
    assert [scene.name for scene, _ in loaded] == [scene.name for scene in SCENES]
    for scene, image in loaded:
        assert image.dtype == np.uint8
        height, width = image.shape[:2]
        for _, prompt in scene.prompts:
            if prompt.box is not None:
                assert (prompt.box >= 0).all()
                assert (prompt.box <= (width, height, width, height)).all()
            if prompt.point_coords is not None:
                assert (prompt.point_coords >= 0).all()
                assert (prompt.point_coords < (width, height)).all()


def test_demo_writes_masks_overlays_and_one_page(tmp_path: Path) -> None:
    predictor = Predictor.load("tiny", threads=1)
    said: list[str] = []
    settings = AutomaskConfig(points_per_side=4, pred_iou_thresh=0, stability_score_thresh=0)
    result = run_demo(tmp_path / "demo", predictor, settings, progress=said.append)
    assert len(said) == len(SCENES)
    assert [p["name"] for p in result["photographs"]] == [scene.name for scene in SCENES]
    assert sum(p["automask"] for p in result["photographs"]) > 0
    page = Path(result["gallery"]).read_text("utf-8")
    for scene in SCENES:
        assert scene.title in page
        for folder in ("everything", "prompts"):
            record = json.loads((tmp_path / "demo" / folder / f"{scene.name}.json").read_text())
            size = (record["image"]["height"], record["image"]["width"])
            for annotation in record["annotations"]:
                mask = rle.Rle.from_json(annotation["segmentation"])
                assert mask.size == size
                assert rle.area(mask) == annotation["area"]
            assert (tmp_path / "demo" / folder / f"{scene.name}_overlay.png").exists()
        assert len(record["annotations"]) == len(scene.prompts)
    assert page.count("<img ") == sum(2 + len(scene.prompts) for scene in SCENES)


def test_without_scikit_image_the_verb_says_what_to_install(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skimage", None)
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "maskmill[demo]" in err

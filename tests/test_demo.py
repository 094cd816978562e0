import json
from pathlib import Path

import numpy as np
import pytest

from maskmill import rle
from maskmill.cli import main
from maskmill.config import AutomaskConfig
from maskmill.demo import COINS_HELD_OUT, SCENES, load_scenes, make_sample, run_demo
from maskmill.predict import Predictor
from maskmill.store import Project


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


def test_the_sample_project_holds_enough_for_a_real_round(tmp_path: Path) -> None:
    from maskmill.engine.standing import standing

    folder = make_sample(tmp_path, Predictor.load("tiny", threads=1))
    assert make_sample(tmp_path, Predictor.load("tiny", threads=1)) == folder
    with Project(folder.with_name("photographs.maskmill"), writes=False) as project:
        found = standing(project)
        assert project.images.count() == len(SCENES) + 12
        assert found.holdout_images == 12 / COINS_HELD_OUT
        assert (found.new_masks, found.holdout_masks) == (18, 6), "two coins on each piece"
        assert found.new_images == 9
        prompted = sum(len(scene.prompts) for scene in SCENES)
        assert sum(i.mask_count for i in project.images.page()) == 24 + prompted

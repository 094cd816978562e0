"""`maskmill automask` as a shell sees it; everything mode itself is in `test_generate`."""

import json
from pathlib import Path

from labelled_scene import write_scenes
from test_cli import Run, run

from maskmill.images import read_image

__all__ = ["run"]  # the fixture


def photographs(folder: Path) -> Path:
    write_scenes(folder / "even", 1)
    write_scenes(folder / "odd", 1)
    return folder


QUICK = ("--points-per-side", 3, "--pred-iou-thresh", 0, "--stability-score-thresh", 0)


def test_automask_names_bad_files_does_the_rest_and_goes_on(run: Run, tmp_path: Path) -> None:
    folder, out = photographs(tmp_path / "photos"), tmp_path / "out"
    (folder / "bad.jpg").write_text("no image")
    words = ["automask", folder, "-o", out, "--workers", 1, *QUICK, "--overlays", "--json"]
    code, text, err = run(*words)
    assert code == 0, err
    result = json.loads(text)
    assert (result["images"], result["done"], result["already_done"]) == (3, 2, 0)
    assert [failure["image"] for failure in result["failed"]] == ["bad.jpg"]
    assert "bad.jpg" in err
    record = json.loads((out / "even" / "scene0.png.json").read_text("utf-8"))
    assert len(record["annotations"]) > 0
    assert read_image(out / "odd" / "scene0.png.png").shape[:2] == (record["image"]["height"], 96)
    again = json.loads(run(*words)[1])
    assert (again["done"], again["already_done"], again["masks"]) == (0, 2, 0)


def test_automask_refuses_a_folder_in_which_nothing_can_be_done(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run("automask", tmp_path / "empty", "-o", tmp_path / "a")
    assert code == 1
    assert "no photograph" in err
    (tmp_path / "empty" / "bad.jpg").write_text("no image")
    code, _, err = run("automask", tmp_path / "empty", "-o", tmp_path / "b", "--workers", 1)
    assert code == 1
    assert err.splitlines()[-1].startswith("maskmill: none of 1 photographs")


def test_automask_refuses_to_mix_settings(run: Run, tmp_path: Path) -> None:
    words = ["automask", photographs(tmp_path / "photos"), "-o", tmp_path / "out", "--workers", 1]
    assert run(*words, *QUICK)[0] == 0
    code, out, err = run(*words, *QUICK, "--points-per-side", 2)
    assert code == 2, "an option given twice is misuse"
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert "points_per_side was 3" in err

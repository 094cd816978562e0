"""`maskmill automask` as a shell sees it; everything mode itself is in `test_generate`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scenes
from PIL import Image
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
    assert err.splitlines()[-1].startswith("maskmill: none of 1 photograph could")


def test_automask_refuses_to_mix_settings(run: Run, tmp_path: Path) -> None:
    words = ["automask", photographs(tmp_path / "photos"), "-o", tmp_path / "out", "--workers", 1]
    assert run(*words, *QUICK)[0] == 0
    code, out, err = run(*words, *QUICK, "--points-per-side", 2)
    assert code == 2, "an option given twice is misuse"
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert "points_per_side was 3" in err


def test_automask_into_its_own_folder_takes_no_overlay_for_a_photograph(
    run: Run, tmp_path: Path
) -> None:
    folder = photographs(tmp_path / "photos")
    for out in (folder, folder / "masks"):
        words = ["automask", folder, "-o", out, "--workers", 1, *QUICK, "--overlays", "--json"]
        assert json.loads(run(*words)[1])["done"] == 2
        again = json.loads(run(*words)[1])
        assert (again["images"], again["already_done"]) == (2, 2)
    assert len(list(folder.rglob("*.json"))) == len(list(folder.rglob("*.png.png"))) == 4


def test_automask_says_what_was_done_to_unusual_photographs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    deep = np.linspace(300, 4000, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    Image.new("CMYK", (60, 40), (0, 99, 50, 0)).save(folder / "print.jpg")
    Image.new("RGB", (60, 40), "grey").save(folder / "usual.png")
    words = ["automask", folder, "--workers", 1, "--points-per-side", 1, "--json", "-o"]
    code, text, err = run(*words, tmp_path / "a")
    assert code == 0, err
    deep_note, print_note = json.loads(text)["notes"]
    assert deep_note == {"image": "deep.png", "note": "16-bit: 300 to 4000 scaled to 0 to 255"}
    assert print_note["image"] == "print.jpg"
    assert "maskmill: deep.png: 16-bit: 300 to 4000" in err
    assert "maskmill: print.jpg: CMYK" in err
    assert "usual.png" not in err
    monkeypatch.setattr(sys.modules["maskmill.cli.automask"], "NOTES_SHOWN", 1)
    err = run(*words, tmp_path / "b")[2]
    assert "print.jpg" not in err
    assert "1 more note like these; --json lists all" in err

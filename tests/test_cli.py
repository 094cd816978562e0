"""How commands end: exit codes, one line on standard error, one object on standard output."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scenes
from PIL import Image

from maskmill.cli import main
from maskmill.engine.oracle import OracleConfig
from maskmill.engine.report import COLUMNS
from maskmill.engine.simulate import SimulateConfig
from maskmill.engine.time_model import TimeModel
from maskmill.formats.sa1b import write_sa1b
from maskmill.images import read_image
from maskmill.predict import Predictor

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: exit code, standard output, standard error."""

    def run_command(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run_command


def test_help_and_version_are_done(run: Run) -> None:
    assert run()[0] == 0
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    for verb in ("segment", "automask", "train", "evaluate", "model", "demo"):
        assert f" {verb} " in out
    assert run("--version")[1].strip() == "0.1.0"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["segmant"], 'Did you mean "segment"'),
        (["segment", "a.jpg"], "--help"),
        (["segment", "a.jpg", "-o", "out", "--bax", "1,2,3,4"], "Did you mean --box"),
        (["automask", "photos", "-o", "out", "--pionts-per-side", "3"], "--points-per-side"),
        (["automask", "photos", "-o", "out", "--points-per-side", "many"], "many"),
        (["automask", "photos", "-o", "out", "--points-per-side", "2.5"], "not a whole number"),
        (["automask", "photos", "-o", "out", "--points-per-side=2.0"], '"2.0" is not a whole'),
        (["automask", "photos", "-o", "out", "--workers", "1.5"], "for --workers"),
        (["evaluate", "photos", "--limit", "1e3"], '"1e3" is not a whole number'),
        (["segment", "a.jpg", "-o", "out", "--threads", "nan"], '"nan" is not a whole number'),
        (["train", "photos", "--run", "out", "--steps", "0.5"], '"0.5" is not a whole number'),
        (["segment", "a.jpg", "-o", "out", "--backend", "tpu"], "onnx"),
        (["model", "konvert"], "convert"),
    ],
)
def test_misuse_is_2_with_one_line_that_names_the_help(
    run: Run, words: list[str], says: str
) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("maskmill: ")
    assert says in err
    assert "--help`" in err


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["bogus"], "maskmill --help"),
        (["bogus", "--help"], "maskmill --help"),
        (["--bogus"], "maskmill --help"),
        (["segment", "a.jpg"], "maskmill segment --help"),
        (["model", "bogus"], "maskmill model --help"),
        (["model", "card"], "maskmill model card --help"),
        (["model", "export", "tiny", "--out"], "maskmill model export --help"),
    ],
)
def test_the_help_that_misuse_names_exists(run: Run, words: list[str], command: str) -> None:
    assert run(*words)[2].rstrip().endswith(f"; see `{command}`")
    code, out, _ = run(*command.split()[1:])
    assert code == 0
    assert command.removesuffix(" --help") in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["segment", "absent.jpg", "--point", "1,2", "-o", "out"], "absent.jpg"),
        (["segment", "absent.jpg", "-o", "out"], "--point"),
        (["segment", "absent.jpg", "--point", "1;2", "-o", "out"], "x,y"),
        (["segment", "absent.jpg", "--point", "1,2,3", "-o", "out"], "label"),
        (["segment", "absent.jpg", "--point", "", "-o", "out"], "--point is empty: give x,y or"),
        (["segment", "absent.jpg", "--box", "", "-o", "out"], "--box is empty: give x0,y0,x1,y1"),
        (["segment", "a.jpg", "--box", "", "--point", "1,2", "-o", "out"], "--box is empty"),
        (["segment", ".", "--point", "1,2", "-o", "out"], ". holds no photograph; name"),
        (["segment", "absent.jpg", "--box", "9,9,1,1", "-o", "out"], "empty"),
        (["automask", "absent", "-o", "out"], "absent"),
        (["automask", "absent", "-o", "out", "--workers", "0"], "--workers is 0"),
        (["evaluate", "absent"], "absent"),
        (["train", "absent", "--run", "out"], "absent"),
        (["simulate", "absent", "-o", "out"], "absent"),
        (["simulate", "absent", "-o", "out", "--seconds", "brush=5"], "--seconds brush=5"),
        (["simulate", "absent", "-o", "out", "--person", "miss=5"], "--person miss=5"),
        (["simulate", "absent", "-o", "out", "--forecast", "0"], "--forecast is 0"),
        (["model", "card", "absent"], "absent"),
        (["model", "convert", "absent.pth", "out"], "absent.pth"),
        (["automask", "absent", "-o", "out", "--config", "absent.toml"], "absent.toml"),
    ],
)
def test_refusal_is_1_with_one_line_that_names_the_value(
    run: Run, words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("maskmill: ")
    assert says in err
    assert list(tmp_path.iterdir()) == [], "a refused command leaves nothing behind"


def test_ctrl_c_is_130_with_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "load", interrupt)
    code, out, err = run("demo")
    assert (code, out, err.count("\n")) == (130, "", 1)


def test_a_folder_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    (tmp_path / "out").write_text("a file where a folder should be")
    code, _, err = run("segment", tmp_path / "a.png", "--point", "3,4", "-o", tmp_path / "out")
    assert code == 1
    assert err.count("\n") == 1
    assert f"{tmp_path / 'out'}: File exists; a file is where a folder should be" in err


@pytest.mark.parametrize(
    ("number", "step"),
    [
        (errno.EACCES, "allow it for this user"),
        (errno.EROFS, "can be written"),
        (errno.ENOSPC, "free some space"),
        (errno.EISDIR, "a folder is where a file should be"),
        (errno.EIO, "check the path and the disk"),
    ],
)
def test_what_the_system_refuses_comes_with_the_next_step(
    run: Run, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number), "a/file")

    monkeypatch.setattr(Predictor, "load", refuse)
    code, out, err = run("demo")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"maskmill: a/file: {os.strerror(number)}; ")
    assert step in err


def test_what_the_system_refuses_without_a_file_is_said_as_it_is(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("encoder error -2 when writing image file")  # as Pillow does

    monkeypatch.setattr(Predictor, "load", refuse)
    assert run("demo")[2].startswith("maskmill: encoder error -2 when writing image file; check")


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (["segment", "absent.jpg", "--point", "1,2", "-o", "out", "--json"], 1),
        (["evaluate", "absent", "--json"], 1),
        (["model", "card", "absent", "--json"], 1),
        (["segment", "a.jpg", "--json"], 2),
        (["bogus", "--json"], 2),
    ],
)
def test_with_json_a_refusal_is_one_object_too(
    run: Run, words: list[str], exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert code == exit_code
    assert out.count("\n") == err.count("\n") == 1
    assert json.loads(out) == {"error": err.removeprefix("maskmill: ").rstrip("\n")}


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    program = [sys.executable, "-m", "maskmill", "train", "--help"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
    assert b"Traceback" not in error


def scenes(folder: Path) -> Path:
    for scene in write_scenes(folder, 2):
        masks = [_Mask(mask.rle) for mask in scene.annotations]
        write_sa1b(
            scene.path.with_suffix(".json"),
            image_id=scene.image_id,
            file_name=scene.path.name,
            size=scene.size,
            masks=masks,
        )
    return folder


class _Mask:
    predicted_iou = stability_score = 1.0
    point = (0.0, 0.0)
    crop_box = (0, 0, 1, 1)

    def __init__(self, rle: object) -> None:
        self.rle = rle


def test_evaluate_prints_one_object_with_every_number(run: Run, tmp_path: Path) -> None:
    code, out, err = run(
        "evaluate", scenes(tmp_path), "--json", "--limit", 1, "--points-per-side", 2, "--workers", 1
    )
    assert code == 0, err
    result = json.loads(out)
    assert list(result["iou_at_click"]) == ["1", "2", "3", "5", "10"]
    assert list(result["clicks_to"]) == ["0.80", "0.85", "0.90"]
    assert list(result["average_recall"]) == ["100", "1000"]
    assert result["images"] == 1
    assert result["masks"] == 3
    for name in ("best_of_three", "iou_from_box", "iou_rank_correlation"):
        assert result[name] is None or -1 <= result[name] <= 1


def test_evaluate_says_what_the_labels_reader_refused(run: Run, tmp_path: Path) -> None:
    folder = scenes(tmp_path)
    (folder / "broken.json").write_text("{", "utf-8")
    code, out, err = run("evaluate", folder, "--json", "--everything-images", 0, "--workers", 1)
    assert code == 0
    (refused,) = json.loads(out)["refused"]
    assert refused["path"] == "broken.json"
    assert "left out: " in err
    assert "broken.json" in err


def test_evaluate_prints_a_table_and_writes_numbers_and_curves(run: Run, tmp_path: Path) -> None:
    folder = scenes(tmp_path / "scenes")
    code, out, err = run(
        "evaluate", folder, "-o", tmp_path / "out", "--everything-images", 0, "--workers", 1
    )
    assert code == 0, err
    assert "best of 3" in out
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))["images"] == 2
    assert read_image(tmp_path / "out" / "clicks.png").std() > 0


def test_simulate_plays_with_the_seconds_and_the_person_that_are_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The play itself, which trains for minutes, has tests of its own."""
    played: list[SimulateConfig] = []

    def play(images: object, out: Path, config: SimulateConfig, **_: object) -> dict[str, object]:
        played.append(config)
        out.mkdir()
        numbers = {key: 1.0 for _, key, form in COLUMNS if form == "{:.1f}"}
        counts = {key: 2 for _, key, form in COLUMNS if form == "{:d}"}
        told = {"stage": "assisted", "status": "kept", "reason": "", "gate": None, "seconds": 72.0}
        told |= {**numbers, **counts, "image_seconds": [36.0, 36.0], "masks_per_image": 1.0}
        overall = {
            "masks": 2, "hours": 1.0, "hours_by_polygons": 2.0,
            "faster_from_first_to_last_round": 1.0,
        }  # fmt: skip
        return {"rounds": [told], "automatic": None, "overall": overall}

    monkeypatch.setattr("maskmill.engine.simulate.simulate", play)
    code, out, err = run(
        "simulate", scenes(tmp_path / "scenes"), "-o", tmp_path / "out", "--accept", 0.7,
        "--seconds", "stroke=6", "--seconds", "polygon=60", "--person", "slip=0.2",
        "--person", "miss=0", "--forecast", 500,
    )  # fmt: skip
    assert code == 0, err
    assert played[0].times == TimeModel(stroke=6.0, polygon=60.0)
    assert played[0].oracle == OracleConfig(accept=0.7, slip=0.2, miss=0.0)
    said = "500 more images like the last stage's would take people 5.0 hours (95 % interval: 5.0"
    assert said in out
    told = json.loads((tmp_path / "out" / "simulation.json").read_text("utf-8"))
    assert told["forecast"]["images"] == 500
    assert "500 more images" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_status_says_how_many_images_look_alike(run: Run, tmp_path: Path) -> None:
    photos, project = tmp_path / "photos", tmp_path / "project"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8))
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(photos / f"{name}.png")
    assert run("init", project)[0] == 0
    assert run("import", photos, "--project", project)[0] == 0
    assert "look like another one" not in run("status", "--project", project)[1]
    with Image.open(photos / "a.png") as image:
        image.save(photos / "a-again.jpg", quality=70)
    assert run("import", photos, "--project", project)[0] == 0
    assert "2 images look like another one" in run("status", "--project", project)[1]
    assert json.loads(run("status", "--project", project, "--json")[1])["near_duplicates"] == 2


def test_a_project_from_the_first_image_to_the_last_export(run: Run, tmp_path: Path) -> None:
    photos, project = tmp_path / "photos", tmp_path / "project"
    write_scenes(photos, 2)
    assert run("init", project)[0] == 0
    code, out, _ = run("import", photos, "--project", project, "--by", "ann", "--json")
    assert (code, json.loads(out)["images"]) == (0, 2)
    code, out, _ = run("import", photos, "--project", project, "--json")
    assert (code, json.loads(out)["repeated"]) == (0, 2), "a repetition adds nothing"
    page = tmp_path / "deep" / "page.html"
    code, out, _ = run("status", "--project", project, "--html", page)
    assert code == 0
    assert "2 images, 0 of them with masks" in out
    assert page.is_file()
    code, out, _ = run("snapshot", "first", "--project", project, "--json")
    assert json.loads(out)["snapshots"][0]["statistics"]["images"] == 2
    assert "first" in run("snapshot", "--project", project)[1]
    code, out, _ = run("embed", "--project", project, "--workers", "1", "--json")
    assert (code, json.loads(out)["computed"], json.loads(out)["failed"]) == (0, 2, [])
    code, out, _ = run("snapshot", "first", "--compare", "first", "--project", project, "--json")
    assert set(json.loads(out).values()) == {0}
    assert run("export", tmp_path / "coco", "--format", "coco", "--project", project)[0] == 0
    assert json.loads((tmp_path / "coco" / "annotations.json").read_text())["images"]
    assert run("verify", "--project", project)[:2] == (0, f"{project} is whole\n")
    next(photos.rglob("*.png")).unlink()
    code, out, _ = run("verify", "--project", project)
    assert code == 1
    assert "is missing; put it back" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("import", "nowhere"), "nowhere does not exist"),
        (("export", "out", "--format", "docx"), "no form 'docx' to write; there are: coco"),
        (("export", "out", "--format", "coco", "--category", "cow"), "no category 'cow'"),
        (("snapshot", "--compare", "first"), "name the later one"),
        (("embed", "--max-gb", "0"), "--max-gb is 0.0; it must be above 0"),
        (("embed", "--model", "tinny"), "tinny"),
        (("snapshot", "first"), "holds no image"),
    ],
)
def test_what_a_project_cannot_do_is_said_in_a_line(
    run: Run, tmp_path: Path, words: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", tmp_path / "project")
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*words, "--project", tmp_path / "project")
    assert (code, err.count("\n")) == (1, 1)
    assert reason in err

"""A run over a folder may be killed at any moment: what it leaves is whole, and it goes on."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskmill.automask import automask_folder, folder
from maskmill.config import TINY, AutomaskConfig
from maskmill.errors import ConfigError, NotFound
from maskmill.formats.sa1b import read_sa1b_file
from maskmill.predict import Predictor

CONFIG = AutomaskConfig(points_per_side=4, pred_iou_thresh=0.9)
SIDE = TINY.low_res_side


class Discs:
    """A backend without PyTorch: every point is in a disc of its own quarter of the frame."""

    def encode(self, image: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        return np.zeros((1, 1, 2, 2), np.float32), ()

    def decode(
        self,
        embedding: np.ndarray,
        high_res: tuple[np.ndarray, ...],
        point_coords: np.ndarray,
        point_labels: np.ndarray,
        mask_input: np.ndarray | None,
        multimask_output: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[:SIDE, :SIDE] + 0.5
        centres = (point_coords[:, 0] / TINY.input_side // 0.25 + 0.5) * 0.25 * SIDE
        distance = np.hypot(*(np.stack([x, y])[None] - centres[:, :, None, None]).swapaxes(0, 1))
        logits = (40 * (8.3 - distance)).astype(np.float32)[:, None].repeat(3, 1)
        return logits, np.full((len(centres), 3), 0.95, np.float32)


def load(*, journal: Path | None = None, model_id: str = "discs") -> Predictor:
    """Load the stand-in; with a journal it notes every image it sees, and takes a moment for it."""
    predictor = Predictor(Discs(), TINY, model_id=model_id, backend_name="discs")
    if journal is None:
        return predictor
    embed = predictor.embed

    def noted(image: np.ndarray) -> Any:
        with journal.open("a") as file:
            file.write(f"{image[0, 0, 0]}\n")  # its red names the image
        time.sleep(0.02)
        return embed(image)

    predictor.embed = noted  # type: ignore[method-assign]
    return predictor


def images(source: Path, count: int = 3) -> Path:
    for i in range(count):
        pixels = np.full((40, 60, 3), i, np.uint8)
        path = source / ("" if i % 2 else "deeper") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return source


def jsons(out: Path) -> dict[str, str]:
    return {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*.json")}


def run(source: Path, out: Path, **options: Any) -> folder.FolderReport:
    options = {"load": load, "workers": 0, "progress": False, **options}
    return automask_folder(source, out, options.pop("config", CONFIG), **options)


def test_it_mirrors_the_tree_and_no_two_images_share_a_file(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("a.png", "a.bmp", "cats/a.png", "dogs/a.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(source / name)
    report = run(source, tmp_path / "out")
    assert report.failed == ()
    written = jsons(tmp_path / "out")
    assert sorted(written) == ["a.bmp.json", "a.png.json", "cats/a.png.json", "dogs/a.png.json"]
    assert (report.images, report.done, report.already_done) == (4, 4, 0)
    record = json.loads(written["cats/a.png.json"])
    assert record["image"] == {
        "image_id": "cats/a.png", "file_name": "a.png", "height": 40, "width": 60,
    }  # fmt: skip
    assert report.masks == 4 * len(record["annotations"]) > 0
    (source / "cats" / "a.png.json").write_text(written["cats/a.png.json"])
    labelled = read_sa1b_file(source / "cats" / "a.png.json")
    assert labelled is not None
    assert len(labelled.annotations) == len(record["annotations"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_file_is_recorded_and_stops_nothing(tmp_path: Path, workers: int) -> None:
    source, out = images(tmp_path / "in"), tmp_path / "out"
    (source / "torn.png").write_bytes((source / "1.png").read_bytes()[:50])
    (source / "empty.jpg").touch()
    report = run(source, out, workers=workers)
    assert report.done == 3
    assert [name for name, _ in report.failed] == ["empty.jpg", "torn.png"]
    recorded = [json.loads(line) for line in (out / folder.ERRORS).read_text().splitlines()]
    assert sorted(r["image"] for r in recorded) == ["empty.jpg", "torn.png"]
    assert all("\n" not in r["reason"] and r["reason"] for r in recorded)

    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(source / "torn.png")
    again = run(source, out, workers=workers)
    assert (again.already_done, again.done) == (3, 1)
    assert [name for name, _ in again.failed] == ["empty.jpg"]
    assert len((out / folder.ERRORS).read_text().splitlines()) == 1


def test_masks_of_other_settings_are_never_mixed(tmp_path: Path) -> None:
    source, out = images(tmp_path / "in"), tmp_path / "out"
    run(source, out)
    with pytest.raises(ConfigError, match="points_per_side was 4 and is now 5"):
        run(source, out, config=replace(CONFIG, points_per_side=5))
    with pytest.raises(ConfigError, match="model was 'discs' and is now 'other'"):
        run(source, out, load=partial(load, model_id="other"))
    with pytest.raises(ConfigError, match="source was"):
        run(images(tmp_path / "in2"), out)
    batch = replace(CONFIG, points_per_batch=3)
    assert run(source, out, config=batch).already_done == 3

    (out / folder.PLAN).write_text("{")
    with pytest.raises(ConfigError, match="is damaged"):
        run(source, out)
    (out / folder.PLAN).unlink()
    with pytest.raises(ConfigError, match=r"exists, but no automask\.plan"):
        run(source, out)


def test_what_cannot_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not a folder"):
        run(tmp_path / "missing", tmp_path / "out")
    with pytest.raises(ConfigError, match="points_per_side is 0"):
        run(images(tmp_path / "in"), tmp_path / "out", config=AutomaskConfig(points_per_side=0))
    assert not (tmp_path / "out").exists(), "a refused run leaves nothing behind"
    out = tmp_path / "locked"
    out.mkdir()
    with folder._locked(out), pytest.raises(ConfigError, match="another run"):
        run(tmp_path / "in", out)


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    report = run(tmp_path / "in", tmp_path / "out", workers=None)
    assert (report.images, report.done, report.masks, report.failed) == (0, 0, 0, ())


SCRIPT = """
import sys
from functools import partial
from pathlib import Path
import test_folder
from maskmill.automask import automask_folder, folder
if __name__ == "__main__":
    source, out, journal, torn = sys.argv[1:]
    start = test_folder.load_torn if torn == "torn" else test_folder.load
    automask_folder(Path(source), Path(out), test_folder.CONFIG,
                    load=partial(start, journal=Path(journal)), workers=2, progress=False)
"""


def load_torn(*, journal: Path) -> Predictor:
    """The negative control: in this process masks are written slowly and in place."""

    def write(path: Path, **record: Any) -> None:
        record["masks"] = len(record["masks"])
        text = json.dumps(record)
        with path.open("w") as file:
            for letter in text:
                file.write(letter)
                file.flush()
                time.sleep(0.002)

    folder.write_sa1b = write
    return load(journal=journal)


def run_and_kill(command: list[str], out: Path, after: int | None, delay: float) -> None:
    """Run the folder in a process of its own, and kill it a moment after so many more files."""
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    before = len(list(out.rglob("*.json")))
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    while after is not None and process.poll() is None:
        if len(list(out.rglob("*.json"))) >= before + after:
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        time.sleep(0.005)
    assert process.wait(timeout=120) in ((0,) if after is None else (0, -signal.SIGKILL))


def broken(out: Path) -> list[str]:
    """Return the names of files that no reader of JSON accepts."""
    bad = []
    for name, text in jsons(out).items():
        try:
            json.loads(text)
        except ValueError:
            bad.append(name)
    return bad


def kill_often(tmp_path: Path, kind: str, count: int, kills: list[int]) -> tuple[Path, list[str]]:
    """Kill some runs; return the output folder and the files that were found broken."""
    source, out, journal = images(tmp_path / "in", count), tmp_path / "out", tmp_path / "journal"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    journal.touch()
    command = [sys.executable, *map(str, (script, source, out, journal)), kind]
    chance, torn = random.Random(5), []
    for after in [*kills, None]:
        done = {Path(name).name for name in jsons(out)}
        begun = len(journal.read_text().split())
        run_and_kill(command, out, after, chance.uniform(0, 0.1))
        torn += broken(out)
        redone = [n for n in journal.read_text().split()[begun:] if f"{n}.png.json" in done]
        assert redone == [], "an image that was done has been done again"
        if torn:
            break
    return out, torn


@pytest.mark.slow
def test_killed_at_random_moments_it_goes_on_and_ends_whole(tmp_path: Path) -> None:
    out, torn = kill_often(tmp_path, "whole", count=24, kills=[1, 4])
    assert torn == []
    assert run(tmp_path / "in", clean := tmp_path / "clean").done == 24
    assert jsons(out) == jsons(clean)
    assert not list(out.rglob("*.part"))


@pytest.mark.slow
def test_the_check_above_finds_masks_that_are_written_in_place(tmp_path: Path) -> None:
    _, torn = kill_often(tmp_path, "torn", count=4, kills=[1, 1])
    assert torn != []

"""`maskmill label` as a command: what it does, refuses and goes on with."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from labelled_scene import write_scene

from maskmill.cli import main
from maskmill.engine.labelling import LabelSettings
from maskmill.exchange.importing import import_labelled
from maskmill.store import Project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    with Project.create(tmp_path / "project") as made:
        scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(2)]
        bare = [replace(scene, annotations=()) for scene in scenes]
        import_labelled(made, bare, name="scenes", by="test")
    return tmp_path / "project"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    code = main(["label", *map(str, words), "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


def test_it_labels_a_project_and_then_finds_nothing_left(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--project", project, "--points-per-side", 4, "--crop-n-layers", 0, "--workers", 1)
    code, told, err = run(capsys, *words)
    assert (code, told["images"], told["failed"]) == (0, 2, [])
    assert told["masks"] > 0
    assert "no hold-out image is labelled" in err, "what it rests on is said"
    code, told, _ = run(capsys, *words)
    assert (code, told["images"], told["masks"]) == (0, 0, 0)


def test_a_begun_job_goes_on_and_can_be_cancelled(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project(project) as opened:
        settings = LabelSettings(model="tiny", thresholds={"everything mode": 2.0})
        opened.jobs.queue("label", asdict(settings))
    code, told, _ = run(capsys, "--project", project, "--cancel")
    assert (code, told["cancelled"]) == (0, True)
    code, told, _ = run(capsys, "--project", project, "--cancel")
    assert code == 1
    assert "nothing to cancel" in told["error"]


@pytest.mark.parametrize("precision", ["0", "1.5", "nan"])
def test_a_precision_that_is_none_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    code, told, _ = run(capsys, "--project", project, "--precision", precision)
    assert code == 1
    assert "--precision" in told["error"]

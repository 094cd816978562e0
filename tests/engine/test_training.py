"""The child process of a round: what it trains on, and how it ends when there is nothing."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scene

from maskmill import rle
from maskmill.engine.rounds import RoundConfig
from maskmill.engine.training import run_folder, train_round
from maskmill.errors import DatasetError
from maskmill.exchange.importing import import_labelled
from maskmill.store import Create, Made, Project
from maskmill.store.models import Round
from maskmill.store.snapshots import SnapshotConfig


def round_without_human_masks(project: Project, folder: Path) -> Round:
    scene = write_scene(folder, "scene", seed=3)
    bare = type(scene)(image_id="1", path=scene.path, size=scene.size, source="s")
    import_labelled(project, [bare], name="s", by="test")
    mask = np.zeros(scene.size, bool)
    mask[5:25, 10:40] = True
    made = Made(made_by="model", author="everything mode", stage="automatic")
    image = project.images.page(limit=1)[0]
    create = Create(image_id=image.id, rle=rle.encode(mask), made=made)
    project.annotations.apply("add", [create], by="everything mode")
    round_ = project.models.open_round("assisted", settings=asdict(RoundConfig()))
    snapshot = project.snapshots.take("one", SnapshotConfig(val_share=0.0))
    return project.models.change_round(round_.id, status="training", snapshot_id=snapshot.id)


def test_a_round_with_nothing_to_learn_says_what_is_missing(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        round_ = round_without_human_masks(project, tmp_path)
        with pytest.raises(DatasetError, match="no person has made or accepted a mask"):
            train_round(project, round_, "tiny")
        assert not run_folder(project, round_).exists()


def test_the_child_reads_beside_the_one_that_writes_and_ends_with_a_sentence(
    tmp_path: Path,
) -> None:
    with Project.create(tmp_path / "project") as project:
        round_without_human_masks(project, tmp_path)
        command = [sys.executable, "-m", "maskmill.engine.training", project.folder, "1", "tiny"]
        child = subprocess.run(command, capture_output=True, text=True)
        assert child.returncode == 1
        assert child.stderr.splitlines()[-1].endswith("label some")
        assert "Traceback" not in child.stderr


def test_a_round_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    Project.create(tmp_path / "project").close()
    command = [sys.executable, "-m", "maskmill.engine.training", tmp_path / "project", "7", "tiny"]
    child = subprocess.run(command, capture_output=True, text=True)
    assert child.returncode == 1
    assert "no round 7" in child.stderr

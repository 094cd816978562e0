"""The child process of a round: what it trains on, and how it ends when there is nothing."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import write_scene

from maskmill import rle
from maskmill.engine.lineage import current_model, run_folder
from maskmill.engine.rounds import RoundConfig, roll_back
from maskmill.engine.training import images_of, train_round
from maskmill.errors import DatasetError, StoreError
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
        with pytest.raises(DatasetError, match="no person has made or accepted a mask that"):
            train_round(project, round_, "tiny")
        assert not run_folder(project, round_).exists()


def test_going_back_walks_the_models_that_rounds_made_and_their_masks_are_new_again(
    tmp_path: Path,
) -> None:
    with Project.create(tmp_path / "project") as project:
        scene = write_scene(tmp_path, "scene", seed=3)
        import_labelled(project, [scene], name="s", by="test")
        default = project.models.add("tiny-0", name="tiny")
        models = [project.models.add(f"m-{i}", name=f"round-{i:03d}") for i in (1, 2)]
        settings = asdict(RoundConfig())
        incumbent = default
        for i, model in enumerate(models):
            snapshot = project.snapshots.take(f"round-{i}", SnapshotConfig(val_share=0.0))
            one = project.models.open_round("assisted", incumbent_id=incumbent.id)
            project.models.change_round(
                one.id, status="promoted", candidate_id=model.id, snapshot_id=snapshot.id
            )
            incumbent = model
        for expected in ("m-1", "tiny-0"):
            roll_back(project, by="Ada")
            now = current_model(project)
            assert now is not None
            assert now.model_id == expected
        with pytest.raises(StoreError, match="nothing to roll back to"):
            roll_back(project, by="Ada")

        snapshot = project.snapshots.take("after", SnapshotConfig(val_share=0.0))
        for incumbent_id, teaches in ((default.id, True), (models[1].id, False)):
            one = project.models.open_round(
                "assisted", incumbent_id=incumbent_id, settings=settings
            )
            one = project.models.change_round(one.id, status="training", snapshot_id=snapshot.id)
            images = images_of(project, one)
            assert bool(images) is teaches
            project.models.change_round(one.id, status="failed", reason="test")


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

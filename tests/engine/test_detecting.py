"""A round's heads: trained on the snapshot, for one model, each once."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from labelled_scene import SMALL, write_scene

from maskmill.engine.detecting import train_round_heads
from maskmill.engine.head_files import Kind, head_folder
from maskmill.engine.heads import open_heads
from maskmill.engine.rounds import RoundConfig
from maskmill.exchange.importing import import_labelled
from maskmill.model.checkpoint import save_model
from maskmill.model.sam import build
from maskmill.predict import Predictor
from maskmill.store import Project
from maskmill.store.snapshots import SnapshotConfig
from maskmill.weights import model_folder


def test_a_rounds_heads_know_their_model_round_and_snapshot(tmp_path: Path) -> None:
    save_model(tmp_path / "small", build(SMALL).eval(), {})
    quick = RoundConfig(
        detector_training={"steps": 2, "batch_images": 2, "views": 2},
        regions_training={"steps": 2, "batch_images": 1, "crop": 32},
    )
    predictor = Predictor.load(tmp_path / "small", threads=1)
    with Project.create(tmp_path / "project") as project:
        scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(4)]
        import_labelled(project, scenes, name="scenes", by="test")
        snapshot = project.snapshots.take("round-001", SnapshotConfig(val_share=0.3))
        round_ = project.models.open_round("assisted", settings=asdict(quick))
        round_ = project.models.change_round(round_.id, status="training", snapshot_id=snapshot.id)
        train_round_heads(project, round_, tmp_path / "small")
        kinds: tuple[Kind, ...] = ("detector", "regions")
        folders = {k: head_folder(project.folder, k, predictor.model_id) for k in kinds}
        written = [(folder / f"{kind}.onnx").stat().st_mtime_ns for kind, folder in folders.items()]
        train_round_heads(project, round_, tmp_path / "small")  # what is there is not done again
        again = [(folder / f"{kind}.onnx").stat().st_mtime_ns for kind, folder in folders.items()]
    assert written == again
    heads = open_heads(folders)
    assert heads.detector is not None
    assert heads.regions is not None
    for head in (heads.detector, heads.regions):
        assert head.card["model"] == predictor.model_id
        assert head.card["round"] == 1
        assert head.card["snapshot"] == "round-001"
        assert head.card["settings"]["steps"] == 2
        assert 0 < head.card["images"] <= 4
    image = np.zeros((48, 64, 3), np.uint8)
    boxes = heads.detector.boxes(predictor.embed(image))
    assert boxes.boxes.shape == (len(boxes.scores), 4)
    assert isinstance(heads.regions.find(image, predictor.embed(image)), list)


def test_what_a_round_cannot_train_on_is_said(tmp_path: Path) -> None:
    from maskmill.errors import DatasetError

    with Project.create(tmp_path / "project") as project:
        scene = write_scene(tmp_path / "scenes", "0")
        from dataclasses import replace

        import_labelled(project, [replace(scene, annotations=())], name="scenes", by="test")
        snapshot = project.snapshots.take("round-001", SnapshotConfig(val_share=0.0))
        round_ = project.models.open_round("assisted", settings=asdict(RoundConfig()))
        round_ = project.models.change_round(round_.id, status="training", snapshot_id=snapshot.id)
        with pytest.raises(DatasetError, match="label some"):
            train_round_heads(project, round_, model_folder("tiny"))
        assert not (project.folder / "detectors").exists()

"""A round's detector: trained on the snapshot, for one model, whole or not at all."""

from dataclasses import asdict
from pathlib import Path

import pytest
from labelled_scene import SMALL, write_scene

from maskmill.engine.detecting import train_round_detector
from maskmill.engine.detector import Detector
from maskmill.engine.rounds import RoundConfig
from maskmill.exchange.importing import import_labelled
from maskmill.model.checkpoint import save_model
from maskmill.model.sam import build
from maskmill.predict import Predictor
from maskmill.store import Project
from maskmill.store.snapshots import SnapshotConfig


def test_a_rounds_detector_knows_its_model_round_and_snapshot(tmp_path: Path) -> None:
    save_model(tmp_path / "small", build(SMALL).eval(), {})
    quick = RoundConfig(detector_training={"steps": 2, "batch_images": 2, "views": 2})
    with Project.create(tmp_path / "project") as project:
        scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(4)]
        import_labelled(project, scenes, name="scenes", by="test")
        snapshot = project.snapshots.take("round-001", SnapshotConfig(val_share=0.3))
        round_ = project.models.open_round("assisted", settings=asdict(quick))
        round_ = project.models.change_round(round_.id, status="training", snapshot_id=snapshot.id)
        out = tmp_path / "detectors" / "small"
        (tmp_path / "detectors").mkdir()
        (tmp_path / "detectors" / "small.part").mkdir()  # what a killed one left
        assert train_round_detector(project, round_, tmp_path / "small", out) == out
    detector = Detector(out)
    predictor = Predictor.load(tmp_path / "small", threads=1)
    assert detector.card["model"] == predictor.model_id
    assert detector.card["round"] == 1
    assert detector.card["snapshot"] == "round-001"
    assert detector.card["settings"]["steps"] == 2
    assert 0 < detector.card["images"] <= 4
    assert sorted(path.name for path in out.iterdir()) == ["detector.json", "detector.onnx"]
    assert not out.with_name("small.part").exists()
    import numpy as np

    boxes = detector.boxes(predictor.embed(np.zeros((48, 64, 3), np.uint8)))
    assert boxes.boxes.shape == (len(boxes.scores), 4)


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
            train_round_detector(project, round_, Path("tiny"), tmp_path / "out")
    assert not (tmp_path / "out").exists()

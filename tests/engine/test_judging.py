"""The gate's child where there is nothing to judge by; `test_rounds.py` has the rest."""

from dataclasses import asdict
from pathlib import Path

from labelled_scene import write_scene

from maskmill.engine.children import run_child
from maskmill.engine.judging import read_verdict
from maskmill.engine.lineage import run_folder
from maskmill.engine.rounds import RoundConfig
from maskmill.exchange.importing import import_labelled
from maskmill.store import Project
from maskmill.store.snapshots import SnapshotConfig


def test_without_a_hold_out_a_person_decides(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, [write_scene(tmp_path, "a", seed=1)], name="s", by="test")
        round_ = project.models.open_round("assisted", settings=asdict(RoundConfig()))
        snapshot = project.snapshots.take("one", SnapshotConfig(val_share=0.0))
        round_ = project.models.change_round(round_.id, status="gating", snapshot_id=snapshot.id)
        folder = run_folder(project, round_)
        folder.mkdir(parents=True)
        assert read_verdict(folder) is None
        run_child("maskmill.engine.judging", str(project.folder), "1")
        said = read_verdict(folder)
        assert said is not None
        assert (said["promoted"], said["images"]) == (None, 0)
        assert "a person decides" in said["reason"]

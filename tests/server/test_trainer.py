"""How far a round is, read off its folder; `test_rounds.py` runs real ones."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from maskmill.engine.judging import VERDICT
from maskmill.engine.lineage import run_folder
from maskmill.engine.rounds import RoundConfig
from maskmill.errors import StoreError
from maskmill.server.events import Events
from maskmill.server.trainer import Trainer, curve, progress_of
from maskmill.store import NewImage, Project


def test_each_phase_is_known_by_what_it_leaves(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        settings = asdict(RoundConfig())
        round_ = project.models.open_round("assisted", settings=settings)
        assert progress_of(project, round_).phase == "collect"
        image = NewImage(path="/a.png", content_hash="a" * 64, width=20, height=10, source="s")
        project.images.add([image])
        snapshot = project.snapshots.take("one")
        round_ = project.models.change_round(round_.id, status="training", snapshot_id=snapshot.id)
        run = run_folder(project, round_)
        run.mkdir(parents=True)
        (run / "settings.json").write_text(json.dumps({"steps": 20}))
        lines = [{"step": i, "loss": 2.0, "seconds": 0.5} for i in range(10)]
        lines[4] |= {"val_loss": 1.5, "val_iou_from_point": 0.6}
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        found = progress_of(project, round_)
        assert (found.phase, found.step, found.steps) == ("train", 10, 20)
        assert found.seconds_left == pytest.approx(5.0)
        assert curve(project, round_)[4] == {
            "step": 4, "loss": 2.0, "val_loss": 1.5, "val_iou": 0.6,
        }  # fmt: skip
        assert [p["step"] for p in curve(project, round_, most=2)] == [0, 4, 5]
        (run / "model").mkdir()
        assert progress_of(project, round_).phase == "export"
        round_ = project.models.change_round(round_.id, status="gating")
        assert progress_of(project, round_).phase == "gate"
        (run / VERDICT).write_text("{}")
        assert progress_of(project, round_).phase == "detect"


def test_what_cannot_be_done_now_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        trainer = Trainer(project, Events())
        for do in (trainer.pause, lambda: trainer.start(None), lambda: trainer.cancel(by="Ada")):
            with pytest.raises(StoreError, match="no round is"):
                do()
        trainer.go_on()
        assert not trainer.working
        assert trainer.progress() is None
        project.models.open_round("assisted", settings=asdict(RoundConfig()))
        with pytest.raises(StoreError, match="resume or cancel it first"):
            trainer.start(RoundConfig())
        assert trainer.cancel(by="Ada").status == "failed"

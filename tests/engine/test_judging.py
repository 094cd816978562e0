"""The gate's child where there is nothing to judge by; `test_rounds.py` has the rest."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from labelled_scene import SMALL, write_scene

from maskmill.engine.children import run_child
from maskmill.engine.gate import Verdict
from maskmill.engine.judging import judge_round, read_verdict
from maskmill.engine.lineage import run_folder
from maskmill.engine.rounds import RoundConfig
from maskmill.errors import ConfigError
from maskmill.exchange.importing import import_labelled
from maskmill.formats import LabelledImage
from maskmill.model.checkpoint import save_model
from maskmill.model.sam import build
from maskmill.store import Project
from maskmill.store.snapshots import SnapshotConfig
from maskmill.weights import model_folder, model_id_of, read_card


def test_a_limited_hold_out_is_drawn_from_every_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []

    def measure_each(_: object, images: list[LabelledImage], __: object) -> tuple[list[Any], ...]:
        looked_at.extend(image.source for image in images)
        return [], []

    monkeypatch.setattr("maskmill.train.evaluate.measure_each", measure_each)
    monkeypatch.setattr("maskmill.engine.judging.Predictor.load", lambda *_, **__: None)
    monkeypatch.setattr("maskmill.engine.judging._encode_seconds", lambda *_: (1.0, 1.0))
    with Project.create(tmp_path / "project") as project:
        for source in ("first", "second"):
            images = [write_scene(tmp_path, f"{source}{i}", seed=i) for i in range(3)]
            held_out = [replace(i, source=source, split="val") for i in images]
            import_labelled(project, held_out, name=source, by="test")
        model = project.models.add(
            model_id_of(read_card(model_folder("tiny"))), name="tiny", card={}
        )
        settings = asdict(RoundConfig(holdout_limit=2))
        round_ = project.models.open_round("assisted", incumbent_id=model.id, settings=settings)
        told = {"snapshot_id": project.snapshots.take("one").id, "candidate_id": model.id}
        with pytest.raises(ConfigError):  # nothing was measured
            judge_round(project, project.models.change_round(round_.id, status="gating", **told))
    assert looked_at == ["first", "second"] * 2


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({}, False),
        ({"name": "mine", "pred_iou_thresh": 0.5}, False),
        ({"encoder": replace(SMALL.encoder, num_heads=4)}, True),
        ({"input_side": 96}, True),
    ],
)
def test_whether_an_encoder_is_another_one_stands_on_the_cards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], other: bool
) -> None:
    asked: list[bool] = []

    def judge(*_: object, other_encoder: bool, **__: object) -> Verdict:
        asked.append(other_encoder)
        return Verdict(promoted=None, reason="", comparisons=(), images=1, groups=1)

    monkeypatch.setattr("maskmill.train.evaluate.measure_each", lambda *_: ([], []))
    monkeypatch.setattr("maskmill.engine.judging._encode_seconds", lambda *_: (1.0, 1.0))
    monkeypatch.setattr("maskmill.engine.judging.judge", judge)
    with Project.create(tmp_path / "project") as project:
        scene = replace(write_scene(tmp_path, "a", seed=1), split="val")
        import_labelled(project, [scene], name="s", by="test")
        rows = []
        for seed, config in enumerate((SMALL, replace(SMALL, **change))):
            made = tmp_path / "made"
            card = save_model(made, build(config, seed=seed).eval(), {})
            shutil.copytree(made, project.folder / "models" / model_id_of(card))
            rows.append(project.models.add(model_id_of(card), name=f"{seed}", card=card))
        settings = asdict(RoundConfig(export=False))
        round_ = project.models.open_round("assisted", incumbent_id=rows[0].id, settings=settings)
        told = {"snapshot_id": project.snapshots.take("one").id, "candidate_id": rows[1].id}
        judge_round(project, project.models.change_round(round_.id, status="gating", **told))
    assert asked == [other]


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

"""A round from another model: checked before it opens, trained, judged; and what heads read."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from labelled_scene import SMALL, write_scene
from random_model import SMALL_VIT

from maskmill.config import TinyConfig
from maskmill.descriptors import describe, descriptor_size
from maskmill.engine.children import Interrupted
from maskmill.engine.dataset import labelled_images
from maskmill.engine.detecting import write_detector
from maskmill.engine.detector import Detector
from maskmill.engine.lineage import run_folder
from maskmill.engine.rounds import Judge, RoundConfig, run_round, verdict_of
from maskmill.engine.simulate import SimulateConfig, simulate
from maskmill.engine.starting import architecture_of, settled_start, start_name
from maskmill.engine.training import train_round
from maskmill.errors import CheckpointError, NotFound
from maskmill.exchange.importing import import_labelled
from maskmill.formats import read_pixels
from maskmill.model.checkpoint import load_model, save_model
from maskmill.model.sam import build
from maskmill.predict import Predictor
from maskmill.store import Project
from maskmill.store.snapshots import SnapshotConfig
from maskmill.train.detector import DetectorConfig, train_detector
from maskmill.train.regions import RegionConfig, train_regions
from maskmill.weights import model_folder

WIDE = replace(
    SMALL,
    name="wide",
    encoder=TinyConfig(
        widths=(16, 24, 32, 48), depths=(1, 1, 1, 1), num_heads=2, high_res_dims=(16, 8)
    ),
    decoder=replace(SMALL.decoder, transformer_dim=64),
)
QUICK = RoundConfig(
    val_share=0.4,
    export=False,
    detector=False,
    training={
        "steps": 2, "batch_images": 2, "masks_per_image": 2, "input_side": 64, "grid_iou_images": 1
    },
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(6)]
    with Project.create(tmp_path / "project") as made:
        import_labelled(made, scenes, name="scenes", by="test")
        yield made


def test_a_whole_round_from_a_wider_model(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path / "wide", build(WIDE).eval(), {})
    monkeypatch.chdir(tmp_path)
    promote = Judge("a rule", lambda verdict: True)
    config = replace(QUICK, start="wide")
    made = run_round(project, config, say=lambda _: None, judge=promote)
    assert (made.status, (made.settings or {})["start"]) == ("promoted", str(tmp_path / "wide"))
    candidate = next(m for m in project.models.all() if m.id == made.candidate_id)
    told = candidate.card or {}
    assert architecture_of(run_folder(project, made) / "model") == WIDE
    assert told["training"]["start_from"] == str(tmp_path / "wide")
    assert told["training"]["start_share"] > 0, "mixed back to weights of its own shape"
    speed = (verdict_of(project, made) or {})["comparisons"][-1]
    assert speed["name"] == "seconds to encode"
    assert speed["outcome"] in ("same", "expected")


def test_a_start_that_is_not_there_opens_no_round(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for start in ("vit_b.pth", "empty", "newest", "tiny"):
        with pytest.raises(NotFound, match=rf"cannot start from '{start}'.*checkpoint.*current or"):
            run_round(project, replace(QUICK, start=start))
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(CheckpointError, match=r"text\.pth is a text"):
        run_round(project, replace(QUICK, start="text.pth"))
    save_model(tmp_path / "torn", build(SMALL).eval(), {})
    (tmp_path / "torn" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="damaged"):
        run_round(project, replace(QUICK, start="torn"))
    with pytest.raises(NotFound, match="cannot start"):
        simulate([], tmp_path / "out", SimulateConfig(round=replace(QUICK, start="vit_b.pth")))
    assert project.models.rounds() == []
    assert not (tmp_path / "out").exists()


def test_a_start_that_went_away_is_said(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path / "wide", build(WIDE).eval(), {})
    config = replace(QUICK, start=str(tmp_path / "wide"))

    def interrupted(*arguments: str, **kwargs: Any) -> None:
        raise Interrupted(f"before {arguments[3]} was opened")

    monkeypatch.setattr("maskmill.engine.rounds.run_child", interrupted)
    with pytest.raises(Interrupted, match=str(tmp_path / "wide")):
        run_round(project, config, say=lambda _: None)
    (tmp_path / "wide").rename(tmp_path / "moved")
    with pytest.raises(NotFound, match=r"cannot start from .*wide.*name a model's folder"):
        run_round(project, say=lambda _: None)
    (round_,) = project.models.rounds()
    assert round_.status == "failed"
    assert "wide" in (round_.reason or "")


def test_a_vit_trains_at_its_own_side_and_has_heads_though_it_has_no_finer_maps(
    tmp_path: Path, project: Project
) -> None:
    start = tmp_path / "published.safetensors"
    safetensors.torch.save_file(build(SMALL_VIT).state_dict(), start)
    assert settled_start(str(start)) == str(start)
    steps = {name: n for name, n in QUICK.training.items() if name != "input_side"}
    settings = asdict(replace(QUICK, start=str(start), training=steps))
    snapshot = project.snapshots.take("one", SnapshotConfig(val_share=0.4))
    round_ = project.models.open_round("assisted", settings=settings)
    round_ = project.models.change_round(round_.id, status="training", snapshot_id=snapshot.id)
    model = train_round(project, round_, str(start))
    sam, card = load_model(model)
    assert sam.config.encoder == SMALL_VIT.encoder
    assert (sam.config.input_side, card["training"]["input_side"]) == (96, 96)
    predictor = Predictor.load(model, threads=1)
    images = labelled_images(project, snapshot, "train")
    embedding = predictor.embed(read_pixels(images[0]))
    assert embedding.high_res == ()
    boxes = train_detector(predictor, images, DetectorConfig(steps=2, batch_images=2, views=1))
    assert (boxes.stride, len(boxes.channels)) == (8, 1)
    write_detector(boxes, predictor, tmp_path / "detector", {"model": predictor.model_id})
    assert Detector(tmp_path / "detector").boxes(embedding).boxes.shape[1] == 4
    regions, _ = train_regions(predictor, images, RegionConfig(steps=2, batch_images=1, crop=32))
    assert len(regions.mean) == SMALL_VIT.decoder.transformer_dim
    masks = [mask.rle for mask in images[0].annotations]
    told = describe(read_pixels(images[0]), embedding, masks)
    assert told.shape == (len(masks), descriptor_size(embedding))
    assert np.isfinite(told).all()


def test_what_is_told_of_a_start_is_a_name() -> None:
    assert [settled_start(each) for each in ("current", "default")] == ["current", "default"]
    assert [start_name(each) for each in (None, "current", "/here/vit_h.pth")] == [
        None, None, "vit_h.pth"
    ]  # fmt: skip
    assert architecture_of("tiny") == architecture_of(model_folder("tiny"))

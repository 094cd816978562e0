"""The whole engine on a small set: people label, models learn, and the next mask is cheaper."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faint_cells import faint_cells

from maskmill import rle
from maskmill.engine.auditing import audits
from maskmill.engine.lineage import current_model
from maskmill.engine.oracle import OracleConfig
from maskmill.engine.people import Oracle, record_of
from maskmill.engine.proposals import Calibration
from maskmill.engine.report import gate_curve, rows, write_report
from maskmill.engine.rounds import RoundConfig
from maskmill.engine.simulate import Play, SimulateConfig, _go_on, simulate
from maskmill.engine.time_model import TimeModel
from maskmill.errors import ConfigError
from maskmill.formats.labelled import LabelledImage
from maskmill.store import Project
from maskmill.store.verify import verify

SMALL = SimulateConfig(
    images_per_round=6,
    assisted_rounds=1,
    semi_rounds=1,
    points_per_side=8,
    audit_sample=10,
    precision=0.8,
    oracle=OracleConfig(miss=0.0, accept=0.8),
    round=RoundConfig(
        masks="all",
        val_share=0.3,
        export=False,
        detector=False,
        holdout_limit=2,
        training={
            "steps": 20, "batch_images": 4, "masks_per_image": 2, "input_side": 128,
            "warmup_steps": 4, "threads": 1, "grid_iou_images": 2,
            # Twenty steps must do for pictures that are like nothing the model saw: they learn more
            # with those pictures' own statistics, and what is forgotten does not count here.
            "keep_statistics": False, "start_share": 0.4,
        },
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("simulation")
    # A split that came with the images: of a hold-out that nobody in this project drew.
    images = [replace(faint_cells(folder, f"{i:02d}", i), split="val") for i in range(15)]
    return simulate(images, folder / "out", SMALL, say=lambda _: None), folder / "out"


def test_the_loop_improves(played: tuple[dict[str, Any], Path]) -> None:
    told, _ = played
    first, last = told["rounds"]
    curve = gate_curve(told["rounds"], "IoU after 1 click")
    assert last["seconds_per_mask"] < 0.95 * first["seconds_per_mask"], (first, last)
    assert curve[-1][1] > curve[0][1] + 0.05, (
        "the model in use answers a click better than at first"
    )


def test_the_project_holds_what_people_did(played: tuple[dict[str, Any], Path]) -> None:
    told, out = played
    with Project(out / "project", writes=False) as project:
        ids = [i for r in told["rounds"] for i in r["image_ids"]]
        assert len(set(ids)) == len(ids) == 12, "nobody labels an image twice"
        masks = [m for each in project.annotations.of_images(ids).values() for m in each]
        by_people = [m for m in masks if m.made.made_by == "person"]
        assert len(by_people) == sum(r["masks"] - r["prefilled_kept"] for r in told["rounds"])
        seconds = sum(m.made.seconds or 0 for m in by_people)
        looks = told["overall"]["seconds"] - seconds
        assert 0 < looks < told["overall"]["seconds"], "opening and scanning images cost time too"
        assert all(m.made.clicks and m.made.prompts for m in by_people)
        assert [s.name for s in project.snapshots.all()] == ["round-001", "round-002"]
        assert {r.status for r in project.models.rounds()} <= {"promoted", "kept"}
        assert current_model(project) is not None
        assert not list(verify(project, files=False))


def test_no_hold_out_image_was_trained_on(played: tuple[dict[str, Any], Path]) -> None:
    _, out = played
    with Project(out / "project", writes=False) as project:
        first, last = project.snapshots.all()
        early, late = project.snapshots.splits(first), project.snapshots.splits(last)
        assert {i for i, s in early.items() if s == "val"} == {
            i for i, s in late.items() if s == "val"
        }
        assert 0 < sum(s == "val" for s in late.values()) < len(late)


def test_stage_three_labels_only_what_nobody_saw(played: tuple[dict[str, Any], Path]) -> None:
    told, out = played
    assert told["automatic"]["images"] == 3
    with Project(out / "project", writes=False) as project:
        seen = {i for r in told["rounds"] for i in r["image_ids"]}
        every = [image.id for image in project.images.page(limit=100)]
        made = project.annotations.of_images(every, stage="automatic")
        assert not set(made) & seen
        masks = [m for each in made.values() for m in each]
        rejected = [m for m in masks if m.review == "rejected"]
        assert len(masks) == told["automatic"]["masks"]
        (drawn,) = audits(project)
        looked = {key for key, _ in drawn.drawn}
        unseen = [m for m in masks if m.id not in looked]
        assert all(m.made.made_by == "model" and m.review is None for m in unseen)
        assert {m.id for m in rejected} <= looked, "people look at the sample alone"
        assert all(m.made.model_id and m.made.round_id for m in unseen)
        assert all(rle.area(m.rle) for m in masks)
        assert told["automatic"]["audit_report"]["done"] == len(looked)


def test_the_report_says_what_was_measured(
    played: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    told, _ = played
    write_report(tmp_path / "report.html", "Cells", told)
    page = (tmp_path / "report.html").read_text("utf-8")
    for row in rows(told["rounds"]):
        for cell in row:
            assert f"<td>{cell}</td>" in page
    assert "data:image/png;base64," in page
    assert f"{told['overall']['masks']:,} masks" in page
    for each in told["rounds"]:
        assert len(each["image_seconds"]) == each["images"]
        assert sum(each["image_seconds"]) == pytest.approx(each["seconds"])
    assert "(95 % interval: " in page


def test_a_killed_simulation_goes_on_and_ends_alike(
    played: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """Stopped in the midst of a round's images, and once more when it trains."""
    told, _ = played
    images = [replace(faint_cells(tmp_path, f"{i:02d}", i), split="val") for i in range(15)]
    training = {**SMALL.round.training, "steps": 2, "warmup_steps": 1}
    plain = replace(SMALL.round, training=training, holdout_limit=1)
    short = replace(SMALL, semi_rounds=0, automatic=False, round=plain)

    class Stopped(Exception):
        pass

    def stop_when_training(line: str) -> None:
        if "training" in line:
            raise Stopped

    with pytest.raises(Stopped):
        simulate(images, tmp_path / "out", short, say=stop_when_training)
    state = json.loads((tmp_path / "out" / "played.json").read_text("utf-8"))
    assert len(state["sat"]) == 6
    state["sat"] = state["sat"][:4]  # as if it had been killed before the fifth was written down
    (tmp_path / "out" / "played.json").write_text(json.dumps(state), "utf-8")
    again = simulate(images, tmp_path / "out", short, say=lambda _: None)
    for key in ("image_ids", "masks", "seconds", "clicks_per_mask"):
        assert again["rounds"][0][key] == told["rounds"][0][key], key
    with pytest.raises(ConfigError, match="other settings"):
        simulate(images, tmp_path / "out", SMALL, say=lambda _: None)


def test_recorded_work_is_replayed_through_the_same_rounds(
    played: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    told, out = played
    with Project(out / "project", writes=False) as project:
        record = record_of(project)
    first = told["rounds"][0]
    by_hand = {path: masks for path, masks in record.items() if len(masks) == 4}
    images = [
        LabelledImage(image_id=Path(path).stem, path=Path(path), size=(128, 128), source="cells")
        for path in by_hand
    ]
    training = {**SMALL.round.training, "steps": 2, "warmup_steps": 1}
    plain = replace(SMALL.round, training=training, holdout_limit=1)
    config = replace(SMALL, images_per_round=3, semi_rounds=0, automatic=False, round=plain)
    again = simulate(images, tmp_path / "out", config, recorded=by_hand, say=lambda _: None)
    (round_,) = again["rounds"]
    played_first = list(by_hand.values())[:3]
    spent = sum(mask.seconds for masks in played_first for mask in masks)
    looks = 3 * (config.times.open_image + config.times.scan)
    assert round_["seconds"] == pytest.approx(spent + looks)
    assert round_["masks"] == 12
    assert first["masks"] == 24


def test_a_dataset_that_is_too_small_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    images = [faint_cells(tmp_path, "only", 0)]
    with pytest.raises(ConfigError, match="need 12, the dataset has 1"):
        simulate(images, tmp_path / "out", SMALL)
    assert not (tmp_path / "out").exists()


def test_what_a_round_pre_fills_by_outlives_a_kill(tmp_path: Path) -> None:
    """Measured again it would rest on the very images that the round has labelled since."""
    config, person = SimulateConfig(), Oracle({}, OracleConfig(), TimeModel())
    measured = Calibration(threshold=0.4, precision=0.6, kept=30, found=0.2, way="detector")
    with Project.create(tmp_path / "project") as project:
        state = tmp_path / "played.json"
        play = Play(project=project, person=person, config=config, state=state)
        play.chosen, play.calibration = [1], measured
        play.keep()
        again = Play(project=project, person=person, config=config, state=state)
        _go_on(again)
    assert again.calibration == measured
    assert again.chosen == [1]

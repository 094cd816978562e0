"""A round from masks to a promoted model; killed, it goes on; a worse model is not promoted."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from labelled_scene import SMALL, write_scene

from maskmill.engine.children import Interrupted, Killed, run_child
from maskmill.engine.lineage import current_model, model_path, run_folder
from maskmill.engine.rounds import (
    HEADS_FAILED,
    Judge,
    RoundConfig,
    cancel,
    decide,
    roll_back,
    run_round,
    verdict_of,
)
from maskmill.errors import StoreError
from maskmill.exchange.importing import import_labelled
from maskmill.model.checkpoint import save_model
from maskmill.model.sam import build
from maskmill.store import Project
from maskmill.store.snapshots import SnapshotConfig
from maskmill.train.report import read_metrics
from maskmill.weights import model_folder, read_card
from maskmill.weights import verify as check_files

QUICK = RoundConfig(
    detector=False,
    val_share=0.4,
    training={
        "steps": 8, "grid_iou_images": 1, "batch_images": 2, "masks_per_image": 2, "input_side": 64,
        "checkpoint_every": 1,
    },
)  # fmt: skip


@pytest.fixture
def small(tmp_path: Path) -> RoundConfig:
    """A round that starts from a model as small as it goes, and is not exported: that is slow."""
    save_model(tmp_path / "small", build(SMALL).eval(), {})
    training = {**QUICK.training, "start_from": str(tmp_path / "small")}
    return replace(QUICK, training=training, export=False)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of ten scenes with two masks each."""
    scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(10)]
    with Project.create(tmp_path / "project") as made:
        import_labelled(made, scenes, name="scenes", by="test")
        yield made


def test_heads_are_trained_for_the_model_that_goes_on_and_for_both_while_nobody_knows(
    project: Project, small: RoundConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def told(*arguments: str, **kwargs: Any) -> None:
        if arguments[0] == "maskmill.engine.detecting":
            trained.append(Path(arguments[3]).name)
        else:
            run_child(*arguments, **kwargs)

    monkeypatch.setattr("maskmill.engine.rounds.run_child", told)
    config = replace(small, detector=True)
    asked: list[str] = []

    def keep(verdict: Mapping[str, Any]) -> bool:
        asked.append(verdict["reason"])
        return False

    kept = run_round(project, config, say=lambda _: None, judge=Judge("a rule", keep))
    assert (kept.status, len(asked)) == ("kept", 1)
    assert (kept.reason or "").startswith("kept the old model: decided by a rule. only ")
    assert trained == [Path(model_folder("tiny")).name], "the one that goes on"
    trained.clear()
    open_ = run_round(project, config, say=lambda _: None)
    assert open_.status == "gating"
    assert len(trained) == 2, "whoever decides finds the heads of either"


@pytest.mark.parametrize("error", [Killed("no memory"), StoreError("no memory")])
def test_heads_that_fail_take_nothing_from_a_promoted_model_and_are_made_up(
    project: Project, small: RoundConfig, monkeypatch: pytest.MonkeyPatch, error: StoreError
) -> None:
    asked: list[int] = []

    def told(*arguments: str, **kwargs: Any) -> None:
        if arguments[0] != "maskmill.engine.detecting":
            return run_child(*arguments, **kwargs)
        asked.append(int(arguments[2]))
        if len(asked) == 1:
            raise error

    monkeypatch.setattr("maskmill.engine.rounds.run_child", told)
    config = replace(small, detector=True)
    promote = Judge("a rule", lambda verdict: True)
    first = run_round(project, config, say=lambda _: None, judge=promote)
    assert first.status == "promoted"
    assert (first.reason or "").endswith(f"{HEADS_FAILED}: no memory")
    promoted = current_model(project)
    assert promoted is not None
    assert promoted.id == first.candidate_id
    with pytest.raises(StoreError, match="nothing to train on"):
        run_round(project, config, say=lambda _: None)
    assert asked == [1, 1], "also where no mask is new"


def test_a_killed_round_goes_on_and_waits_for_a_person_where_images_are_few(
    project: Project, small: RoundConfig
) -> None:
    assert current_model(project) is None
    assert model_path(project, None) == model_folder("tiny")
    said: list[str] = []
    killer = threading.Thread(target=kill_the_trainer, args=(project,))

    def kill_soon(line: str) -> None:
        said.append(line)
        if "training" in line:
            killer.start()

    with pytest.raises(Killed, match=r"want of memory.*`batch_images`.*run it again"):
        run_round(project, small, say=kill_soon)
    killer.join()
    assert project.models.rounds()[-1].ended_at is None

    round_ = run_round(project, RoundConfig(recipe="an open round keeps its own"), say=said.append)
    assert (round_.number, round_.status) == (1, "gating")
    assert "a person decides" in (round_.reason or "")
    assert len([line for line in said if "snapshot round-001" in line]) == 1
    steps = read_metrics(run_folder(project, round_) / "metrics.jsonl")
    assert [line["step"] for line in steps] == list(range(8)), "none was lost, none done twice"
    gate = verdict_of(project, round_)
    assert gate is not None
    assert gate["images"] == project.snapshots.get("round-001").statistics["splits"]["val"]
    with pytest.raises(StoreError, match="waits for a decision"):
        run_round(project, QUICK)
    assert current_model(project) is None, "nothing is promoted before somebody says so"

    assert decide(project, promote=True, by="Ada").status == "promoted"
    model = current_model(project)
    assert model is not None
    assert (model_path(project, model) / "model.safetensors").is_file()
    assert model.card is not None
    assert model.card["round"] == 1
    on_disk = read_card(model_path(project, model))
    for card in (model.card, on_disk):
        assert (card["round"], card["snapshot"]) == (1, "round-001")
        assert card["round_settings"]["val_share"] == 0.4
        assert "decided by Ada" in card["gate"]["reason"]
        assert card["gate"]["said"]["comparisons"]
    check_files(model_path(project, model))

    back = roll_back(project, by="Ada")
    assert back.status == "promoted"
    assert "rolled back from round 1 by Ada" in (back.reason or "")
    default = current_model(project)
    assert default is not None
    assert model_path(project, default) == model_folder("tiny")


def test_a_round_without_new_masks_fails_with_what_is_missing(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, [write_scene(tmp_path, "only", seed=1)], name="scenes", by="test")
        image = project.images.page(limit=1)[0]
        project.images.describe(image.id, split="val")
        with pytest.raises(StoreError, match="nothing to train on"):
            run_round(project, QUICK, say=lambda _: None)
        assert project.models.rounds()[-1].status == "failed"
        assert "label some" in (project.models.rounds()[-1].reason or "")


def test_the_hold_out_is_frozen_by_the_first_round(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What taught the incumbent must never judge it."""
    first = project.models.open_round("assisted", settings=asdict(replace(QUICK, val_share=0.1)))
    project.models.change_round(first.id, status="kept")
    with pytest.raises(StoreError, match=r"held out a share of 0\.1, and this one asks for 0\.4"):
        run_round(project, QUICK)
    assert len(project.models.rounds()) == 1, "it was refused before it began"

    def no_child(*arguments: str, **kwargs: Any) -> None:
        raise Interrupted("no time for it")

    monkeypatch.setattr("maskmill.engine.rounds.run_child", no_child)
    with pytest.raises(Interrupted):
        run_round(project, say=lambda _: None)
    second = project.models.rounds()[-1]
    assert second.settings is not None
    assert second.settings["val_share"] == 0.1
    taken = project.snapshots.get("round-002")
    assert taken.settings["val_share"] == 0.1
    assert project.snapshots.splits(taken) == project.snapshots.splits_now(
        SnapshotConfig(val_share=0.1)
    )


def test_a_paused_round_goes_on_and_a_cancelled_one_leaves_its_masks_new(
    project: Project, small: RoundConfig
) -> None:
    stop = threading.Event()
    long = replace(small, training={**small.training, "steps": 10_000})

    def pause_soon() -> None:
        while not list((project.folder / "rounds").glob("*/metrics.jsonl")):
            time.sleep(0.02)
        stop.set()

    asking = threading.Thread(target=pause_soon)
    asking.start()
    with pytest.raises(Interrupted):
        run_round(project, long, say=lambda _: None, stop=stop)
    asking.join()
    (open_,) = project.models.rounds()
    assert (open_.status, open_.ended_at) == ("training", None)
    run = run_folder(project, open_)
    steps = [line["step"] for line in read_metrics(run / "metrics.jsonl")]
    assert steps == list(range(len(steps)))
    assert steps
    assert "val_loss" in read_metrics(run / "metrics.jsonl")[0], "the hold-out is watched"
    assert (run / "checkpoint.pt").is_file()
    ended = cancel(project, by="Ada")
    assert (ended.status, ended.reason) == ("failed", "cancelled by Ada")
    assert not (run / "checkpoint.pt").exists()
    with pytest.raises(StoreError, match="nothing to cancel"):
        cancel(project, by="Ada")


def kill_the_trainer(project: Project) -> None:
    """Kill -9 the round's child as soon as it has written a checkpoint."""
    task = Path(f"/proc/self/task/{threading.main_thread().native_id}/children")
    while not list((project.folder / "rounds").glob("*/checkpoint.pt")):
        time.sleep(0.02)
    for pid in map(int, task.read_text().split()):
        if b"engine.training" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)

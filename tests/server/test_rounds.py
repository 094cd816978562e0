"""The engine over HTTP: a real round trained, judged, decided, served and rolled back."""

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from labelled_scene import SMALL, write_scene
from starlette.testclient import TestClient

from maskmill.engine.rounds import RoundConfig
from maskmill.errors import StoreError
from maskmill.exchange.importing import import_labelled
from maskmill.model.checkpoint import save_model
from maskmill.model.sam import build
from maskmill.server.service import Service
from maskmill.server.trainer import KIND, Trainer

from .conftest import Browser

QUICK = {
    "steps": 12, "batch_images": 2, "masks_per_image": 2, "input_side": 64, "checkpoint_every": 1,
    "grid_iou_images": 1,
}  # fmt: skip


@pytest.fixture
def labelled(service: Service, tmp_path: Path) -> Iterator[Service]:
    """The project with ten labelled scenes more."""
    scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(10)]
    import_labelled(service.project, scenes, name="scenes", by="test")
    yield service
    service.trainer.stop()
    service.prefiller.stop()


def quick(tmp_path: Path, **training: Any) -> RoundConfig:
    """A round of a model as small as it goes, which is not exported: that is slow."""
    save_model(tmp_path / "small", build(SMALL).eval(), {})
    start = str(tmp_path / "small")
    settings = {**QUICK, "start_from": start, **training}
    return RoundConfig(val_share=0.4, training=settings, export=False, detector=False)


def wait(service: Service) -> None:
    end = time.monotonic() + 120
    while service.trainer.working:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_round_is_run_decided_served_and_taken_back(
    labelled: Service, client: TestClient, tmp_path: Path
) -> None:
    service = labelled
    told = client.get("/api/engine").json()
    assert (told["stage"], told["working"], told["can_roll_back"]) == ("assisted", None, False)
    assert told["suggestion"]["what"] == "label"
    assert told["new_masks"] > 0
    default = told["model_id"]
    (image,) = service.project.images.page(limit=1)
    seen = client.get(f"/api/images/{image.id}").json()
    assert (seen["model_id"], seen["embedded"]) == (default, True)

    service.trainer.start(quick(tmp_path))
    wait(service)
    told = client.get("/api/engine").json()
    assert told["suggestion"]["what"] == "decide"
    assert (told["working"]["resting"], told["working"]["step"]) == (True, 12)
    (round_,) = told["rounds"]
    assert round_["gate"]["promoted"] is None
    assert "IoU after 1 click" in {c["name"] for c in round_["gate"]["comparisons"]}
    detail = client.get("/api/rounds/1").json()
    assert [p["step"] for p in detail["points"]] == list(range(12))
    assert detail["points"][0]["val_loss"] > 0

    decided = client.post("/api/rounds/decide", json={"promote": True}).json()
    assert decided["status"] == "promoted"
    told = client.get("/api/engine").json()
    assert told["model"] == "round-001"
    assert told["model_id"] != default
    assert service.decoder.model_id == told["model_id"]

    seen = client.get(f"/api/images/{image.id}").json()
    assert seen["model_id"] == default, "the old model serves until the new one has embedded it"
    old = client.get(seen["embedding_url"])
    assert (old.status_code, default in old.headers["etag"]) == (200, True)
    assert client.get("/api/model", params={"id": default}).json()["id"] == default
    assert client.get("/api/model").json()["id"] == told["model_id"]
    assert client.get("/api/model", params={"id": "unknown"}).status_code == 404
    other = service.project.images.page(after=image.id, limit=1)[0]
    assert client.get(f"/api/images/{other.id}").json()["model_id"] == told["model_id"]
    gone = client.get(f"/api/images/{other.id}/embedding", params={"model": default})
    assert gone.status_code == 404
    assert "open the image again" in gone.json()["error"]

    back = client.post("/api/rounds/roll-back").json()
    assert "rolled back from round 1" in back["reason"]
    assert service.decoder.model_id == default
    again = client.post("/api/rounds/roll-back")
    assert again.status_code == 422


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_pause_resume_and_cancel(labelled: Service, client: TestClient, tmp_path: Path) -> None:
    service = labelled
    service.trainer.start(quick(tmp_path, steps=100_000))
    refused = client.post("/api/rounds", json={})
    assert (refused.status_code, "going on" in refused.json()["error"]) == (422, True)
    end = time.monotonic() + 120
    while client.get("/api/engine").json()["working"]["step"] < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    paused = client.post("/api/rounds/pause").json()
    assert (paused["phase"], paused["resting"], paused["steps"]) == ("train", True, 100_000)
    assert client.get("/api/engine").json()["suggestion"]["what"] == "resume"
    assert client.post("/api/rounds/pause").status_code == 422
    assert not service.project.jobs.all(kind=KIND, running=True), "a paused round waits"
    resumed = client.post("/api/rounds/resume").json()
    assert (resumed["number"], resumed["resting"]) == (1, False)
    ended = client.post("/api/rounds/cancel").json()
    assert (ended["status"], ended["reason"].startswith("cancelled by")) == ("failed", True)
    assert client.post("/api/rounds/resume").status_code == 422
    assert client.get("/api/engine").json()["working"] is None


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_was_going_on_when_the_server_ended_goes_on(labelled: Service, tmp_path: Path) -> None:
    service = labelled
    config = quick(tmp_path, steps=100_000)
    service.trainer.start(config)
    end = time.monotonic() + 120
    while (found := service.trainer.progress()) is None or found.step < 1:
        assert time.monotonic() < end
        time.sleep(0.05)
    service.trainer.stop()
    (left,) = service.project.jobs.all(kind=KIND, running=True)
    assert left.settings == {**asdict(config)}
    another = Trainer(service.project, service.events)
    another.go_on()
    assert another.working
    another.cancel(by="Ada")
    assert not another.working
    fresh = Trainer(service.project, service.events)
    fresh.go_on()
    assert not fresh.working


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_steps_are_the_models_and_head_steps_the_heads(
    labelled: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[RoundConfig] = []
    monkeypatch.setattr(labelled.trainer, "start", started.append)
    for body in ({}, {"steps": 7}, {"head_steps": 9}):
        assert client.post("/api/rounds", json=body).status_code == 202
    assert [(c.training, c.detector_training, c.regions_training) for c in started] == [
        ({}, {}, {}),
        ({"steps": 7}, {}, {}),
        ({}, {"steps": 9}, {"steps": 9}),
    ]


def test_another_start_is_told_by_its_name_and_cannot_be_asked_for(
    service: Service, client: TestClient
) -> None:
    for start in ("default", "/home/ada/models/sam_vit_b_01ec64.pth"):
        opened = service.project.models.open_round(
            "assisted", settings=asdict(RoundConfig(start=start))
        )
        service.project.models.change_round(opened.id, status="failed", reason="test")
    told = client.get("/api/rounds").json()["rounds"]
    assert [(each["start"], each["start_name"]) for each in told] == [
        ("default", None),
        ("other", "sam_vit_b_01ec64.pth"),
    ]
    assert client.post("/api/rounds", json={"start": "/etc/passwd"}).status_code == 422


def test_annotators_look_and_reviewers_run(team: Service, browser: Browser) -> None:
    ann, reviewer = browser("annotator"), browser("reviewer")
    assert ann.get("/api/engine").status_code == 200
    assert ann.get("/api/rounds").json() == {"rounds": []}
    assert ann.post("/api/rounds", json={}).status_code == 403
    assert ann.post("/api/rounds/cancel").status_code == 403
    assert reviewer.post("/api/rounds/cancel").status_code == 422
    assert reviewer.get("/api/rounds/7").status_code == 404


def test_a_machine_without_pytorch_says_what_to_install(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskmill.server.rounds.missing_packages", lambda: ("torch",))
    refused = client.post("/api/rounds", json={})
    assert refused.status_code == 422
    assert "pip install 'maskmill[train,export]'" in refused.json()["error"]


def test_the_same_settings_travel(tmp_path: Path) -> None:
    config = replace(quick(tmp_path), masks="all")
    assert RoundConfig(**asdict(config)) == config


def test_pre_filling_takes_what_is_left_and_says_why_not(
    service: Service, client: TestClient
) -> None:
    assert client.get("/api/engine").json()["prefill"] is None
    assert client.post("/api/prefill/cancel").status_code == 422
    assert client.post("/api/prefill", json={"precision": 1.5}).status_code == 422
    begun = client.post("/api/prefill", json={"images": 2, "precision": 0.8}).json()
    assert (begun["total"], begun["done"], begun["asked"]) == (2, 0, 0.8)
    end = time.monotonic() + 120
    while (told := client.get("/api/engine").json()["prefill"])["running"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert told["threshold"] is None, "nothing is labelled, so nothing is proved"
    assert told["message"] == "no threshold"
    assert service.project.annotations.of_image(1) == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_round_of_stage_three_has_a_profile_of_its_own(
    labelled: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RoundConfig] = []

    def begin(config: RoundConfig) -> None:
        asked.append(config)
        raise StoreError("what it trains is tested elsewhere")

    monkeypatch.setattr(labelled.trainer, "start", begin)
    monkeypatch.setattr("maskmill.server.rounds.missing_packages", tuple)
    for body in ({}, {"profile": "automatic", "masks": "all"}, {"profile": "other"}):
        client.post("/api/rounds", json=body)
    usual, automatic = asked
    assert (usual.stage, usual.recipe, usual.masks) == ("assisted", RoundConfig().recipe, "new")
    assert (automatic.stage, automatic.recipe) == ("automatic", "automatic")
    assert automatic.masks == "all"

"""Regions for the image that is open: found in a child process, and none without a head."""

import json
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from maskmill import rle
from maskmill.engine.head_files import head_folder
from maskmill.exchange.importing import import_labelled
from maskmill.formats import LabelledImage, read_pixels
from maskmill.predict import Predictor
from maskmill.server.service import Service


@pytest.fixture
def crowd(service: Service, crowds: list[LabelledImage]) -> int:
    """A crowd that the head has not learned from, embedded."""
    import_labelled(service.project, crowds[-1:], name="crowds", by="test")
    (row,) = service.project.images.by_path([str(crowds[-1].path)]).values()
    embedding = Predictor.load("tiny", threads=1).embed(read_pixels(crowds[-1]))
    service.project.embeddings.put(row.content_hash, embedding)
    return row.id


def place(service: Service, head: Path) -> Path:
    where = head_folder(service.project.folder, "regions", service.decoder.model_id)
    return Path(shutil.copytree(head, where, dirs_exist_ok=True))


def test_a_head_outlines_the_image_that_is_open(
    client: TestClient, service: Service, crowd: int, crowd_head: Path, crowds: list[LabelledImage]
) -> None:
    assert client.get(f"/api/images/{crowd}/regions").json()["regions"] == [], "there is no head"
    place(service, crowd_head)
    told = client.get(f"/api/images/{crowd}/regions").json()
    assert told["low_res_side"] == client.get("/api/model").json()["low_res_side"]
    found = [
        rle.Rle((each["mask"]["size"][0], each["mask"]["size"][1]), each["mask"]["counts"].encode())
        for each in told["regions"]
    ]
    truths = [mask.rle for mask in crowds[-1].annotations]
    assert (rle.iou(found, truths).max(0) > 0.75).mean() > 0.7
    scores = [each["score"] for each in told["regions"]]
    assert scores == sorted(scores, reverse=True)


def test_answers_are_remembered_until_another_round_trains_a_head(
    client: TestClient, service: Service, crowd: int, crowd_head: Path
) -> None:
    where = place(service, crowd_head)
    first = client.get(f"/api/images/{crowd}/regions").json()
    service.outliner._child.kill()
    assert client.get(f"/api/images/{crowd}/regions").json() == first
    assert service.outliner._child.started == 1, "nobody was asked"
    card = json.loads((where / "regions.json").read_text())
    (where / "regions.json").write_text(json.dumps(card | {"round": 2}))
    assert client.get(f"/api/images/{crowd}/regions").json() == first
    assert service.outliner._child.started == 2


def test_a_head_whose_regions_are_worse_than_the_decoders_is_not_asked(
    client: TestClient, service: Service, crowd: int, crowd_head: Path
) -> None:
    where = place(service, crowd_head)
    card = json.loads((where / "regions.json").read_text())
    card["offer"]["threshold"] = None
    (where / "regions.json").write_text(json.dumps(card))
    assert client.get(f"/api/images/{crowd}/regions").json()["regions"] == []
    assert service.outliner._child.started == 0


def test_an_image_that_is_gone_is_said_and_the_next_is_outlined(
    client: TestClient, service: Service, crowd: int, crowd_head: Path
) -> None:
    place(service, crowd_head)
    row = service.project.images.get(crowd)
    kept = Path(row.path).with_suffix(".kept")
    Path(row.path).rename(kept)
    try:
        answer = client.get(f"/api/images/{crowd}/regions")
        assert answer.status_code >= 400
        assert "error" in answer.json()
    finally:
        kept.rename(row.path)
    assert client.get(f"/api/images/{crowd}/regions").json()["regions"]


def test_what_was_asked_for_too_early_is_asked_for_again(
    client: TestClient, service: Service, crowd: int, crowd_head: Path, crowds: list[LabelledImage]
) -> None:
    place(service, crowd_head)
    row = service.project.images.get(crowd)
    kept = service.project.embeddings.get(row.content_hash, service.decoder.model_id)
    assert kept is not None
    shutil.rmtree(service.project.folder / "embeddings")
    assert client.get(f"/api/images/{crowd}/regions").json()["regions"] == []
    service.project.embeddings.put(row.content_hash, kept)
    assert client.get(f"/api/images/{crowd}/regions").json()["regions"]


def test_a_file_that_was_swapped_is_refused_and_not_remembered(
    client: TestClient, service: Service, crowd: int, crowd_head: Path, crowds: list[LabelledImage]
) -> None:
    place(service, crowd_head)
    path = Path(service.project.images.get(crowd).path)
    content = path.read_bytes()
    try:
        path.write_bytes(crowds[0].path.read_bytes())
        answer = client.get(f"/api/images/{crowd}/regions")
        assert (answer.status_code, "not the file that was added" in answer.text) == (422, True)
    finally:
        path.write_bytes(content)
    assert client.get(f"/api/images/{crowd}/regions").json()["regions"]


@pytest.mark.parametrize(
    "odd", [{"offer": [1]}, {"offer": {"threshold": "abc"}}, {"offer": {"threshold": float("nan")}}]
)
def test_a_card_that_says_nothing_usable_offers_nothing(
    client: TestClient, service: Service, crowd: int, crowd_head: Path, odd: dict[str, object]
) -> None:
    where = place(service, crowd_head)
    card = json.loads((where / "regions.json").read_text())
    (where / "regions.json").write_text(json.dumps(card | odd))
    assert client.get(f"/api/images/{crowd}/regions").json()["regions"] == []
    (where / "regions.json").write_text(json.dumps(card | {"model": "another"}))
    answer = client.get(f"/api/images/{crowd}/regions")
    assert (answer.status_code, "head of model another" in answer.text) == (422, True)

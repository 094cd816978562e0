"""The project's model made ready in the page: what is tried is what is carried away."""

import base64
import io
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from maskmill.deploy import load_deployment
from maskmill.engine.head_files import head_folder
from maskmill.exchange.importing import import_labelled
from maskmill.formats import LabelledImage
from maskmill.server.packer import KEPT, Packer, keep_archive
from maskmill.server.service import Service

TRY = "/api/deployments/model/try"


@pytest.fixture
def labelled(service: Service, crowds: list[LabelledImage], crowd_head: Path) -> Service:
    """The project with labelled crowds and the head that a round trained on them."""
    import_labelled(service.project, crowds, name="crowds", by="test")
    where = head_folder(service.project.folder, "regions", service.decoder.model_id)
    where.parent.mkdir(parents=True)
    shutil.copytree(crowd_head, where)
    return service


def wait(client: TestClient) -> dict:
    for _ in range(600):
        told: dict = client.get("/api/deployments/model").json()
        if not told["working"]:
            return told
        time.sleep(0.2)
    raise AssertionError(f"not ready after two minutes: {told}")


def test_what_is_tried_is_what_is_fetched(
    client: TestClient, labelled: Service, crowds: list[LabelledImage], tmp_path: Path
) -> None:
    before = client.get("/api/deployments/model").json()
    assert (before["name"], before["working"], before["is_current"]) == (None, False, False)
    started = client.post("/api/deployments/model", json={"precision": 0.7})
    assert started.status_code == 202
    assert started.json()["working"]
    again = client.post("/api/deployments/model", json={})
    assert (again.status_code, "wait" in again.json()["error"]) == (422, True)
    ready = wait(client)
    assert (ready["trouble"], ready["is_current"]) == (None, True)
    assert any(line.startswith("regions: from score") for line in ready["words"])
    archive = client.get(f"/api/deployments/{ready['name']}").content
    assert len(archive) == ready["bytes"]
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        files.extractall(tmp_path)
    deployed = load_deployment(tmp_path / "deployed", threads=1)
    content = crowds[-1].path.read_bytes()
    tried = client.post(TRY, content=content).json()
    own = deployed.answer(content)
    assert len(tried["masks"]) == len(own["masks"]) >= 6
    assert [m["area"] for m in tried["masks"]] == [m["area"] for m in own["masks"]]
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(tried["overlay"]))))
    assert drawn.shape == (*own["size"], 4)
    covered = (drawn[..., 3] > 0).sum()
    assert covered == pytest.approx(sum(m["area"] for m in own["masks"]), rel=0.02)


def test_a_broken_image_is_refused_and_the_next_answered(
    client: TestClient, labelled: Service, crowds: list[LabelledImage]
) -> None:
    assert client.post(TRY, content=b"no model is ready").status_code == 404
    client.post("/api/deployments/model", json={"precision": 0.7})
    assert wait(client)["name"]
    refused = client.post(TRY, content=b"this is no image")
    assert refused.status_code == 422
    assert client.post(TRY, content=crowds[0].path.read_bytes()).json()["masks"]
    labelled.packer._child.kill()
    assert client.post(TRY, content=crowds[0].path.read_bytes()).json()["masks"]


def test_what_went_wrong_is_said_and_the_last_deployment_stays(
    client: TestClient, labelled: Service, tmp_path: Path
) -> None:
    client.post("/api/deployments/model", json={"precision": 0.7})
    first = wait(client)
    where = head_folder(labelled.project.folder, "regions", labelled.decoder.model_id)
    (where / "regions.onnx").write_bytes(b"damaged")
    client.post("/api/deployments/model", json={"precision": 0.7})
    told = wait(client)
    assert "regions.onnx is not a usable ONNX file" in told["trouble"]
    assert told["name"] == first["name"]
    assert not (labelled.packer.folder / ".model").exists()
    for _ in range(KEPT + 1):  # deployments of strokes
        deployed = tmp_path / "deployed"
        deployed.mkdir()
        (deployed / "card").write_text("strokes")
        keep_archive(labelled.packer.folder, deployed)
        shutil.rmtree(deployed)
    assert client.get("/api/deployments/model").json()["name"] == first["name"]
    assert len(list(labelled.packer.folder.glob("*.zip"))) == KEPT + 1


def test_a_deployment_that_a_killed_server_left_is_said(service: Service) -> None:
    (service.packer.folder / ".model").mkdir(parents=True)
    again = Packer(service.project, service.events)
    assert "the server ended while" in (again.trouble or "")
    assert not (again.folder / ".model").exists()
    (again.folder / "model.json").write_text("[]")
    assert again.ready() is None

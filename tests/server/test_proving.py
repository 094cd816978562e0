"""A classifier is judged, given rules, tried and carried away over HTTP."""

import base64
import io
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from maskmill.deploy import load_deployment
from maskmill.server.service import Service

from .drawing import put_mask, square
from .scribbling import GROUND, RED, SQUARE, Drawer, picture


@pytest.fixture
def database_kind() -> str:
    """One database: what the two do differently, the store's own tests look at."""
    return "sqlite"


@pytest.fixture
def drawer(service: Service, client: TestClient) -> Drawer:
    made = Drawer(service, client)
    made.put(0, (made.red, RED), (0, GROUND))
    made.trained()
    return made


def post(client: TestClient, path: str, **body: Any) -> Any:
    answer = client.post(path, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def label(drawer: Drawer, place: int, *box: int, category: int | None = None) -> None:
    put_mask(
        drawer.client,
        image_id=drawer.images[place],
        mask=square(*box),
        category_id=drawer.red if category is None else category,
    )


def test_what_is_labelled_and_not_drawn_on_judges(drawer: Drawer) -> None:
    bare = post(drawer.client, "/api/scribbles/check")
    assert bare["strokes"] is bare["masks"] is None
    assert bare["images"] == []
    label(drawer, 0, 12, 10, 40, 30)  # it carries strokes: it was learned from
    label(drawer, 1, 11, 10, 40, 30)
    drawer.put(2, (drawer.red, [[20.0, 20.0], [24.0, 24.0]]), (0, [[4.0, 50.0], [30.0, 52.0]]))
    drawer.trained(2)
    told = post(drawer.client, "/api/scribbles/check")
    assert [each["image_id"] for each in told["images"]] == [drawer.images[1]]
    assert told["images"][0]["iou"] > 0.8
    assert told["masks"]["categories"] == ["background", "red"]
    assert sum(map(sum, told["masks"]["counts"])) == 48 * 64
    assert told["strokes"]["iou"][1] is not None
    assert told["unjudged"] == []


def test_what_strokes_made_does_not_judge_strokes(drawer: Drawer) -> None:
    image_id = drawer.images[1]
    body = {"op_id": str(uuid4()), "refined": False}
    made = post(drawer.client, f"/api/images/{image_id}/segmented/masks", json=body)
    assert made["made"] >= 1
    for mask in drawer.client.get(f"/api/images/{image_id}/annotations").json()["annotations"]:
        yes = {"op_id": str(uuid4()), "base_version": mask["version"], "verdict": "accepted"}
        post(drawer.client, f"/api/annotations/{mask['id']}/review", json=yes)
    assert post(drawer.client, "/api/scribbles/check")["images"] == []


def test_rules_are_suggested_on_labelled_images_and_not_kept(drawer: Drawer) -> None:
    refused = drawer.client.post("/api/rules/suggest")
    assert refused.status_code == 422
    assert "label at least two" in refused.json()["error"]
    label(drawer, 1, 11, 10, 40, 30)
    upright = square(18, 12, 38, 40, (64, 48))
    put_mask(drawer.client, image_id=drawer.images[2], mask=upright, category_id=drawer.red)
    told = post(drawer.client, "/api/rules/suggest")
    assert told["images"] == 2
    assert [each["category"] for each in told["gains"]] == ["red"]
    assert told["gains"][0]["after"] >= told["gains"][0]["before"]
    assert drawer.client.get("/api/rules").json()["version"] == 0


def test_an_image_is_tried_and_not_kept(drawer: Drawer, photos: Path) -> None:
    pixels = np.asarray(Image.open(photos / "b.png"))[:, ::-1]
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    rules = {"decisions": [{"rule": "count", "category": "red", "most": 0}]}
    body = {"op_id": str(uuid4()), "base_version": 0, "rules": rules}
    assert drawer.client.put("/api/rules", json=body).status_code == 200
    before = drawer.client.get("/api/images").json()["total"]
    told = post(drawer.client, "/api/scribbles/try", content=stream.getvalue())
    labels = picture(base64.b64decode(told["labels"]))
    assert (labels[SQUARE[0], 24:52] == 1).mean() > 0.9
    assert told["passed"] is False
    assert "red" in told["reasons"][0]
    assert told["seconds"] > 0
    assert drawer.client.get("/api/images").json()["total"] == before
    refused = drawer.client.post("/api/scribbles/try", content=b"no image")
    assert refused.status_code == 422


def test_a_deployment_is_fetched_and_says_what_the_project_says(
    drawer: Drawer, photos: Path, tmp_path: Path
) -> None:
    left = drawer.service.project.folder / "deployments" / ".part" / "deployed"
    left.mkdir(parents=True)
    (left / "half.onnx").write_bytes(b"a killed server's")
    made = post(drawer.client, "/api/deployments")
    assert made["categories"] == ["background", "red"]
    again = post(drawer.client, "/api/deployments")
    older = drawer.client.get(f"/api/deployments/{made['name']}")
    assert older.status_code == 200, "somebody may still have the link"
    answer = drawer.client.get(f"/api/deployments/{again['name']}")
    assert len(answer.content) == again["bytes"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    content = (photos / "b.png").read_bytes()
    found = load_deployment(tmp_path / "deployed", threads=1).answer(content)
    told = post(drawer.client, "/api/scribbles/try", content=content)
    shown = picture(base64.b64decode(told["labels"]))
    assert sum(mask["area"] for mask in found["masks"]) == (shown == 1).sum() > 0
    assert not list((drawer.service.project.folder / "deployments").glob(".*"))


def test_rules_that_do_not_fit_are_no_reason_to_deploy_without_them(
    drawer: Drawer, photos: Path
) -> None:
    rules = {"categories": {"gone": [{"rule": "min_area", "area": 5}]}}
    body = {"op_id": str(uuid4()), "base_version": 0, "rules": rules}
    assert drawer.client.put("/api/rules", json=body).status_code == 200
    refused = drawer.client.post("/api/deployments")
    assert refused.status_code == 422
    assert "nothing was deployed" in refused.json()["error"]
    assert "gone" in refused.json()["error"]
    content = (photos / "b.png").read_bytes()
    told = post(drawer.client, "/api/scribbles/try", content=content)
    assert "the rules are not applied" in told["warnings"][-1]


def test_nothing_is_said_of_strokes_that_are_still_to_be_learned(
    drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(drawer.service.scribbler), "learning", True)
    for path in ("scribbles/check", "rules/suggest", "deployments"):
        answer = drawer.client.post(f"/api/{path}")
        assert answer.status_code == 503, path
        assert int(answer.headers["retry-after"]) > 0


def test_a_new_stroke_is_being_learned_until_it_was(drawer: Drawer) -> None:
    assert not drawer.service.scribbler.learning
    drawer.put(1, (drawer.red, RED), (0, GROUND))
    assert drawer.service.scribbler.learning
    drawer.trained(2)
    assert not drawer.service.scribbler.learning


def test_nothing_is_said_of_what_nobody_has_drawn(client: TestClient) -> None:
    for path in ("scribbles/check", "rules/suggest", "deployments"):
        answer = client.post(f"/api/{path}")
        assert answer.status_code == 404, path
        assert "draw strokes" in answer.json()["error"]
    assert client.get("/api/deployments/..%2Fproject.db").status_code == 404
    assert client.get("/api/deployments/deployment-0123456789ab.zip").status_code == 404

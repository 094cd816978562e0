"""Exports over HTTP: what was painted is what comes out."""

import io
import json
import zipfile

import pytest
from starlette.testclient import TestClient

from maskmill.exchange import WRITERS
from maskmill.server import exports
from maskmill.server.service import Service

from .drawing import put_mask, square


def export(client: TestClient, **asked: object) -> dict[str, object]:
    answer = client.post("/api/exports", json={"format": "coco", **asked})
    assert answer.status_code == 200, answer.text
    made: dict[str, object] = answer.json()
    return made


def test_the_mask_that_was_painted_is_the_mask_that_is_exported(client: TestClient) -> None:
    cat = client.post("/api/categories", json={"name": "cat"}).json()["id"]
    put_mask(client, category_id=cat)
    put_mask(client, mask=square(0, 0, 5, 5))
    made = export(client, category="cat")
    assert (made["images"], made["masks"]) == (1, 1)
    answer = client.get(str(made["url"]))
    assert "attachment" in answer.headers["content-disposition"]
    coco = json.loads(answer.content)
    (annotation,) = coco["annotations"]
    assert annotation["segmentation"] == square(10, 10, 40, 30)
    assert [image["file_name"] for image in coco["images"]] == ["a.jpg"]
    (listed,) = client.get("/api/exports").json()["exports"]
    assert listed["name"] == made["name"]


@pytest.mark.parametrize("form", WRITERS)
def test_every_form_can_be_fetched(client: TestClient, form: str) -> None:
    put_mask(client)
    made = export(client, format=form, copy_images=True)
    content = client.get(str(made["url"])).content
    assert len(content) == made["bytes"]
    if str(made["name"]).endswith(".zip"):
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
        assert any(name.endswith("a.jpg") for name in names)


def test_what_does_not_exist_is_refused_and_leaves_nothing(
    client: TestClient, service: Service
) -> None:
    for wrong in ({"format": "../../x"}, {"category": "dog"}, {"source": "nowhere"}):
        answer = client.post("/api/exports", json={"format": "coco", **wrong})
        assert answer.status_code == 422, wrong
    assert not list((service.project.folder / "exports").iterdir())
    assert client.get("/api/exports/coco-000000000000.json").status_code == 404


def test_only_the_latest_are_kept_and_one_is_written_at_a_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "KEPT", 2)
    names = [export(client)["name"] for _ in range(3)]
    kept = [each["name"] for each in client.get("/api/exports").json()["exports"]]
    assert sorted(kept) == sorted(names[1:])
    with exports._ONE_AT_A_TIME:
        assert client.post("/api/exports", json={"format": "coco"}).status_code == 503

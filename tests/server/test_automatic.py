"""Stage 3 and its audit over HTTP: label the rest, draw a sample, answer for each mask."""

import time
import uuid
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from maskmill.server.service import Service

from .drawing import first_image, put_mask


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # it takes a while
def test_the_rest_is_labelled_and_a_sample_of_it_judged(
    service: Service, client: TestClient
) -> None:
    put_mask(client)
    assert client.get("/api/quality").status_code == 404
    assert client.post("/api/quality", json={"masks": 5}).status_code == 422
    begun = client.post("/api/label", json={"precision": 0.9}).json()
    assert begun["running"]
    assert client.post("/api/label", json={}).status_code == 422, "one at a time"
    end = time.monotonic() + 180
    while (told := client.get("/api/label").json())["running"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (told["done"], told["total"]) == (2, 2), told
    assert "no hold-out image is labelled" in told["words"][0]
    made = [i for i in client.get("/api/images").json()["images"] if i["id"] != first_image(client)]
    assert any(image["mask_count"] for image in made), "squares of another colour are found"

    drawn = client.post("/api/quality", json={"masks": 2, "images": 9}).json()
    assert (drawn["number"], drawn["done"]) == (1, 0)
    assert [image["id"] for image in drawn["images"]] == sorted(image["id"] for image in made)
    assert not any(image["answered"] for image in drawn["images"])
    looked = 0
    while (task := client.get("/api/quality/next").json())["annotations"]:
        assert task["left"] == drawn["drawn"] - looked
        assert task["whole"], "every image was drawn"
        key, image_id = task["annotations"][0], task["image"]["id"]
        masks = client.get(f"/api/images/{image_id}/annotations").json()["annotations"]
        (mask,) = [m for m in masks if m["id"] == key]
        answer = {
            "op_id": str(uuid.uuid4()),
            "base_version": mask["version"],
            "verdict": "accepted",
        }
        assert client.post(f"/api/annotations/{key}/review", json=answer).status_code == 200
        looked += 1
    assert looked == drawn["drawn"]
    assert task["image"]["id"] == drawn["images"][0]["id"]
    assert task["whole"], "what waits now are images, not masks"
    last = drawn["images"][-1]["id"]
    asked = client.get("/api/quality/next", params={"image_id": last}).json()
    assert (asked["image"]["id"], asked["annotations"]) == (last, [])
    client.post("/api/quality/found", json={"image_id": last, "missing": 1})
    said = client.get("/api/quality").json()
    assert [image["answered"] for image in said["images"]] == [False, True]
    assert said["at_random"]
    assert (said["recall_low"], said["recall_high"]) == (None, None), "of few images"
    assert said["done"] == drawn["drawn"]
    assert [each["share"] for each in said["shares"]] == [1.0, 1.0]
    assert (said["images_asked"], said["images_complete"]) == (1, 0.0)
    client.post("/api/quality/found", json={"image_id": drawn["images"][0]["id"]})
    assert client.get("/api/quality/next").json()["image"] is None
    said = client.get("/api/quality").json()
    assert said["recall"] is not None
    elsewhere = client.get("/api/quality/next", params={"image_id": first_image(client)})
    assert elsewhere.status_code == 404, "it was not drawn"
    assert Path(service.project.folder / "labelling" / "chosen.json").is_file()


def test_what_cannot_be_is_refused(client: TestClient) -> None:
    assert client.post("/api/label/cancel").status_code == 422
    assert client.post("/api/label", json={"precision": 0}).status_code == 422
    assert client.post("/api/quality/found", json={"image_id": 99, "missing": 0}).status_code == 404

"""Masks over HTTP: made once, changed by version, never lost, several at once or none."""

import uuid
from typing import Any

import pytest
from starlette.testclient import TestClient

from maskmill.server.service import Service
from maskmill.store.verify import verify

from .conftest import Browser
from .drawing import MADE, first_image, put_mask, square


def living(client: TestClient) -> list[dict[str, Any]]:
    answer = client.get(f"/api/images/{first_image(client)}/annotations")
    found: list[dict[str, Any]] = answer.json()["annotations"]
    return found


def test_a_mask_comes_back_as_it_was_sent(client: TestClient, service: Service) -> None:
    key = str(uuid.uuid4())
    prompts = [{"points": [[20.5, 15.0]], "labels": [1]}]
    model_id = client.get("/api/model").json()["id"]
    made = {**MADE, "model_id": model_id, "prompts": prompts, "predicted_iou": 0.91}
    made |= {"candidates": {"predicted_iou": [0.5, 0.91, 0.7], "taken": 1}}
    put_mask(client, key, made=made, attributes={"blurred": True})
    (found,) = living(client)
    assert found["id"] == key
    assert found["mask"] == square(10, 10, 40, 30)
    assert (found["bbox"], found["area"], found["version"]) == ([10, 10, 30, 20], 600, 1)
    told = {**made, "made_by": "person", "stage": "assisted", "stability_score": None}
    assert found["made"] == {**told, "author": client.get("/api/session").json()["name"]}
    assert found["attributes"] == {"blurred": True}
    assert client.get(f"/api/annotations/{key}").json() == found
    assert not list(verify(service.project))


def test_an_operation_asked_again_is_answered_as_the_first_time(client: TestClient) -> None:
    key, operation = str(uuid.uuid4()), str(uuid.uuid4())
    first = put_mask(client, key, op_id=operation)
    client.delete(f"/api/annotations/{key}", params={"op_id": "gone", "base_version": 1})
    assert put_mask(client, key, op_id=operation) == first
    assert living(client) == []


def test_an_operation_id_used_for_something_else_is_refused(client: TestClient) -> None:
    put_mask(client, op_id="same")
    body = {"op_id": "same", "base_version": 0, "image_id": first_image(client), "made": MADE}
    answer = client.put(
        f"/api/annotations/{uuid.uuid4()}", json={**body, "mask": square(0, 0, 5, 5)}
    )
    assert answer.status_code == 422
    assert "each its own id" in answer.json()["error"]


def test_a_stale_change_is_answered_with_both_versions(client: TestClient) -> None:
    made = put_mask(client)
    url = f"/api/annotations/{made['id']}"
    mine = {"op_id": "mine", "base_version": 1, "mask": square(0, 0, 9, 9), "made": MADE}
    theirs = {"op_id": "theirs", "base_version": 1, "mask": square(5, 5, 20, 20), "made": MADE}
    assert client.put(url, json=theirs).json()["version"] == 2
    answer = client.put(url, json=mine)
    assert answer.status_code == 409
    told = answer.json()
    assert told["current"]["mask"] == theirs["mask"]
    assert told["attempted"][0]["change"]["mask"] == mine["mask"]
    assert living(client)[0]["mask"] == theirs["mask"]
    assert client.put(url, json={**mine, "op_id": "again", "base_version": 2}).status_code == 200
    history = client.get(f"{url}/history").json()["annotations"]
    assert [each["version"] for each in history] == [1, 2, 3]


def test_two_new_masks_under_one_uuid_are_a_conflict(client: TestClient) -> None:
    made = put_mask(client)
    body = {"op_id": "b", "base_version": 0, "image_id": made["image_id"], "made": MADE}
    answer = client.put(f"/api/annotations/{made['id']}", json={**body, "mask": square(1, 1, 3, 3)})
    assert answer.status_code == 409
    assert answer.json()["current"]["mask"] == made["mask"]
    assert len(living(client)) == 1


def test_a_category_changes_and_the_mask_stays(client: TestClient) -> None:
    made = put_mask(client)
    cat = client.post("/api/categories", json={"name": "cat"}).json()["id"]
    url = f"/api/annotations/{made['id']}"
    changed = client.put(url, json={"op_id": "1", "base_version": 1, "category_id": cat}).json()
    assert (changed["category_id"], changed["mask"]) == (cat, made["mask"])
    assert changed["made"] == made["made"]
    back = client.put(url, json={"op_id": "2", "base_version": 2, "category_id": None}).json()
    assert back["category_id"] is None


def test_deleting_is_a_tombstone_that_restoring_lifts(client: TestClient) -> None:
    made = put_mask(client)
    url = f"/api/annotations/{made['id']}"
    gone = client.delete(url, params={"op_id": "d", "base_version": 1}).json()
    assert (gone["deleted"], gone["version"]) == (True, 2)
    image_url = f"/api/images/{made['image_id']}/annotations"
    assert client.get(image_url, params={"deleted": True}).json()["annotations"] == [gone]
    back = client.post(f"{url}/restore", json={"op_id": "r", "base_version": 2}).json()
    assert (back["deleted"], back["mask"]) == (False, made["mask"])


def test_a_mask_is_split_as_one_operation_or_not_at_all(client: TestClient) -> None:
    made, half = put_mask(client), str(uuid.uuid4())
    left, right = square(10, 10, 25, 30), square(25, 10, 40, 30)
    edit = {"kind": "put", "base_version": 1, "mask": left, "made": MADE}
    create = {"kind": "put", "base_version": 0, "image_id": made["image_id"], "made": MADE}
    steps = [
        {"id": made["id"], "change": edit},
        {"id": half, "change": {**create, "mask": {**right, "counts": "nonsense"}}},
    ]
    broken = client.post("/api/operations", json={"op_id": "1", "changes": steps})
    assert broken.status_code == 422
    assert [each["mask"] for each in living(client)] == [made["mask"]]
    steps[1]["change"] = {**create, "mask": right}
    whole = client.post("/api/operations", json={"op_id": "2", "changes": steps})
    assert whole.status_code == 200
    assert [each["mask"] for each in living(client)] == [left, right]
    merge = [
        {"id": made["id"], "change": {**edit, "base_version": 2, "mask": made["mask"]}},
        {"id": half, "change": {"kind": "delete", "base_version": 1}},
    ]
    client.post("/api/operations", json={"op_id": "3", "changes": merge})
    assert [each["mask"] for each in living(client)] == [made["mask"]]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"mask": {"size": [48, 64], "counts": "\x00\x01"}}, 422),
        ({"mask": {"size": [48, 64], "counts": "é"}}, 422),
        ({"mask": square(0, 0, 2, 2, (10, 10))}, 422),
        ({"mask": square(0, 0, 0, 0)}, 422),
        ({"mask": {"size": [48], "counts": ""}}, 422),
        ({"image_id": 999_999}, 404),
        ({"image_id": "1"}, 422),
        ({"made": {**MADE, "model_id": "other"}}, 404),
        ({"made": {**MADE, "seconds": -1}}, 422),
        ({"made": None}, 422),
        ({"category_id": 999_999}, 404),
        ({"author": "somebody else"}, 422),
        ({"attributes": {"n": 2**80}}, 422),
        ({"attributes": {"a\x00": 1}}, 422),
    ],
)
def test_what_is_wrong_is_refused_in_a_sentence_and_nothing_is_written(
    client: TestClient, wrong: dict[str, Any], status: int
) -> None:
    body = {"op_id": "x", "base_version": 0, "image_id": first_image(client), "made": MADE}
    body |= {"mask": square(1, 1, 5, 5), **wrong}
    answer = client.put(f"/api/annotations/{uuid.uuid4()}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert living(client) == []


def test_new_masks_need_a_uuid_and_old_ones_may_have_a_number(
    client: TestClient, service: Service
) -> None:
    made = put_mask(client)
    number = service.project.keys.find(made["id"])
    assert client.get(f"/api/annotations/{number}").json() == made
    body = {"op_id": "x", "base_version": 0, "image_id": made["image_id"], "made": MADE}
    answer = client.put("/api/annotations/77", json={**body, "mask": square(1, 1, 5, 5)})
    assert answer.status_code == 422
    assert client.get(f"/api/annotations/{uuid.uuid4()}").status_code == 404
    assert client.get("/api/annotations/nobody").status_code == 422


def test_a_rejected_mask_returns_its_image_with_the_note(team: Service, browser: Browser) -> None:
    annotator, reviewer = browser("annotator"), browser("reviewer")
    made = put_mask(annotator)
    annotator.post(f"/api/images/{made['image_id']}/finish")
    body = {"op_id": "r", "base_version": 1, "verdict": "rejected", "note": "the tail is missing"}
    url = f"/api/annotations/{made['id']}/review"
    judged = reviewer.post(url, json=body).json()
    assert (judged["review"], judged["note"]) == ("rejected", "the tail is missing")
    assert judged["made"]["author"] == "annotator"
    assert reviewer.post(url, json=body).json() == judged
    image = annotator.get(f"/api/images/{made['image_id']}").json()
    assert (image["state"], image["note"]) == ("returned", "the tail is missing")
    redrawn = {"op_id": "m", "base_version": 2, "mask": square(8, 8, 40, 30), "made": MADE}
    again = annotator.put(f"/api/annotations/{made['id']}", json=redrawn).json()
    assert again["review"] is None

"""Strokes over HTTP: what is drawn trains, every image is looked at, and masks come of it."""

import base64
import threading
import time

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from maskmill.scribble.folder import AUTHOR
from maskmill.server.service import Service

from .scribbling import GROUND, RED, SQUARE, Drawer, picture, until


@pytest.fixture
def database_kind() -> str:
    """One database: what the two do differently, the store's own tests look at."""
    return "sqlite"


@pytest.fixture
def drawer(service: Service, client: TestClient) -> Drawer:
    return Drawer(service, client)


def test_two_strokes_on_one_image_segment_all(drawer: Drawer) -> None:
    assert drawer.standing()["run"] == 0
    drawn = drawer.put(0, (drawer.red, RED), (0, GROUND))
    assert drawn["version"] == 1
    told = drawer.trained()
    assert [each["name"] for each in told["classes"]] == ["background", "red"]
    assert told["classes"][1]["category_id"] == drawer.red
    assert told["drawn_on"] == [drawer.images[0]]
    assert all(0 <= each["doubt"] < 1 and each["passed"] is None for each in told["found"])
    other = f"/api/images/{drawer.images[1]}/segmented"
    labels = picture(drawer.client.get(other).content)
    assert labels.shape == (48, 64)
    assert (labels[SQUARE] == 1).mean() > 0.9
    assert (labels[34:] == 0).mean() > 0.9
    doubt = picture(drawer.client.get(other, params={"what": "doubt"}).content)
    assert doubt.shape == (48, 64)
    close = drawer.client.post(other, json={"full": True}).json()
    assert picture(base64.b64decode(close["labels"])).shape == (48, 64)
    assert picture(base64.b64decode(close["doubt"])).shape == (48, 64), "of every pixel"
    assert close["run"] == told["run"]
    turned = drawer.client.get(f"/api/images/{drawer.images[2]}/segmented").content
    assert picture(turned).shape == (64, 48), "upright, as browsers show it"


def test_another_stroke_trains_again_and_its_removal_is_an_undo(drawer: Drawer) -> None:
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    first = drawer.trained()
    drawer.put(0, (drawer.red, RED), (0, GROUND), (0, [[50.0, 4.0]]))
    second = drawer.trained(first["run"] + 1)
    assert second["run"] == first["run"] + 1
    drawer.put(0, (drawer.red, RED))
    told = until(lambda: (t := drawer.standing())["trouble"] and t)
    assert "only red is marked" in told["trouble"]
    assert told["classes"] == told["found"] == [], "what was known is not of these strokes"
    assert drawer.client.get(f"/api/images/{drawer.images[1]}/segmented").status_code == 404
    drawer.put(0)
    told = until(lambda: (t := drawer.standing())["trouble"] is None and t)
    assert told["drawn_on"] == []


def test_nothing_is_known_before_the_first_stroke(drawer: Drawer) -> None:
    answer = drawer.client.get(f"/api/images/{drawer.images[0]}/segmented")
    assert answer.status_code == 404
    assert "draw strokes of two categories" in answer.json()["error"]
    told = drawer.standing()
    assert told["drawn_on"] == told["found"] == []


def test_of_two_who_draw_the_second_is_told(drawer: Drawer) -> None:
    here = f"/api/images/{drawer.images[0]}/strokes"
    stroke = {"category_id": 0, "width": 3.0, "points": GROUND}
    body = {"op_id": "first", "base_version": 0, "strokes": [stroke]}
    first = drawer.client.put(here, json=body)
    assert drawer.client.put(here, json=body).json() == first.json(), "a repeat"
    other = drawer.client.put(here, json={**body, "op_id": "second"})
    assert other.status_code == 409
    assert "drew on image" in other.json()["error"]
    assert other.json()["attempted"] == [stroke]
    missing = drawer.client.put("/api/images/999/strokes", json=body)
    assert missing.status_code == 404


def test_rules_decide_and_are_tried_before_they_are_kept(drawer: Drawer) -> None:
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    drawer.trained()
    decision = {"rule": "area_share", "category": "red", "least": 0.0, "most": 0.01}
    rules = {"version": 1, "categories": {}, "decisions": [decision]}
    here = f"/api/images/{drawer.images[1]}/segmented"
    tried = drawer.client.post(here, json={"rules": rules}).json()
    assert tried["passed"] is False
    assert "red covers" in tried["reasons"][0]
    assert drawer.client.post(here, json={}).json()["passed"] is None, "nothing was kept"

    asked = {"op_id": "rules", "base_version": 0, "rules": rules}
    assert drawer.client.put("/api/rules", json=asked).json()["version"] == 1
    told = until(lambda: (t := drawer.trained()) and t["found"][0]["passed"] is False and t)
    assert all(each["passed"] is False and each["reasons"] for each in told["found"])
    stale = drawer.client.put("/api/rules", json={**asked, "op_id": "late"})
    assert stale.status_code == 409
    wrong = {**asked, "op_id": "wrong", "base_version": 1, "rules": {"categories": {"red": 3}}}
    refused = drawer.client.put("/api/rules", json=wrong)
    assert refused.status_code == 422
    assert "these are no rules" in refused.json()["error"]

    foreign = {**rules, "decisions": [{**decision, "category": "blue"}]}
    drawer.client.put("/api/rules", json={"op_id": "f", "base_version": 1, "rules": foreign})
    told = until(lambda: (t := drawer.standing())["warnings"] and t)
    assert any("the rules are not applied" in warning for warning in told["warnings"])


def test_masks_are_made_once_and_made_again_where_nobody_touched_them(drawer: Drawer) -> None:
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    drawer.trained()
    here = f"/api/images/{drawer.images[1]}/segmented/masks"
    first = drawer.client.post(here, json={"op_id": "make"}).json()
    assert first["made"] >= 1
    assert first["replaced"] == 0
    assert drawer.client.post(here, json={"op_id": "make"}).json() == first, "a repeat"
    masks = drawer.service.project.annotations.of_image(drawer.images[1])
    assert len(masks) == first["made"]
    largest = max(masks, key=lambda mask: mask.area)
    assert (largest.category_id, largest.made.author) == (drawer.red, AUTHOR)
    assert (largest.made.made_by, largest.made.stage) == ("model", "automatic")
    verdict = {"op_id": "good", "base_version": largest.version, "verdict": "accepted"}
    drawer.client.post(f"/api/annotations/{largest.id}/review", json=verdict)
    again = drawer.client.post(here, json={"op_id": "again", "refined": True}).json()
    assert again["replaced"] == first["made"] - 1, "what somebody accepted stays"
    assert again["there"] == 1, "and is not laid over it once more"
    assert again["made"] == first["made"] - 1
    living = drawer.service.project.annotations.of_image(drawer.images[1])
    assert largest.id in {mask.id for mask in living}

    full = drawer.client.post(here, json={"op_id": "full", "full": True}).json()
    assert full["replaced"] == again["made"]
    union = [
        {m.rle for m in drawer.service.project.annotations.of_image(drawer.images[1])},
        {m.rle for m in living},
    ]
    assert len(union[0] & union[1]) == 1, "only the accepted one is the same: pixels are finer"


def test_strokes_of_a_category_that_was_put_away_are_left_out(drawer: Drawer) -> None:
    blue = drawer.client.post("/api/categories", json={"name": "blue"}).json()["id"]
    drawer.put(0, (drawer.red, RED), (0, GROUND), (blue, [[50.0, 6.0], [60.0, 10.0]]))
    assert len(drawer.trained()["classes"]) == 3
    assert drawer.client.delete(f"/api/categories/{blue}").status_code == 204
    drawer.put(1, (0, GROUND))
    told = drawer.trained(2)
    assert [each["name"] for each in told["classes"]] == ["background", "red"]
    kept = drawer.client.get(f"/api/images/{drawer.images[0]}/strokes").json()
    assert len(kept["strokes"]) == 3, "nothing that was drawn is lost"


def test_a_category_that_is_renamed_is_learned_by_its_new_name(drawer: Drawer) -> None:
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    first = drawer.trained()
    drawer.client.patch(f"/api/categories/{drawer.red}", json={"name": "crimson"})
    told = drawer.trained(first["run"] + 1)
    assert [each["name"] for each in told["classes"]] == ["background", "crimson"]
    assert told["classes"][1]["category_id"] == drawer.red


def test_nobody_is_told_what_is_no_news(drawer: Drawer) -> None:
    told: list[str] = []
    events = drawer.service.events
    events.tell = lambda kind, **data: told.append(kind)  # type: ignore[method-assign,assignment]
    for _ in range(5):  # as pages do that hear of something
        drawer.standing()
        time.sleep(0.3)
    assert told.count("scribble") <= 2


def test_an_image_that_is_added_is_looked_at_without_another_stroke(drawer: Drawer) -> None:
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    run = drawer.trained()["run"]
    made = cv2.imencode(".png", np.full((40, 50, 3), 90, np.uint8))[1].tobytes()
    kind = {"content-type": "image/png"}
    added = drawer.client.post("/api/images", params={"name": "x"}, content=made, headers=kind)
    drawer.images.append(added.json()["id"])
    told = drawer.trained()
    assert told["run"] == run
    assert drawer.images[-1] == told["found"][-1]["image_id"], "the others are not looked at again"


def test_full_resolution_stands_back_behind_whatever_else_is_asked(drawer: Drawer) -> None:
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    drawer.trained()
    scribbler, here = drawer.service.scribbler, f"/api/images/{drawer.images[1]}/segmented"
    child = scribbler._free.get()  # somebody else is being answered
    busy = drawer.client.post(here, json={"full": True})
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "2")
    assert drawer.client.post(here, json={}).json()["doubt"] is None, "cells wait for nobody"
    scribbler._free.put(child)
    scribbler._phase = "looking"
    assert drawer.client.post(here, json={"full": True}).status_code == 503
    scribbler._phase = "idle"
    assert drawer.client.post(here, json={"full": True}).status_code == 200


def test_a_stroke_outside_of_the_image_is_named_and_what_is_known_stays(drawer: Drawer) -> None:
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    run = drawer.trained()["run"]
    drawer.put(0, (drawer.red, RED), (0, GROUND), (0, [[64.0, 3.0]]))
    told = until(lambda: (t := drawer.standing())["trouble"] and t)
    assert "lies outside" in told["trouble"]
    assert told["run"] == run
    assert len(told["classes"]) == 2
    assert len(told["found"]) == len(drawer.images)


def test_that_the_last_stroke_went_is_told(drawer: Drawer) -> None:
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    drawer.trained()
    told: list[str] = []
    events = drawer.service.events
    events.tell = lambda kind, **data: told.append(kind)  # type: ignore[method-assign,assignment]
    drawer.put(0)
    until(lambda: "scribble" in told)
    assert drawer.standing()["classes"] == []


def test_trouble_is_told_before_all_features_are_made(
    drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = threading.Event()
    monkeypatch.setattr(drawer.service.scribbler, "_prepare", made.wait)
    drawer.put(0, (drawer.red, RED))
    told = until(lambda: (t := drawer.standing())["phase"] == "idle" and t["trouble"] and t)
    made.set()
    assert "only red is marked" in told["trouble"]


def test_another_model_and_a_dead_child_train_again(drawer: Drawer) -> None:
    scribbler = drawer.service.scribbler
    drawer.put(0, (drawer.red, RED), (0, GROUND))
    first = drawer.trained()
    for child in scribbler._children:
        child.kill()
    image = drawer.service.project.images.get(drawer.images[1])
    assert scribbler.close(image, None).labels, "a new process is told the classifier first"
    scribbler.use("tiny")
    assert drawer.trained(first["run"] + 1)["trouble"] is None

"""Numbers over HTTP: seconds per mask and masks per image, as they were told."""

from starlette.testclient import TestClient

from maskmill.server.service import Service

from .conftest import Browser
from .drawing import MADE, put_mask, square


def test_effort_is_added_up_by_day_person_and_model(team: Service, browser: Browser) -> None:
    ann, bob = browser("annotator"), browser("reviewer")
    model_id = ann.get("/api/model").json()["id"]
    put_mask(ann, made={"seconds": 4, "clicks": 1})
    put_mask(ann, made={"seconds": 8, "clicks": 3, "edits": 2, "model_id": model_id})
    put_mask(bob, made=MADE, mask=square(0, 0, 9, 9))
    gone = put_mask(bob, made={"seconds": 1000, "clicks": 9})
    bob.delete(f"/api/annotations/{gone['id']}", params={"op_id": "d", "base_version": 1})
    found = ann.get("/api/statistics").json()
    assert (found["images"], found["images_with_masks"], found["masks"]) == (3, 1, 3)
    assert found["states"] == {"open": 3, "in_review": 0, "returned": 0, "complete": 0}
    people = {row["key"]: row for row in found["by_person"]}
    assert people["annotator"] == {
        "key": "annotator",
        "masks": 2,
        "images": 1,
        "timed_masks": 2,
        "seconds": 12.0,
        "clicks": 4,
        "edits": 2,
    }
    assert [row["key"] for row in found["by_model"]] == ["", model_id]
    (day,) = found["by_day"]
    assert (day["masks"], day["images"], day["seconds"]) == (3, 1, 15.5)
    keys = [row["key"] for row in found["by_day_and_person"]]
    assert keys == [f"{day['key']} annotator", f"{day['key']} reviewer"]


def test_days_begin_where_the_reader_lives(client: TestClient) -> None:
    put_mask(client)
    days = {
        client.get("/api/statistics", params={"utc_offset_minutes": minutes}).json()["by_day"][0][
            "key"
        ]
        for minutes in (-1440, 0, 1440)
    }
    assert len(days) == 3
    assert client.get("/api/statistics", params={"utc_offset_minutes": 9999}).status_code == 422

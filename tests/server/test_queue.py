"""The flow: different people get different images, and work comes back with a note."""

from starlette.testclient import TestClient

from maskmill.server.service import Service
from maskmill.store.work import LEASE_SECONDS

from .conftest import Browser
from .drawing import put_mask


def asked(client: TestClient, path: str = "next", **body: int) -> tuple[str | None, str | None]:
    """Ask for the next image; returns its name and why."""
    answer = client.post(f"/api/queue/{path}", json=body).json()
    return answer["image"] and answer["image"]["name"], answer["reason"]


def test_two_people_get_different_images(team: Service, browser: Browser) -> None:
    ann, bob, eve = browser("annotator"), browser("reviewer"), browser("admin")
    assert asked(ann) == ("a.jpg", "unlabelled")
    assert asked(bob) == ("b.png", "unlabelled")
    assert asked(ann) == ("a.jpg", "unlabelled")  # still hers
    assert asked(eve) == ("c.jpg", "unlabelled")
    client = browser("admin")
    (image, *_) = client.get("/api/images").json()["images"]
    assert image["leased_by"] == "annotator"
    refused = client.put(f"/api/images/{image['id']}/lease")
    assert refused.status_code == 409
    assert "annotator works on image" in refused.json()["error"]
    ann.delete(f"/api/images/{image['id']}/lease")
    held = client.put(f"/api/images/{image['id']}/lease").json()
    assert held["seconds"] == LEASE_SECONDS


def test_from_labelling_to_review_and_back(team: Service, browser: Browser) -> None:
    ann, reviewer = browser("annotator"), browser("reviewer")
    assert asked(reviewer, "review") == (None, None)
    made = put_mask(ann)
    url = f"/api/images/{made['image_id']}"
    assert ann.post(f"{url}/finish").json()["state"] == "in_review"
    assert asked(reviewer, "review") == ("a.jpg", "in_review")
    told = reviewer.post(f"{url}/review", json={"all_found": False, "note": "one is missing"})
    assert told.json()["state"] == "returned"
    answer = ann.post("/api/queue/next", json={}).json()
    assert (answer["reason"], answer["image"]["note"]) == ("returned", "one is missing")
    ann.post(f"{url}/finish")
    done = reviewer.post(f"{url}/review", json={"all_found": True}).json()
    assert (done["state"], done["note"]) == ("complete", None)
    assert asked(ann) == ("b.png", "unlabelled")
    assert reviewer.post(f"{url}/reopen").json()["state"] == "open"
    assert asked(ann, after=10**6)[0] == "b.png"  # unlabelled ones come before begun ones


def test_a_rejected_mask_returns_its_image_whatever_else_is_found(
    team: Service, browser: Browser
) -> None:
    ann, reviewer = browser("annotator"), browser("reviewer")
    made = put_mask(ann)
    url = f"/api/images/{made['image_id']}"
    ann.post(f"{url}/finish")
    verdict = {
        "op_id": "1",
        "base_version": made["version"],
        "verdict": "rejected",
        "note": "loose",
    }
    answer = reviewer.post(f"/api/annotations/{made['id']}/review", json=verdict)
    assert answer.status_code == 200, answer.text
    told = reviewer.post(f"{url}/review", json={"all_found": True}).json()
    assert (told["state"], told["note"]) == ("returned", "loose")
    told = reviewer.post(f"{url}/review", json={"all_found": False, "note": "one more"}).json()
    assert (told["state"], told["note"]) == ("returned", "one more; loose")


def test_assigned_images_come_first_and_go_to_nobody_else(team: Service, browser: Browser) -> None:
    ann, reviewer = browser("annotator"), browser("reviewer")
    ids = [image["id"] for image in reviewer.get("/api/images").json()["images"]]
    body = {"image_ids": [ids[0], ids[2]], "name": "reviewer"}
    assert reviewer.post("/api/assignments", json=body).status_code == 204
    assert asked(ann) == ("b.png", "unlabelled")
    assert asked(reviewer, after=ids[0]) == ("c.jpg", "assigned")
    mine = reviewer.get("/api/images", params={"assigned_to": "reviewer"}).json()
    assert [image["id"] for image in mine["images"]] == [ids[0], ids[2]]
    assert reviewer.post("/api/assignments", json={**body, "name": None}).status_code == 204
    unknown = reviewer.post("/api/assignments", json={**body, "name": "nobody"})
    assert unknown.status_code == 404
    gone = reviewer.post("/api/assignments", json={**body, "image_ids": [ids[1], 10**6]})
    assert gone.status_code == 404
    assert ann.get(f"/api/images/{ids[1]}").json()["assigned_to"] is None


def test_what_lies_around_an_image_is_said_and_not_taken(team: Service, browser: Browser) -> None:
    ann, bob = browser("annotator"), browser("reviewer")
    first, second, third = (each["id"] for each in ann.get("/api/images").json()["images"])
    asked(bob)  # holds the first
    told = ann.get(f"/api/images/{second}/around").json()
    assert [told[side]["id"] for side in ("before", "behind", "queued")] == [first, third, third]
    assert ann.get(f"/api/images/{third}").json()["leased_by"] is None
    told = ann.get(f"/api/images/{third}/around").json()
    assert (told["behind"], told["queued"]["id"]) == (None, second)
    assert ann.get(f"/api/images/{first}/around").json()["before"] is None
    assert ann.get("/api/images/1000000/around").status_code == 404


def test_what_is_next_is_embedded_next(client: TestClient, service: Service) -> None:
    asked(client)
    first = client.get("/api/images").json()["images"][1]["id"]
    client.post("/api/queue/next", json={"after": first})
    found = service.embedder._next()
    assert found is not None
    assert found[0].id == first + 1

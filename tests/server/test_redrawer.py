"""Pre-filled masks follow over HTTP, and whoever changes one at that moment goes before."""

import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture
from rims import NARROW, PLACES, WIDE, disc, near, picture
from starlette.testclient import TestClient

from maskmill import rle
from maskmill.rle import Rle
from maskmill.server.ingesting import ingest
from maskmill.server.service import Service
from maskmill.store import Create, Made

from .drawing import MADE, put_mask

NOTHING: dict[str, Any] = {"annotations": [], "regions": []}
BY_MODEL = Made(made_by="model", author="regions", stage="semi", predicted_iou=0.8)


@pytest.fixture
def discs(service: Service, tmp_path: Path) -> int:
    """An image with a narrow pre-filled mask on each disc."""
    path = tmp_path / "discs" / "discs.png"
    path.parent.mkdir()
    Picture.fromarray(picture()).save(path)
    ingest(service, path.parent, threading.Event())
    (image,) = service.project.images.by_path([str(path)]).values()
    made = [Create(image_id=image.id, rle=mask, made=BY_MODEL) for mask in NARROW]
    service.project.annotations.apply("prefill", made, by="regions")
    return image.id


def there(client: TestClient, image: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/api/images/{image}/annotations").json()[
        "annotations"
    ]
    return found


def as_sent(mask: Rle) -> dict[str, Any]:
    return {"size": list(mask.size), "counts": mask.counts.decode()}


def mend(client: TestClient, key: str, version: int, mask: Rle, op: str) -> Any:
    body = {"op_id": op, "base_version": version, "mask": as_sent(mask), "made": MADE}
    return client.put(f"/api/annotations/{key}", json=body)


def masks(found: list[dict[str, Any]]) -> dict[int, Rle]:
    sizes = [(each["mask"]["size"], each["mask"]["counts"]) for each in found]
    return {i: Rle((size[0], size[1]), counts.encode()) for i, (size, counts) in enumerate(sizes)}


def test_the_rest_follows_and_its_pages_are_told(
    client: TestClient, service: Service, discs: int
) -> None:
    assert client.post(f"/api/images/{discs}/redraw").json() == NOTHING
    before = there(client, discs)
    for place in (0, 5):
        assert mend(client, before[place]["id"], 1, WIDE[place], f"m{place}").status_code == 200
    moved = client.post(f"/api/images/{discs}/redraw").json()["annotations"]
    assert len(moved) == 10
    assert {(each["version"], each["review"], each["changed_by"]) for each in moved} == {
        (2, None, "redrawing")
    }
    assert near(masks(there(client, discs)), WIDE) > 0.85
    assert client.post(f"/api/images/{discs}/redraw").json() == NOTHING


def test_a_change_of_what_moved_meanwhile_is_no_conflict(client: TestClient, discs: int) -> None:
    before = there(client, discs)
    mend(client, before[0]["id"], 1, WIDE[0], "first")
    mend(client, before[5]["id"], 1, WIDE[5], "fifth")
    assert client.post(f"/api/images/{discs}/redraw").json()["annotations"]
    answer = mend(client, before[1]["id"], 1, WIDE[1], "second")
    assert (answer.status_code, answer.json()["version"]) == (200, 3)
    again = mend(client, before[1]["id"], 1, WIDE[1], "second")
    assert again.json() == answer.json(), "its answer was lost on the way"
    assert mend(client, before[1]["id"], 1, WIDE[1], "third").status_code == 409, "a person's"


def keep(client: TestClient, key: str, version: int, op: str) -> Any:
    step = {"id": key, "change": {"kind": "keep", "base_version": version}}
    return client.post("/api/operations", json={"op_id": op, "changes": [step]})


def test_what_is_kept_is_what_was_shown(client: TestClient, discs: int) -> None:
    before = there(client, discs)
    for place in (0, 5):
        mend(client, before[place]["id"], 1, WIDE[place], f"m{place}")
    client.post(f"/api/images/{discs}/redraw")
    first = keep(client, before[3]["id"], 1, "keep").json()
    (kept,) = first["annotations"]
    assert (kept["mask"], kept["version"], kept["review"]) == (before[3]["mask"], 3, "accepted")
    assert keep(client, before[3]["id"], 1, "keep").json() == first, "its answer was lost"
    assert keep(client, before[3]["id"], 1, "other").status_code == 409
    mend(client, before[3]["id"], 3, WIDE[3], "mend")
    undone = mend(client, before[3]["id"], 4, NARROW[3], "undo").json()
    assert (undone["review"], undone["made"]["made_by"]) == ("accepted", "model")


def test_a_kept_mask_stays_and_only_a_models_is_kept(client: TestClient, discs: int) -> None:
    before = there(client, discs)
    (kept,) = keep(client, before[3]["id"], 1, "keep").json()["annotations"]
    assert (kept["review"], kept["version"], kept["made"]["made_by"]) == ("accepted", 2, "model")
    mend(client, before[0]["id"], 1, WIDE[0], "mend")
    mend(client, before[5]["id"], 1, WIDE[5], "fifth")
    mend(client, before[8]["id"], 1, WIDE[8], "eighth")
    moved = client.post(f"/api/images/{discs}/redraw").json()["annotations"]
    assert moved
    assert before[3]["id"] not in {each["id"] for each in moved}
    mine = put_mask(client)
    refused = keep(client, mine["id"], 1, "mine")
    assert refused.status_code == 422
    assert "only a mask that a model pre-filled" in refused.json()["error"]


def test_who_undoes_what_they_mended_gives_the_mask_back_to_the_model(
    client: TestClient, discs: int
) -> None:
    first, second, third, *_ = there(client, discs)
    mend(client, first["id"], 1, WIDE[0], "mend")
    mend(client, third["id"], 1, WIDE[2], "third")
    client.post(f"/api/images/{discs}/redraw")
    followed = there(client, discs)[1]["mask"]
    mend(client, second["id"], 2, WIDE[1], "mend-too")
    undone = mend(client, second["id"], 3, Rle(WIDE[1].size, followed["counts"].encode()), "undo")
    assert undone.json()["made"] == second["made"]
    mend(client, first["id"], 2, NARROW[0], "undo-too")
    mend(client, third["id"], 2, NARROW[2], "undo-third")
    client.post(f"/api/images/{discs}/redraw")
    assert masks(there(client, discs)) == dict(enumerate(NARROW))
    assert {each["made"]["made_by"] for each in there(client, discs)} == {"model"}


def test_a_photograph_that_was_replaced_moves_nothing(
    client: TestClient, discs: int, tmp_path: Path
) -> None:
    before = there(client, discs)
    for place in (0, 1):
        mend(client, before[place]["id"], 1, WIDE[place], f"m{place}")
    Picture.new("RGB", (180, 140)).save(tmp_path / "discs" / "discs.png")
    answer = client.post(f"/api/images/{discs}/redraw")
    assert answer.status_code == 422
    assert "discs.png" in answer.json()["error"]
    assert masks(there(client, discs)[2:]) == dict(enumerate(NARROW[2:]))


def test_an_image_without_prefilled_masks_is_not_even_read(
    client: TestClient, service: Service
) -> None:
    made = put_mask(client)
    answer = client.post(f"/api/images/{made['image_id']}/redraw")
    assert answer.json() == NOTHING
    assert service.redrawer._child.started == 0


def test_offered_regions_follow_what_people_drew_beside_them(
    client: TestClient, service: Service, discs: int
) -> None:
    image = service.project.images.get(discs)
    for mask in there(client, discs):
        client.delete(
            f"/api/annotations/{mask['id']}", params={"op_id": f"d{mask['id']}", "base_version": 1}
        )
    assert service.redrawer.redraw(image, WIDE) == ([], WIDE)
    assert service.redrawer._child.started == 0, "nobody has drawn anything"
    people = [rle.encode(disc(x, y, 10)) for x, y in PLACES]
    for place in (0, 5):
        put_mask(client, image_id=discs, mask=as_sent(people[place]))
    moved, regions = service.redrawer.redraw(image, WIDE)
    assert moved == []
    assert near({i: m for i, m in enumerate(regions) if i not in (0, 5)}, people) > 0.85

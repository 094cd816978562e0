"""The queue follows the engine: its order, its reasons, and what is not known yet."""

import numpy as np
from starlette.testclient import TestClient

from maskmill.engine.queue import Choice
from maskmill.server.planner import mixed
from maskmill.server.service import Service

from .drawing import put_mask


def ask(client: TestClient, **body: int) -> tuple[str | None, str | None]:
    answer = client.post("/api/queue/next", json=body).json()
    return answer["image"] and answer["image"]["name"], answer["reason"]


def test_the_model_s_doubt_decides_once_it_is_known(service: Service, client: TestClient) -> None:
    from pathlib import Path

    from .conftest import an_embedding

    first, second, third = service.project.images.page()
    for image, split in ((first, "train"), (second, "val"), (third, "train")):
        service.project.images.describe(image.id, split=split)
    assert service.planner.order() == []
    assert ask(client) == ("a.jpg", "unlabelled")
    service.planner.plan()
    assert service.planner.order() == [(first.id, "unsure")], "the others are not embedded yet"
    for image in (second, third):
        service.project.embeddings.put(image.content_hash, an_embedding(Path(image.path)))
    service.planner.plan()
    order = dict(service.planner.order())
    assert order == {first.id: "unsure", second.id: "hold-out", third.id: "unsure"}
    before = service.planner.order()
    service.planner.plan()
    assert service.planner.order() == before, "who is on an image stays there"

    wanted, reason = before[0]
    name = client.get(f"/api/images/{wanted}").json()["name"]
    assert ask(client) == (name, reason)
    other, why = before[1]
    assert ask(client, after=wanted) == (client.get(f"/api/images/{other}").json()["name"], why)
    around = client.get(f"/api/images/{wanted}/around").json()
    assert around["queued"]["id"] == other
    put_mask(client)  # on the first image: it waits no longer
    service.planner.plan()
    assert {i for i, _ in service.planner.order()} == {second.id, third.id}


def test_hold_out_images_are_spread_and_the_others_keep_their_order() -> None:
    chosen = [Choice(image_id=i, reason="hold-out") for i in (1, 2)]
    chosen += [Choice(image_id=i, reason="unsure and unlike the rest") for i in (3, 4, 5, 6)]
    found = [each.image_id for each in mixed(chosen, np.random.default_rng(0))]
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert [i for i in found if i > 2] == [3, 4, 5, 6]
    assert found[:2] != [1, 2]

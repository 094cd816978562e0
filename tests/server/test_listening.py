"""Two people in one image: each hears of the other's masks, and after a break of all missed."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from maskmill.server.running import ServerConfig, serve
from maskmill.store import Project

from .drawing import MADE, square


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            yield kind, json.loads(line[6:])


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_masks_arrive_and_what_was_missed_comes_first(project: Project, photos: Any) -> None:
    done: list[str] = []
    clients = ExitStack()

    def people(address: str) -> None:
        base, _, token = address.partition("/#token=")
        client = clients.enter_context(
            httpx.Client(base_url=base, headers={"origin": base}, timeout=60)
        )
        client.post("/api/session", json={"token": token})
        while not client.get("/api/images").json()["images"]:
            pass
        image_id = client.get("/api/images").json()["images"][0]["id"]

        def put() -> dict[str, Any]:
            body = {"op_id": str(uuid.uuid4()), "base_version": 0, "image_id": image_id}
            body |= {"mask": square(1, 1, 9, 9), "made": MADE}
            answer = client.put(f"/api/annotations/{uuid.uuid4()}", json=body)
            made: dict[str, Any] = answer.json()
            return made

        before = put()
        with client.stream("GET", "/api/events", headers={"last-event-id": "0"}) as stream:
            heard = (data for kind, data in events_of(stream.iter_lines()) if kind == "annotation")
            assert next(heard)["id"] == before["id"]
            made = put()
            told = next(heard)
            assert (told["id"], told["image_id"], told["version"]) == (made["id"], image_id, 1)
            done.append(told["changed_by"])

    runner = threading.Thread(
        target=serve, args=(project, ServerConfig()), kwargs={"images": photos, "until": people}
    )
    with clients:
        runner.start()
        runner.join(120)
    assert not runner.is_alive()
    assert done

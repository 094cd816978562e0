"""A person at the Scribble page, over HTTP, for tests: draws, and waits until all is looked at."""

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
from starlette.testclient import TestClient

from maskmill.server.service import Service

SECONDS = 60
RED = [[14.0, 14.0], [34.0, 26.0]]
GROUND = [[2.0, 40.0], [60.0, 42.0]]
SQUARE = (slice(10, 30), slice(12, 40))
"""The red square of every photograph, at least."""


def until(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + SECONDS
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found


def picture(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


class Drawer:
    """Draws on images by their place, and knows the versions."""

    def __init__(self, service: Service, client: TestClient) -> None:
        self.client, self.service = client, service
        self.images = [image.id for image in service.project.images.page()]
        self.red = client.post("/api/categories", json={"name": "red"}).json()["id"]

    def put(self, place: int, *strokes: tuple[int | None, list[list[float]]]) -> Any:
        here = f"/api/images/{self.images[place]}/strokes"
        version = self.client.get(here).json()["version"]
        drawn = [{"category_id": c, "width": 3.0, "points": points} for c, points in strokes]
        body = {"op_id": str(uuid4()), "base_version": version, "strokes": drawn}
        answer = self.client.put(here, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def standing(self) -> Any:
        return self.client.get("/api/scribbles").json()

    def trained(self, run: int = 1) -> Any:
        """Wait until every image was looked at by this classifier or a later one."""

        def done() -> Any:
            told = self.standing()
            ended = told["phase"] == "idle" and told["run"] >= run
            return told if ended and len(told["found"]) == len(self.images) else None

        return until(done)

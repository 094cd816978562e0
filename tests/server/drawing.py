"""Masks as a browser sends them."""

import uuid
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from maskmill import rle

SIZE = (48, 64)
MADE = {"seconds": 3.5, "clicks": 2, "edits": 1}


def square(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    """A mask that is a half-open box, as it travels."""
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return {"size": list(size), "counts": rle.encode(mask).counts.decode()}


def put_mask(client: TestClient, key: str | None = None, **more: Any) -> dict[str, Any]:
    """Make a mask on the first image; returns the answer."""
    body = {
        "op_id": str(uuid.uuid4()),
        "base_version": 0,
        "image_id": first_image(client),
        "mask": square(10, 10, 40, 30),
        "made": MADE,
        **more,
    }
    answer = client.put(f"/api/annotations/{key or uuid.uuid4()}", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def first_image(client: TestClient) -> int:
    """The id of the first image."""
    number: int = client.get("/api/images", params={"limit": 1}).json()["images"][0]["id"]
    return number

"""Uploads: known by what is in them, named for show only, and nothing else is kept."""

import io
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from maskmill.images import ImageLimits
from maskmill.server.service import Service

PNG = {"content-type": "image/png"}


def upload(client: TestClient, content: bytes, name: str = "photo.png") -> dict[str, object]:
    answer = client.post("/api/images", params={"name": name}, content=content, headers=PNG)
    assert answer.status_code == 200, answer.text
    made: dict[str, object] = answer.json()
    return made


def a_png(colour: str = "red", form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), colour).save(buffer, form)
    return buffer.getvalue()


def test_an_upload_becomes_an_image(client: TestClient, service: Service) -> None:
    content = a_png()
    made = upload(client, content, "../../my <b>photo</b>.exe")
    assert (made["name"], made["width"], made["height"]) == ("../../my <b>photo</b>.exe", 20, 10)
    answer = client.get(str(made["file_url"]))
    assert (answer.content, answer.headers["content-type"]) == (content, "image/png")
    kept = Path(service.project.images.get(int(str(made["id"]))).path)
    assert kept.parent == service.project.folder.absolute() / "uploads"
    assert kept.suffix == ".png"
    assert upload(client, content, "the same.png")["id"] == made["id"]


def test_the_type_is_that_of_the_content(client: TestClient) -> None:
    made = upload(client, a_png("blue", "JPEG"), "really.png")
    assert client.get(str(made["file_url"])).headers["content-type"] == "image/jpeg"
    odd = upload(client, a_png("blue", "BMP"))
    assert client.get(str(odd["file_url"])).headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html><script>alert(1)</script>",
        b"GIF89a/*<script>*/=1;",
        a_png()[:30],
        b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
    ],
)
def test_what_is_no_image_is_refused_and_not_kept(
    client: TestClient, service: Service, content: bytes
) -> None:
    answer = client.post("/api/images", params={"name": "a.png"}, content=content, headers=PNG)
    assert answer.status_code == 422, answer.text
    assert str(service.project.folder) not in answer.text
    assert service.project.images.count() == 3
    assert not list((service.project.folder / "uploads").iterdir())


def test_what_is_too_large_is_refused_by_its_header(client: TestClient) -> None:
    buffer = io.BytesIO()
    Image.new("1", (ImageLimits().max_side + 1, 1)).save(buffer, "PNG")
    answer = client.post(
        "/api/images", params={"name": "a.png"}, content=buffer.getvalue(), headers=PNG
    )
    assert answer.status_code == 422
    assert "scale it down" in answer.json()["error"]


def test_a_flood_is_cut_off(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {**PNG, "content-length": str(ImageLimits().max_bytes + 1)}
    answer = client.post("/api/images", params={"name": "a.png"}, content=b"a", headers=headers)
    assert answer.status_code == 413
    assert service.project.images.count() == 3

"""Images over HTTP: pages, files as browsers show them, embeddings as the decoder takes them."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from maskmill import rle
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.server.service import Service
from maskmill.values import point_prompt

from .conftest import SIZE
from .drawing import first_image, put_mask, square


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_a_page_names_the_images_but_not_where_they_lie(client: TestClient, photos: Path) -> None:
    answer = client.get("/api/images", params={"offset": 1, "limit": 1})
    page = answer.json()
    assert (page["total"], page["offset"]) == (3, 1)
    (image,) = page["images"]
    assert (image["name"], image["state"], image["mask_count"]) == ("b.png", "open", 0)
    assert str(photos) not in answer.text
    turned = client.get("/api/images", params={"offset": 2}).json()["images"][0]
    assert (turned["width"], turned["height"]) == SIZE  # it is turned by a quarter


def test_filters_choose(client: TestClient) -> None:
    made = put_mask(client)
    me = client.get("/api/session").json()["name"]
    client.post(f"/api/images/{made['image_id']}/finish")

    def chosen(**which: object) -> list[str]:
        images = client.get("/api/images", params=which).json()["images"]
        return [image["name"] for image in images]

    for which in (
        {"has_masks": True},
        {"annotator": me},
        {"state": "in_review"},
        {"review": "unreviewed"},
        {"category_id": 0},
    ):
        assert chosen(**which) == ["a.jpg"], which
    assert chosen(has_masks=False) == chosen(state="open") == ["b.png", "c.jpg"]
    assert chosen(annotator="nobody") == chosen(predicted_iou_below=0.5) == []
    answer = client.get("/api/images", params={"state": "password_hash"})
    assert answer.status_code == 422


def test_a_plain_file_is_sent_as_it_is_and_others_as_the_model_sees_them(
    client: TestClient, photos: Path
) -> None:
    first, _, third = client.get("/api/images").json()["images"]
    plain = client.get(first["file_url"])
    assert plain.content == (photos / "a.jpg").read_bytes()
    assert plain.headers["content-type"] == "image/jpeg"
    turned = client.get(third["file_url"])
    assert turned.headers["content-type"] == "image/png"
    assert (pixels(turned.content) == read_image(photos / "c.jpg")).all()
    assert client.get(third["file_url"]).content == turned.content  # from the cache now


def test_a_browser_that_has_it_is_not_sent_it_again(client: TestClient) -> None:
    (image, *_) = client.get("/api/images").json()["images"]
    for name in ("file_url", "thumbnail_url", "embedding_url"):
        first = client.get(image[name])
        assert "immutable" in first.headers["cache-control"]
        again = client.get(image[name], headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = client.get(image[name], headers={"if-none-match": '"other"'})
        assert other.content == first.content


def test_an_embedding_travels_as_float16_that_decodes_to_the_same_mask(
    client: TestClient, service: Service
) -> None:
    image = service.project.images.get(first_image(client))
    kept = service.project.embeddings.get(image.content_hash, service.decoder.model_id)
    assert kept is not None
    sent = client.get(f"/api/images/{image.id}/embedding").content
    assert len(sent) <= 2_200_000
    values = np.frombuffer(sent, "<f2")
    at = 0
    for array, shape in zip(
        (kept.array, *kept.high_res),
        client.get("/api/model").json()["embedding_shapes"],
        strict=True,
    ):
        part = values[at : at + array.size].reshape(shape)
        at += array.size
        assert (part == array).all()
    assert at == len(values)


def test_an_embedding_that_is_missing_is_asked_for_first(
    client: TestClient, service: Service
) -> None:
    last = client.get("/api/images").json()["images"][-1]
    answer = client.get(last["embedding_url"])
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    found = service.embedder._next()
    assert found is not None
    assert (found[0].id, found[1]) == (last["id"], False)


def test_the_server_decodes_as_the_predictor_does(client: TestClient, service: Service) -> None:
    image = service.project.images.get(first_image(client))
    embedding = service.project.embeddings.get(image.content_hash, service.decoder.model_id)
    assert embedding is not None
    predictor = Predictor.load("tiny", threads=1)
    expected = predictor.predict(embedding, [point_prompt((25, 20))])
    url = f"/api/images/{image.id}/decode"
    answer = client.post(url, json={"points": [[25, 20]], "labels": [1]}).json()
    assert len(answer["candidates"]) == 3
    for place, candidate in enumerate(answer["candidates"]):
        mask = candidate["mask"]
        decoded = rle.decode(Rle(tuple(mask["size"]), mask["counts"].encode()))
        assert (decoded == expected.masks()[0, place]).all()
        assert candidate["predicted_iou"] == pytest.approx(expected.predicted_iou[0, place])
    best = answer["candidates"][0]["low_res_mask_logits"]
    assert len(base64.b64decode(best)) == 2 * service.decoder.config.low_res_side**2
    again = {"points": [[25, 20], [5, 5]], "labels": [1, 0], "mask_input": best}
    refined = client.post(url, json={**again, "multimask_output": False}).json()
    assert len(refined["candidates"]) == 1


@pytest.mark.parametrize(
    "prompt",
    [
        {},
        {"points": [[1, 2]], "labels": []},
        {"points": [[1000, 2]], "labels": [1]},
        {"points": [[1, 2]], "labels": [2]},
        {"box": [5, 5, 5, 5]},
        {"box": [500, 500, 600, 600]},
        {"points": [[1, 2]], "labels": [1], "mask_input": "AAAA"},
        {"points": [[1, 2]], "labels": [1], "mask_input": "!"},
    ],
)
def test_prompts_that_cannot_be_are_refused(client: TestClient, prompt: dict[str, object]) -> None:
    answer = client.post(f"/api/images/{first_image(client)}/decode", json=prompt)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_the_overlay_shows_the_masks_and_follows_them(client: TestClient) -> None:
    url = f"/api/images/{first_image(client)}/overlay"
    empty = client.get(url)
    cat = client.post("/api/categories", json={"name": "cat", "colour": "#0000ff"}).json()["id"]
    put_mask(client, category_id=cat)
    tag = {"if-none-match": empty.headers["etag"]}
    drawn = client.get(url, headers=tag)
    assert drawn.status_code == 200
    picture = pixels(drawn.content)
    assert picture.shape == (*SIZE, 4)
    inside = picture[..., 3] > 0
    mask = square(10, 10, 40, 30)
    assert (inside == rle.decode(Rle(SIZE, mask["counts"].encode()))).all()
    assert (picture[inside][:, :3] == (0, 0, 255)).all()
    tag = {"if-none-match": drawn.headers["etag"]}
    assert client.get(url, headers=tag).status_code == 304


def test_a_file_that_changed_is_not_shown(client: TestClient, service: Service) -> None:
    (image, *_) = service.project.images.page(limit=1)
    path = Path(image.path)
    before = path.read_bytes()
    try:
        path.write_bytes(before + b" ")
        answer = client.get(f"/api/images/{image.id}/file")
        assert answer.status_code == 422
        assert "bring the old file back" in answer.json()["error"]
        path.unlink()
        assert client.get(f"/api/images/{image.id}/file").status_code == 422
    finally:
        path.write_bytes(before)


def test_images_that_are_not_there_are_404(client: TestClient) -> None:
    for path in ("", "/file", "/thumbnail", "/overlay", "/embedding", "/annotations"):
        assert client.get(f"/api/images/999999{path}").status_code == 404
        assert client.get(f"/api/images/0{path}").status_code == 422

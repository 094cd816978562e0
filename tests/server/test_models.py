"""The model over HTTP: with what is told, a browser decodes as the predictor does."""

import io
from pathlib import Path

import numpy as np
import onnxruntime
from starlette.testclient import TestClient

from maskmill.geometry import to_input_frame
from maskmill.predict import Predictor
from maskmill.server.decoder import FILES, embedding_shapes
from maskmill.server.service import Service
from maskmill.values import point_prompt

from .drawing import first_image


def test_what_is_told_is_enough_to_decode(client: TestClient, service: Service) -> None:
    """As web/src/decoder does, in Python: nothing but what came over HTTP."""
    told = client.get("/api/model").json()
    image = client.get(f"/api/images/{first_image(client)}").json()
    values = np.frombuffer(client.get(image["embedding_url"]).content, "<f2").astype(np.float32)
    feeds, at = {}, 0
    for name, shape in zip(told["embedding_inputs"], told["embedding_shapes"], strict=True):
        size = int(np.prod(shape))
        feeds[name] = values[at : at + size].reshape(1, *shape)
        at += size
    scale = told["input_side"] / max(image["width"], image["height"])
    points = [[25 * scale, 20 * scale], [0, 0]]
    feeds["point_coords"] = np.array([points], np.float32)
    feeds["point_labels"] = np.array([[1, told["padding_label"]]], np.float32)
    content = client.get(told["decoder_url"]).content
    logits, iou = onnxruntime.InferenceSession(content).run(None, feeds)
    kept = service.project.images.get(image["id"])
    embedding = service.project.embeddings.get(kept.content_hash, told["id"])
    assert embedding is not None
    expected = Predictor.load("tiny", threads=1).predict(embedding, [point_prompt((25, 20))])
    np.testing.assert_allclose(logits[:, 1:], expected.low_res_mask_logits, atol=1e-3)
    np.testing.assert_allclose(iou[:, 1:], expected.predicted_iou, atol=1e-4)
    frame = to_input_frame(np.array([[25.0, 20.0]]), embedding.original_size, embedding.input_size)
    np.testing.assert_allclose(frame, [points[0]])


def test_only_the_decoder_is_given_out(client: TestClient) -> None:
    for name in FILES:
        answer = client.get(f"/api/model/{name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert onnxruntime.InferenceSession(io.BytesIO(answer.content).getvalue())
    for name in ("encoder.onnx", "card.json", "model.safetensors", "nothing"):
        assert client.get(f"/api/model/{name}").status_code == 404


def test_the_shapes_are_those_of_the_exported_decoder(service: Service) -> None:
    decoder = service.decoder
    session = onnxruntime.InferenceSession(str(Path(decoder.file("decoder.onnx"))))
    shapes = {each.name: each.shape[1:] for each in session.get_inputs()}
    told = decoder.described()
    assert embedding_shapes(decoder.config) == [shapes[name] for name in told.embedding_inputs]

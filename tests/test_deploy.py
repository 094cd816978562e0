"""A deployed folder says what the project says, is refused when changed, and answers over HTTP."""

import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scribble_scene import CATEGORIES, scene, strokes

from maskmill import client, rle
from maskmill.deploy import Deployment, deploy, load_deployment
from maskmill.errors import CheckpointError, ConfigError, ImageError, NotFound, StoreError
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.scribble.classifier import save
from maskmill.scribble.folder import Source, predict_image, train_on_scribbles
from maskmill.scribble.rules import parse_rules
from maskmill.scribble.strokes import Scribbles
from maskmill.serving import make_server

RULES = parse_rules(
    b'{"categories": {"disc": [{"rule": "min_area", "area": 60}]}, "decisions": '
    b'[{"rule": "count", "category": "bar", "most": 0}]}'
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("deploy")
    for seed in range(2):
        Image.fromarray(scene(seed)[0]).save(work / f"{seed}.png")
    drawn = Scribbles(categories=CATEGORIES, strokes=tuple(strokes("0.png", scene(0)[1])))
    source = Source(Predictor.load("tiny", backend="onnx", threads=1))
    save(train_on_scribbles(source, work, drawn), work / "trained")
    deploy(work / "trained", work / "deployed", model="tiny", rules=RULES)
    return work


@pytest.fixture(scope="module")
def deployment(work: Path) -> Deployment:
    return load_deployment(work / "deployed", threads=1)


@pytest.fixture
def url(deployment: Deployment) -> Iterator[str]:
    with make_server(deployment, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def labels_of(answer: dict) -> np.ndarray:
    labels = np.zeros(answer["size"], np.int16)
    for mask in answer["masks"]:
        height, width = mask["segmentation"]["size"]
        counts = mask["segmentation"]["counts"].encode()
        pixels = rle.decode(Rle(size=(height, width), counts=counts))
        labels[pixels] = CATEGORIES.index(mask["category"])
    return labels


def test_answers_are_those_of_the_project(work: Path, deployment: Deployment):
    source = Source(Predictor.load("tiny", backend="onnx", threads=1))
    own = predict_image(source, load_deployment(work / "deployed").model, work / "1.png", RULES)
    answer = deployment.answer((work / "1.png").read_bytes())
    assert np.array_equal(labels_of(answer), own.labels())
    assert answer["passed"] is own.passed is False
    assert answer["doubt"] == pytest.approx(own.doubt)
    json.dumps(answer)


def test_a_changed_or_missing_file_is_refused(work: Path, tmp_path: Path):
    copy = shutil.copytree(work / "deployed", tmp_path / "copy")
    (copy / "rules.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"rules\.json is not the file that was deployed"):
        load_deployment(copy)
    (copy / "deployment.json").write_text("{}")
    with pytest.raises(CheckpointError, match="damaged"):
        load_deployment(copy)
    with pytest.raises(NotFound, match="maskmill deploy"):
        load_deployment(tmp_path)


def test_what_does_not_fit_is_not_deployed(work: Path, tmp_path: Path):
    with pytest.raises(StoreError, match="not empty"):
        deploy(work / "trained", work / "deployed", model="tiny", rules=RULES)
    foreign = parse_rules(b'{"categories": {"dent": []}}')
    with pytest.raises(ConfigError, match="dent"):
        deploy(work / "trained", tmp_path / "new", model="tiny", rules=foreign)
    assert not (tmp_path / "new").exists()


def test_bytes_that_are_no_image_are_refused(deployment: Deployment):
    with pytest.raises(ImageError, match="not an image"):
        deployment.answer(b"no image")


def test_http_answers_what_the_folder_answers(work: Path, deployment: Deployment, url: str):
    image = (work / "1.png").read_bytes()
    answer, own = client.ask(url, image), deployment.answer(image)
    assert answer["masks"] == own["masks"]
    assert answer["seconds"] > 0
    with urllib.request.urlopen(url + "/", timeout=10) as response:
        assert json.load(response)["categories"] == list(CATEGORIES)


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/predict", b"no image", 422, "not an image"),
        ("/predict", b"", 413, "send an image of 1"),
        ("/other", b"x", 404, "POST an image to /predict"),
    ],
)
def test_http_refuses_in_a_sentence(url: str, path: str, body: bytes, status: int, reason: str):
    request = urllib.request.Request(url + path, data=body, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    with refused.value as error:
        assert error.code == status
        assert reason in json.load(error)["error"]


def test_the_client_in_the_folder_runs_alone(work: Path, url: str):
    command = [sys.executable, "-I", work / "deployed" / "client.py", url, work / "1.png"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "regions, failed" in done.stdout

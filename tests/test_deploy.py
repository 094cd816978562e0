"""A deployed folder says what the project says, is refused when changed, and answers over HTTP."""

import hashlib
import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gardens import garden
from PIL import Image
from scribble_scene import CATEGORIES, scene, strokes

from maskmill import client, rle
from maskmill.automask import label_folder
from maskmill.cli import main
from maskmill.config import AutomaskConfig
from maskmill.deploy import (
    DeployedClassifier,
    DeployedFinder,
    Deployment,
    deploy,
    deploy_project,
    load_deployment,
)
from maskmill.engine.calibration import stage_three
from maskmill.engine.detecting import write_categories, write_regions
from maskmill.engine.head_files import head_folder
from maskmill.engine.heads import heads_of
from maskmill.engine.labelling import find_masks
from maskmill.errors import CheckpointError, ConfigError, ImageError, NotFound, StoreError
from maskmill.exchange.importing import import_labelled
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.scribble.classifier import save
from maskmill.scribble.folder import Source, predict_image, train_on_scribbles
from maskmill.scribble.rules import RuleSet, parse_rules, to_json
from maskmill.scribble.strokes import Scribbles
from maskmill.scribble.worker import Marked, Worker
from maskmill.serving import make_server
from maskmill.store import Project
from maskmill.train.categories import train_categories
from maskmill.train.regions import RegionConfig, train_regions

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


def test_answers_are_those_of_a_project_that_keeps_its_embeddings(tmp_path: Path):
    """A project's features come from embeddings on the disk, in float16; a deployment's do not."""
    marked = []
    for seed in range(2):
        pixels, labels = scene(seed)
        Image.fromarray(pixels).save(tmp_path / f"{seed}.png")
        content_hash = hashlib.sha256((tmp_path / f"{seed}.png").read_bytes()).hexdigest()
        drawn = tuple(strokes(f"{seed}.png", labels))
        marked.append(Marked(content_hash, str(tmp_path / f"{seed}.png"), drawn))
    worker = Worker(tmp_path, "tiny")
    worker.use(worker.train(marked[:1], CATEGORIES))
    save(worker.trained(), tmp_path / "trained")
    deploy(tmp_path / "trained", tmp_path / "deployed", model="tiny", rules=RuleSet())
    deployment = load_deployment(tmp_path / "deployed", threads=1)
    assert isinstance(deployment, DeployedClassifier)
    for content_hash, path, _ in marked:
        own = worker.look(content_hash, path, to_json(RuleSet()))
        answer = deployment.answer(Path(path).read_bytes())
        assert answer["doubt"] == own.mean_doubt
        mine, (_, theirs) = worker.features(content_hash, path), deployment.source.read(Path(path))
        for one, other in zip(mine.maps, theirs.maps, strict=True):
            assert np.array_equal(one.values(), other.values())


@pytest.fixture(scope="module")
def gardens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of named discs with heads that a round might have trained, and its deployment."""
    work = tmp_path_factory.mktemp("gardens")
    images = [garden(work, f"{i}", i) for i in range(5)]
    splits = ("val", "val", "train", "train", "train")
    predictor = Predictor.load("tiny", threads=1)
    card = {"model": predictor.model_id, "round": 1}
    with Project.create(work / "project") as project:
        given = [replace(i, split=s) for i, s in zip(images, splits, strict=True)]
        import_labelled(project, given, name="gardens", by="test")
        trained = train_categories(predictor, images[2:])
        assert trained is not None
        names = head_folder(project.folder, "categories", predictor.model_id)
        write_categories(*trained, predictor, [], names, card)
        config = RegionConfig(steps=25, batch_images=2, crop=96, learning_rate=4e-3)
        head, side = train_regions(predictor, images[2:], config)
        areas = head_folder(project.folder, "regions", predictor.model_id)
        write_regions(head, side, predictor, areas, card)
        grid = AutomaskConfig(points_per_side=6)
        deploy_project(project, work / "deployed", precision=0.5, grid=grid)
    return work


def test_a_projects_model_answers_as_the_project_labels(gardens: Path) -> None:
    deployment = load_deployment(gardens / "deployed", threads=1)
    with Project(gardens / "project", writes=False) as project:
        grid = AutomaskConfig(points_per_side=6)
        settings, words = stage_three(project, precision=0.5, grid=grid)
        heads = heads_of(project, None)
    assert deployment.card["rests_on"] == words
    assert deployment.card["categories"] == ["berry", "leaf", "stone"]
    predictor = Predictor.load("tiny", threads=1)
    found = 0
    for path in sorted(gardens.glob("*.png")):
        own = find_masks(predictor, read_image(path), settings, heads)
        answer = deployment.answer(path.read_bytes())
        told = [(m["segmentation"]["counts"], m["category"]) for m in answer["masks"]]
        assert told == [(m.rle.counts.decode(), m.category) for m in own]
        assert [m["certainty"] for m in answer["masks"]] == [m.score for m in own]
        found += len(told)
        json.dumps(answer)
    assert found > 5


def test_a_deployed_model_labels_a_folder_that_is_in_no_project(
    gardens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted(gardens.glob("*.png"))[:2]:
        shutil.copy(path, photos)
    (photos / "bad.png").write_bytes(b"no image")
    deployed, out = str(gardens / "deployed"), tmp_path / "out"
    command = ["automask", str(photos), "-o", str(out), "--deployment", deployed, "--workers", "1"]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], [each["image"] for each in told["failed"]]) == (2, ["bad.png"])
    deployment = load_deployment(gardens / "deployed", threads=1)
    for path in sorted(photos.glob("[01].png")):
        written = json.loads((out / f"{path.name}.json").read_text())["annotations"]
        own = deployment.answer(path.read_bytes())["masks"]
        assert [m["segmentation"] for m in written] == [m["segmentation"] for m in own]
    (photos / "bad.png").unlink()
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["already_done"] == 2
    assert main([*command, "--points-per-side", "8"]) == 1
    assert "give --deployment alone" in capsys.readouterr().err
    assert main(["automask", str(photos), "-o", str(out)]) == 1, "made by another model"
    assert "made otherwise" in capsys.readouterr().err


def test_a_classifier_of_strokes_labels_no_folder_so(work: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scribble predict"):
        label_folder(tmp_path, tmp_path / "out", DeployedFinder(work / "deployed"), workers=0)


def test_a_projects_deployment_is_served_and_refused_when_changed(
    gardens: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(gardens / "deployed", tmp_path / "elsewhere")
    with make_server(load_deployment(moved, threads=1), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        answer = client.ask(url, (gardens / "0.png").read_bytes())
        server.shutdown()
        thread.join()
    assert answer["passed"] is None
    pixels = client.mask_pixels(answer["masks"][0]["segmentation"])
    assert sum(map(sum, pixels)) == answer["masks"][0]["area"]
    with (moved / "heads" / "regions" / "regions.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(CheckpointError, match=r"regions\.onnx is not the file"):
        load_deployment(moved)


def test_a_model_that_was_not_exported_is_refused(
    gardens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    monkeypatch.setattr("maskmill.deploy.model_path", lambda *_: bare)
    with (
        Project(gardens / "project", writes=False) as project,
        pytest.raises(StoreError, match="a round that exports"),
    ):
        deploy_project(project, tmp_path / "out")


def test_a_changed_or_missing_file_is_refused(work: Path, tmp_path: Path):
    copy = shutil.copytree(work / "deployed", tmp_path / "copy")
    (copy / "client.py").write_text("# my own\n")
    (copy / "serve.log").write_text("a line\n")
    (copy / "encoder" / ".DS_Store").write_bytes(b"0")
    card = json.loads((copy / "deployment.json").read_text())
    older = {**card, "files": {**card["files"], "client.py": "0"}}
    (copy / "deployment.json").write_text(json.dumps(older))
    load_deployment(copy, threads=1)
    (copy / "classifier" / "projections.npz").rename(copy / "kept.npz")
    with pytest.raises(CheckpointError, match=r"projections\.npz is not the file"):
        load_deployment(copy)
    (copy / "kept.npz").rename(copy / "classifier" / "projections.npz")
    (copy / "rules.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"rules\.json is not the file that was deployed"):
        load_deployment(copy)
    (copy / "deployment.json").write_text("{}")
    with pytest.raises(CheckpointError, match="damaged"):
        load_deployment(copy)
    with pytest.raises(NotFound, match="maskmill deploy"):
        load_deployment(tmp_path)


def test_rules_that_split_say_what_they_need_before_anything_is_served(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    splitting = parse_rules(b'{"categories": {"disc": [{"rule": "split"}]}}')
    card = deploy(work / "trained", tmp_path / "new", model="tiny", rules=splitting)
    assert card["install"] == "maskmill[regions]"
    assert json.loads((work / "deployed" / "deployment.json").read_text())["install"] == "maskmill"
    answer = load_deployment(tmp_path / "new").answer((work / "1.png").read_bytes())
    assert answer["masks"]
    monkeypatch.setattr("maskmill.deploy.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'maskmill\[regions\]'"):
        load_deployment(tmp_path / "new")
    load_deployment(work / "deployed")


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


def test_the_command_deploys_classifiers_and_projects(
    work: Path, gardens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", str(work / "trained"), "-o", str(tmp_path / "strokes")]) == 0
    asked = ["--precision", "0.5", "--points-per-side", "6", "--crop-n-layers", "0", "--json"]
    project = str(gardens / "project")
    capsys.readouterr()
    assert main(["deploy", project, "-o", str(tmp_path / "masks"), *asked]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["of"], told["categories"]) == ("model", ["berry", "leaf", "stone"])
    settings = [json.loads((at / "labelling.json").read_text()) for at in
                (tmp_path / "masks", gardens / "deployed")]  # fmt: skip
    assert settings[0]["thresholds"] == settings[1]["thresholds"]
    for wrong, reason in (
        ([project, "--rules", "rules.json"], "are for a classifier"),
        ([project, "--precision", "2"], "above 0 and at most 1"),
        ([str(tmp_path / "nowhere")], "neither a project nor"),
    ):
        assert main(["deploy", *wrong, "-o", str(tmp_path / "refused")]) != 0
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()

"""A service over a small project on either database, and browsers that are signed in to it."""

import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cell_crowds import cell_crowds, head_of_crowds
from PIL import Image
from starlette.testclient import TestClient
from store.conftest import (
    Creator,
    create,
    database_kind,
    no_database_is_named,
    postgresql_url,
    project,
)

from maskmill.formats import LabelledImage
from maskmill.predict import Predictor
from maskmill.server.access import Door, hash_password
from maskmill.server.app import guarded
from maskmill.server.decoder import Decoder
from maskmill.server.embedder import Embedder
from maskmill.server.events import Events
from maskmill.server.ingesting import ingest
from maskmill.server.labeller import Labeller
from maskmill.server.outliner import Outliner
from maskmill.server.packer import Packer
from maskmill.server.pictures import Pictures
from maskmill.server.prefiller import Prefiller
from maskmill.server.redrawer import Redrawer
from maskmill.server.scribbler import Scribbler
from maskmill.server.security import LOOPBACK
from maskmill.server.service import Service
from maskmill.server.trainer import Trainer
from maskmill.store import Project
from maskmill.values import Embedding

__all__ = [
    "Creator",
    "create",
    "database_kind",
    "no_database_is_named",
    "postgresql_url",
    "project",
]
HOME = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
ROLES = ("admin", "reviewer", "annotator")
SIZE = (48, 64)
Browser = Callable[..., TestClient]


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photographs of coloured squares, one of them turned by EXIF."""
    folder = tmp_path_factory.mktemp("photos")
    numbers = np.random.default_rng(0)
    for place, name in enumerate(("a.jpg", "b.png", "c.jpg")):
        pixels = numbers.integers(0, 255, (*SIZE, 3), np.uint8) // 8 + 100
        pixels[10:30, 10 + place : 40] = (200, 40, 40)
        exif = Image.Exif()
        if name == "c.jpg":
            exif[274] = 6  # turned by a quarter
        Image.fromarray(pixels).save(folder / name, exif=exif, quality=95)
    return folder


@cache
def an_embedding(path: Path) -> Embedding:
    from maskmill.images import read_image

    return Predictor.load("tiny").embed(read_image(path))


def make_service(project: Project, photos: Path, *, with_accounts: bool = False) -> Service:
    """Put a service together as `running` does, with nothing in the background."""
    events = Events()
    decoder = Decoder(project, "tiny", threads=1)
    service = Service(
        project=project,
        door=Door(project=project, with_accounts=with_accounts),
        decoder=decoder,
        embedder=Embedder(project, model="tiny", model_id=decoder.model_id, events=events),
        pictures=Pictures(project.folder / "cache"),
        events=events,
        trainer=Trainer(project, events),
        prefiller=Prefiller(project, events),
        labeller=Labeller(project, events),
        scribbler=Scribbler(project, model="tiny", events=events),
        outliner=Outliner(project),
        redrawer=Redrawer(project),
        packer=Packer(project, events),
        names=LOOPBACK,
    )
    service.trainer.promoted = service.follow
    ingest(service, photos, threading.Event())
    return service


@pytest.fixture
def service(project: Project, photos: Path) -> Iterator[Service]:
    """A project with three images, the first of them embedded, on one's own machine."""
    made = make_service(project, photos)
    (first,) = project.images.page(limit=1)
    project.embeddings.put(first.content_hash, an_embedding(Path(first.path)))
    yield made
    made.scribbler.stop()  # whoever asks how far it is has begun it
    made.outliner.stop()
    made.redrawer.stop()
    made.packer.stop()


@cache
def hashed() -> str:
    return hash_password(PASSWORD)


@pytest.fixture(scope="session")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledImage]:
    """Images of many cells, labelled; they lie in no project."""
    return cell_crowds(tmp_path_factory.mktemp("crowds"))


@pytest.fixture(scope="session")
def crowd_head(crowds: list[LabelledImage], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A region head of the default model that has learned from them, but for the last two."""
    predictor = Predictor.load("tiny", threads=1)
    return head_of_crowds(predictor, crowds, tmp_path_factory.mktemp("heads") / "tiny")


@pytest.fixture
def team(service: Service) -> Service:
    """The same with an account for each role, called as the role."""
    for role in ROLES:
        service.project.accounts.add(role, role, hashed())
    service.door.with_accounts = True
    return service


@pytest.fixture
def browser(service: Service) -> Iterator[Browser]:
    """Opens browsers: of nobody, of somebody on their own machine, or of an account."""
    opened: list[TestClient] = []
    app = guarded(service)

    def open_(name: str | None = None, *, local: bool = False) -> TestClient:
        client = TestClient(app, base_url=HOME, headers={"origin": HOME})
        opened.append(client)
        if local:
            answer = client.post("/api/session", json={"token": service.door.new_token()})
            assert answer.status_code == 200, answer.text
        if name is not None:
            answer = client.post("/api/session", json={"name": name, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
        return client

    yield open_
    for each in opened:
        each.close()


@pytest.fixture
def client(browser: Browser) -> TestClient:
    """A browser on one's own machine."""
    return browser(local=True)

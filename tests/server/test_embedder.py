"""The embedder: what is wished for comes first, and one bad file ends nothing."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from maskmill.errors import ImageError
from maskmill.server.embedder import Embedder
from maskmill.server.service import Service
from maskmill.store import Image, Project

from .conftest import make_service

SECONDS = 120


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def own(sqlite_service: Service) -> Service:
    return sqlite_service


@pytest.fixture
def sqlite_service(tmp_path: Path, photos: Path) -> object:
    shutil.copytree(photos, tmp_path / "photos")
    with Project.create(tmp_path / "project") as project:
        yield make_service(project, tmp_path / "photos")


def images_of(service: Service) -> list[Image]:
    return service.project.images.page()


def is_embedded(service: Service, image: Image) -> bool:
    return service.project.embeddings.has(image.content_hash, service.decoder.model_id)


def test_all_are_embedded_a_killed_child_is_replaced_and_a_bad_file_is_left(own: Service) -> None:
    first, second, third = images_of(own)
    Path(second.path).write_bytes(b"no photograph any more")
    embedder = own.embedder
    embedder.start()
    wait_for(lambda: embedder._child._process is not None)
    process = embedder._child._process
    assert process is not None
    process.kill()
    wait_for(lambda: is_embedded(own, first) and is_embedded(own, third))
    wait_for(lambda: not own.project.jobs.all(kind="embed", running=True))
    assert not is_embedded(own, second)
    with pytest.raises(ImageError, match=r"b\.png"):
        embedder.wish(second.id)
    embedder.hurry(second.id)
    assert embedder.done == 2
    (job,) = own.project.jobs.all(kind="embed")
    assert job.status == "done"
    assert (own.project.folder / "cache" / "thumbnails").is_dir()
    embedder.stop()
    assert not embedder._thread.is_alive()
    assert embedder._child._process is None


def test_stopping_is_quick_even_before_anything_was_done(own: Service) -> None:
    own.embedder.start()
    begin = time.monotonic()
    own.embedder.stop()
    assert time.monotonic() - begin < SECONDS
    assert not own.embedder._thread.is_alive()


def test_what_is_wished_for_comes_first_the_last_wish_before_all(own: Service) -> None:
    first, second, third = images_of(own)
    embedder: Embedder = own.embedder
    embedder.wish(second.id)
    embedder.wish(third.id)
    embedder.wish(third.id)
    order = [embedder._next() for _ in range(5)]
    found = [(each[0].id, each[1]) for each in order if each is not None]
    wished, in_order = [(third.id, False), (second.id, False)], [first.id, second.id, third.id]
    assert found == [*wished, *((each, True) for each in in_order)]

"""Folders come in while people work; the first image at once, the photographs untouched."""

import hashlib
import threading
from pathlib import Path

import pytest

from maskmill.errors import DatasetError
from maskmill.server.ingesting import ingest
from maskmill.server.service import Service


def hashes(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
    }


def test_a_folder_comes_in_once_and_stays_as_it_is(service: Service, photos: Path) -> None:
    before = hashes(photos)
    ingest(service, photos, threading.Event())
    assert service.project.images.count() == 3
    assert hashes(photos) == before


def test_the_first_image_is_there_before_the_others_are_looked_at(
    service: Service, tmp_path: Path, photos: Path
) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for number in range(3):
        content = (photos / "a.jpg").read_bytes()
        (folder / f"{number}.jpg").write_bytes(content)
    stop, counts = threading.Event(), []

    def more() -> None:
        counts.append(service.project.images.count())
        stop.set()  # and whoever stops the server does not wait for the rest

    service.embedder.more = more  # type: ignore[method-assign]
    ingest(service, folder, stop)
    assert counts == [4]


def test_a_folder_without_images_is_refused(service: Service, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError):
        ingest(service, tmp_path / "empty", threading.Event())

"""Files named by their content."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest

from maskmill.errors import NotFound, StoreError
from maskmill.store.blobs import Blobs

CONTENTS = [b"", b"a", bytes(range(256)) * 1000]


@pytest.fixture(params=["local", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "local":
        return Blobs(tmp_path / "blobs")
    fsspec.filesystem("memory").store.clear()
    return Blobs("memory://bucket/prefix")


def file_of(blobs: Blobs, digest: str) -> Path:
    return Path(blobs._root) / digest[:2] / digest


def test_what_is_put_is_got_by_its_hash(blobs: Blobs) -> None:
    names = [blobs.put(content) for content in CONTENTS]
    assert names == [hashlib.sha256(content).hexdigest() for content in CONTENTS]
    assert [blobs.get(name) for name in names] == CONTENTS
    assert blobs.all() == sorted(names)


def test_the_same_content_is_one_file(blobs: Blobs) -> None:
    assert blobs.put(b"a") == blobs.put(b"a")
    assert len(blobs.all()) == 1


def test_what_was_removed_is_gone_and_removing_again_is_no_error(blobs: Blobs) -> None:
    name = blobs.put(b"a")
    assert blobs.has(name)
    for _ in range(2):
        blobs.remove(name)
        assert not blobs.has(name)
    with pytest.raises(NotFound, match=name):
        blobs.get(name)


def test_an_empty_store_has_nothing(blobs: Blobs) -> None:
    assert blobs.all() == []
    assert not blobs.has("0" * 64)


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 63 + "/"])
def test_a_name_is_a_hash_and_no_path(blobs: Blobs, name: str) -> None:
    for ask in (blobs.get, blobs.has, blobs.remove):
        with pytest.raises(NotFound, match="names no blob"):
            ask(name)


def test_a_damaged_blob_is_not_given_out(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"content")
    file_of(blobs, name).write_bytes(b"contend")
    with pytest.raises(StoreError, match="damaged"):
        blobs.get(name)


def test_a_full_disk_leaves_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = Blobs(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left"):
            blobs.put(b"content")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert blobs.get(blobs.put(b"content")) == b"content"


def test_a_blob_is_on_the_disk_and_so_is_its_name_before_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step in its order: content synced, renamed, folder synced, new folder's parent too."""
    steps: list[tuple[str, str]] = []
    sync, replace = os.fsync, Path.replace

    def synced(file: int) -> None:
        steps.append(("sync", Path(os.readlink(f"/proc/self/fd/{file}")).name[:6]))
        sync(file)

    def replaced(self: Path, target: Any) -> Path:
        steps.append(("rename", target.name[:6]))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    name = Blobs(tmp_path / "blobs").put(b"a")
    assert steps == [
        ("sync", tmp_path.name[:6]),
        ("sync", "blobs"),
        ("sync", name[:6]),
        ("rename", name[:6]),
        ("sync", name[:2]),
    ]


def test_threads_that_put_the_same_content_at_once_all_succeed(tmp_path: Path) -> None:
    """With one temporary name for all, one truncates or renames away what another writes."""
    blobs, errors = Blobs(tmp_path), []
    start = threading.Barrier(8)

    def put() -> None:
        start.wait()
        try:
            for number in range(20):
                content = str(number).encode() * 10_000
                assert blobs.get(blobs.put(content)) == content
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(blobs.all()) == 20
    assert not list(tmp_path.rglob("*.part"))

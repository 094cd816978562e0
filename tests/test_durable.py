"""A file is the old one or the new one, whatever stops the writing; nothing is left beside it."""

import os
from pathlib import Path

import pytest

from maskmill.durable import sync_folder, write_atomically


def test_the_new_bytes_replace_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for content in (b"old", b"new and longer", b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_old_bytes_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_and_then_its_folder_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: synced.append(Path(f"/dev/fd/{handle}").is_dir())
    )
    write_atomically(tmp_path / "a.bin", b"new")
    sync_folder(tmp_path)
    assert synced == [False, True, True]

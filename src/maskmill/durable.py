"""Files that are whole whatever happens: killed half-way, or the power gone."""

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that whoever opens it, even after a crash, sees the old bytes or the new.

    Several threads and processes may write the same file at once; one of them is last.

    Args:
        path: The file; its folder exists.
        content: All of it.

    Raises:
        OSError: If it cannot be written; the old bytes are there still.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)  # the rename itself is only durable with its folder


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder outlive a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)

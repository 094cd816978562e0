"""A disk whose power fails: a VFS that logs every write and sync, and rebuilds what was left.

`Disk` gives SQLite files as they are, and keeps a log of what was written, in order. `cut` writes
to a folder what a disk may hold at any point of that log: all that was synced before it, and of
what was not, nothing, some, some in part, or some in another order.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import apsw

Mode = Literal["drop", "torn", "reordered"]
SECTOR = 512
"""A disk writes this many bytes whole; within a longer write, power may fail between two."""


@dataclass
class Step:
    """One thing that was asked of the disk: a write, a truncation, a sync, a removal."""

    file: str
    kind: Literal["write", "truncate", "sync", "remove", "create"]
    offset: int = 0
    data: bytes = b""


@dataclass
class Disk:
    """The log; SQLite reaches it as the file system `name`."""

    name: str
    log: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._vfs = _Recorder(self)

    def unregister(self) -> None:
        self._vfs.unregister()


class _Recorder(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        super().__init__(disk.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is not None and not Path(path).exists():
            self.disk.log.append(Step(Path(path).name, "create"))
        return _File(self.disk, name, path, flags)

    def xDelete(self, path: str, sync: bool) -> None:
        super().xDelete(path, sync)
        self.disk.log.append(Step(Path(path).name, "remove"))


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, path: str | None, flags: list[int]) -> None:
        self._disk, self._name = disk, Path(path).name if path else None
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        if self._name:
            self._disk.log.append(Step(self._name, "write", offset, bytes(data)))

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        if self._name:
            self._disk.log.append(Step(self._name, "truncate", size))

    def xSync(self, flags: int) -> None:
        # The sync itself is left out: the log decides what survives, and tests end sooner.
        if self._name:
            self._disk.log.append(Step(self._name, "sync"))


def cut(log: list[Step], at: int, mode: Mode, folder: Path, rng: random.Random) -> None:
    """Write what a disk may hold whose power failed after `at` steps.

    A file is there as soon as it was made, and gone as soon as it was removed: that a name is on
    the disk is the store's folder sync, which `test_blobs` watches, not SQLite's.
    """
    files: dict[str, bytearray] = {}
    pending: dict[str, list[Step]] = {}
    for step in log[:at]:
        if step.kind in ("create", "remove"):
            files.pop(step.file, None)
            pending.pop(step.file, None)
            if step.kind == "create":
                files[step.file] = bytearray()
            continue
        waiting = pending.setdefault(step.file, [])
        if step.kind == "sync":
            for each in waiting:
                _do(files.setdefault(step.file, bytearray()), each)
            waiting.clear()
        else:
            waiting.append(step)
    for name, waiting in pending.items():
        content = files.setdefault(name, bytearray())
        for each in _survivors(waiting, mode, rng):
            _do(content, each)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _survivors(waiting: list[Step], mode: Mode, rng: random.Random) -> list[Step]:
    """Of what was not synced, what is on the disk nevertheless."""
    if mode == "drop":
        return waiting[: rng.randint(0, len(waiting))] if rng.random() < 0.5 else []
    kept = [step for step in waiting if rng.random() < 0.5]
    if mode == "reordered":
        rng.shuffle(kept)
        return kept
    return [_torn(step, rng) for step in kept]


def _torn(step: Step, rng: random.Random) -> Step:
    whole = len(step.data) // SECTOR
    length = rng.randint(0, whole) * SECTOR
    return Step(step.file, step.kind, step.offset, step.data[:length]) if step.data else step


def _do(content: bytearray, step: Step) -> None:
    if step.kind == "truncate":
        del content[step.offset :]
        return
    end = step.offset + len(step.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[step.offset : end] = step.data

"""The power fails: 200 disks as they may be left, and no acknowledged operation lost on any.

A kill cannot see a missing sync, because the system still writes what the dead process wrote; this
can. The control takes the sync away.
"""

import random
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import text

from maskmill.store import Delete, Edit, Project, Restore
from maskmill.store.changes import Annotation, Change

from . import apsw_driver
from .masks import BAR, BY_PERSON, a_mask, new_image
from .power import Disk, Mode, cut

CUTS = 200


@dataclass
class Recorded:
    """A project that was worked on, its disk's log, and what it had acknowledged by when."""

    folder: Path
    disk: Disk
    acknowledged: list[tuple[int, str]]  # steps of the log when the answer came, operation


@pytest.fixture(params=["FULL"])
def recorded(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recorded]:
    disk = Disk(f"recorder-{request.param}")
    monkeypatch.setattr(apsw_driver, "VFS_NAME", disk.name)
    acknowledged: list[tuple[int, str]] = []
    with Project.create(tmp_path / "project", driver=apsw_driver) as project:
        with project.database._writer.connect() as connection:
            raw = connection.connection.dbapi_connection
            raw.cursor().execute(f"PRAGMA synchronous={request.param}")
            # Small, so that the log begins anew many times, as it does in long use.
            raw.cursor().execute("PRAGMA wal_autocheckpoint=20")
        images = project.images.add([new_image(f"{number}.jpg") for number in range(3)])
        acknowledged.append((len(disk.log), ""))
        latest: list[Annotation] = []
        rng = random.Random(7)
        for number in range(150):
            changes = some_changes(rng, latest, [image.id for image in images])
            made = project.annotations.apply(f"op-{number}", changes, by="ann")
            acknowledged.append((len(disk.log), f"op-{number}"))
            changed = {each.id for each in made}
            latest = [each for each in latest if each.id not in changed] + made
    yield Recorded(project.folder, disk, acknowledged)
    disk.unregister()


def some_changes(rng: random.Random, latest: list[Annotation], images: list[int]) -> list[Change]:
    """One to three changes of what is there, or new masks with some weight."""
    attributes = {"text": "x" * rng.choice([0, 100, 5000])}
    changes: list[Change] = [a_mask(rng.choice(images), attributes=attributes)]
    for each in rng.sample(latest, min(2, len(latest))):
        named = {"annotation_id": each.id, "based_on": each.version}
        if each.deleted:
            changes.append(Restore(**named))
        elif rng.random() < 0.3:
            changes.append(Delete(**named))
        else:
            changes.append(Edit(**named, rle=BAR, made=BY_PERSON))
    return changes[: rng.randint(1, 3)]


def after_a_cut(recorded: Recorded, at: int, mode: Mode, rng: random.Random) -> Counter[str]:
    """Rebuild the disk, open the project on it as after the power is back, and count faults."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cut(recorded.disk.log, at, mode, folder, rng)
        promised = {operation for steps, operation in recorded.acknowledged if steps <= at}
        shutil.copy(recorded.folder / "project.json", folder)
        with closing(sqlite3.connect(folder / "maskmill.db")) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                return Counter(corrupt=1)
        with Project(folder) as project, project.database.read() as connection:
            found = set(connection.execute(text("SELECT operation_id FROM operations")).scalars())
            # What is there is whole: counts, histories and operations tell the same.
            wrong = connection.execute(
                text(
                    "SELECT count(*) FROM images WHERE mask_count != (SELECT count(*) FROM"
                    " annotations a WHERE a.image_id = images.id AND NOT a.deleted)"
                )
            ).scalar_one()
            torn = connection.execute(
                text(
                    "SELECT count(*) FROM annotations a WHERE version - 1 != (SELECT count(*)"
                    " FROM annotation_versions v WHERE v.id = a.id)"
                )
            ).scalar_one()
        lost = promised - {""} - found
        ordered = sorted(int(each.removeprefix("op-")) for each in found)
        gaps = ordered != list(range(len(ordered)))
        return Counter(lost=len(lost), cuts_that_lose=bool(lost), torn=wrong + torn + gaps)


def faults(recorded: Recorded, cuts: int) -> Counter[str]:
    rng, found = random.Random(1), Counter[str](lost=0, corrupt=0, torn=0)
    for number in range(cuts):
        at = rng.randint(recorded.acknowledged[0][0], len(recorded.disk.log))
        found += after_a_cut(recorded, at, get_args(Mode)[number % 3], rng)
    return found


def test_no_power_cut_loses_what_was_acknowledged(recorded: Recorded) -> None:
    assert sum(step.kind == "sync" for step in recorded.disk.log) > len(recorded.acknowledged)
    assert faults(recorded, CUTS) == Counter()


@pytest.mark.parametrize("recorded", ["NORMAL"], indirect=True)
def test_without_a_sync_for_each_operation_many_cuts_lose_some(recorded: Recorded) -> None:
    """Control: SQLite's usual advice for this log, which most tools follow."""
    found = faults(recorded, 30)
    assert found["cuts_that_lose"] > 10
    assert found["corrupt"] == 0  # that much it does promise

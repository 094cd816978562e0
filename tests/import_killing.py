"""An import that is killed at some point and run again, and what the project then holds.

`benchmarks/kill.py --imports` runs this at a hundred points.
"""

import multiprocessing
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from labelled_set import some_images
from sqlalchemy import select

from maskmill.exchange import import_dataset, importing
from maskmill.formats import write_coco
from maskmill.store import Project
from maskmill.store.schema import metadata
from maskmill.store.verify import verify

IMAGES = 60
AT_ONCE = 6
START = multiprocessing.get_context("forkserver")
START.set_forkserver_preload(["maskmill.exchange", "sqlalchemy.dialects.sqlite"])
NOT_COMPARED = {"sequence", "at", "added_at", "created_at", "uid"}
"""Clocks, and the numbers of operations, of which a repetition takes some."""


def make_dataset(folder: Path) -> Path:
    """Write a COCO file of some images in two folders of the same names."""
    images = [replace(image, split=None) for image in some_images(folder / "photos", IMAGES)]
    write_coco(folder / "set.json", images)
    return folder / "set.json"


def run_import(project: Path, dataset: Path, ahead: bool, saying: Connection | None = None) -> None:
    """Import in small batches, with or without a process that reads ahead."""
    importing.MASKS_AT_ONCE, importing.LARGE_FILE = AT_ONCE, 0 if ahead else 1 << 30
    with Project(project) as opened:
        say = None if saying is None else lambda _: saying.send_bytes(b"batch")
        import_dataset(opened, dataset, by="ann", progress=say)


def contents(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of a project, as values, without clocks."""
    found = {}
    with Project(folder) as project, project.database.read() as connection:
        for table in metadata.sorted_tables:
            kept = [column for column in table.columns if column.name not in NOT_COMPARED]
            rows = connection.execute(select(*kept)).all()
            found[table.name] = sorted(tuple(map(repr, row)) for row in rows)
    found["projects"] = []
    return found


def kill_imports(folder: Path, kills: int, *, seed: int = 0, ahead: bool = True) -> Iterator[bool]:
    """Kill an import, run it again, and say whether the project is that of a whole import."""
    rng = random.Random(seed)
    dataset = make_dataset(folder)
    Project.create(folder / "whole").close()
    run_import(folder / "whole", dataset, ahead)
    expected = contents(folder / "whole")
    batches = len(expected["operations"]) * 3 // AT_ONCE
    for number in range(kills):
        project = folder / f"killed {number}"
        Project.create(project).close()
        hearing, saying = START.Pipe(duplex=False)
        arguments = [project, dataset, ahead, saying]
        child = START.Process(target=run_import, args=arguments, daemon=False)
        child.start()
        saying.close()
        try:
            for _ in range(number * batches // max(kills, 1)):
                hearing.recv_bytes()
        except EOFError:
            pass
        time.sleep(rng.uniform(0, 0.02))
        child.kill()
        child.join()
        hearing.close()
        run_import(project, dataset, ahead)
        with Project(project) as opened:
            problems = list(verify(opened))
        yield contents(project) == expected and not problems
        shutil.rmtree(project)

"""Writers who all count up the same masks, as threads or as processes.

Each edit reads a mask, adds one to its number and writes it; who comes too late reads it anew. The
numbers then add up to the edits, or an edit was lost.
"""

import multiprocessing
import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path

from maskmill.errors import Conflict
from maskmill.store import Edit, Project, annotations

START = multiprocessing.get_context("forkserver")
START.set_forkserver_preload(["maskmill.store", "psycopg", "pytest"])


def count_up(project: Project, ids: Sequence[int], name: int, edits: int) -> int:
    """Make some edits; returns how often another was faster."""
    rng, conflicts = random.Random(name), 0
    for number in range(edits):
        chosen = rng.choice(ids)
        while True:
            current = project.annotations.get(chosen)
            assert current.attributes is not None
            edit = Edit(
                annotation_id=chosen,
                based_on=current.version,
                attributes={"n": current.attributes["n"] + 1},
            )
            try:
                project.annotations.apply(f"{name}-{number}-{conflicts}", [edit], by=str(name))
                break
            except Conflict:
                conflicts += 1
    return conflicts


def as_threads(
    folder: Path, ids: Sequence[int], writers: int, edits: int, checked: bool, answer: object
) -> None:
    """Run in a process of its own: threads that share one project; answers their errors."""
    if not checked:
        annotations._refuse_stale = lambda *_: None
    errors: list[str] = []
    with Project(folder) as project:

        def work(name: int) -> None:
            try:
                count_up(project, ids, name, edits)
            except Exception as error:
                errors.append(repr(error))

        threads = [threading.Thread(target=work, args=[name]) for name in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    answer.send(errors)  # type: ignore[attr-defined]


def as_process(
    folder: Path, ids: Sequence[int], name: int, edits: int, checked: bool, url: str
) -> None:
    """One writer of many processes; its exit code says whether it had an error."""
    os.environ["MASKMILL_DATABASE_URL"] = url
    if not checked:
        annotations._refuse_stale = lambda *_: None
    with Project(folder) as project:
        count_up(project, ids, name, edits)

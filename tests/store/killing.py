"""A process that writes until it is killed, and the count of what it had said was done.

`benchmarks/kill.py` runs this for longer. Children fork from a server that has imported the store,
so that most of a second goes into writing and not into starting.
"""

import multiprocessing
import random
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import text

from maskmill.store import Edit, Project

from .masks import BAR, BY_PERSON, a_mask

THREADS = 4
START = multiprocessing.get_context("forkserver")
START.set_forkserver_preload(["maskmill.store", "sqlalchemy.dialects.sqlite", "pytest"])


@dataclass
class Tally:
    """What some kills left."""

    acknowledged: int = 0
    lost: int = 0
    corrupt: int = 0
    reopened_s: list[float] = field(default_factory=list)


def write(folder: Path, round_number: int, answers: Connection, *, early: bool) -> None:
    """Write from several threads and say what is done, or, as a control, what is about to be."""
    project, sending = Project(folder), threading.Lock()

    def say(operation: str) -> None:
        with sending:
            answers.send_bytes(operation.encode())

    def client(number: int) -> None:
        for step in count():
            operation = f"{round_number}-{number}-{step}"
            if early:
                say(operation)
            (made,) = project.annotations.apply(operation, [a_mask(1)], by="ann")
            if not early:
                say(operation)
            if step % 3 == 0:
                edit = Edit(annotation_id=made.id, based_on=1, rle=BAR, made=BY_PERSON)
                project.annotations.apply(f"{operation}-edit", [edit], by="ann")

    for number in range(THREADS):
        threading.Thread(target=client, args=[number]).start()


def kill(folder: Path, kills: int, *, early: bool = False, seed: int = 0) -> Tally:
    """Kill a writer so many times, and look each time for what it had acknowledged."""
    rng, tally, promised = random.Random(seed), Tally(), set[str]()
    for number in range(kills):
        hearing, saying = START.Pipe(duplex=False)
        child = START.Process(
            target=write, args=[folder, number, saying], kwargs={"early": early}, daemon=True
        )
        child.start()
        saying.close()
        for _ in range(rng.randint(1, 30)):  # it is at work
            promised.add(hearing.recv_bytes().decode())
        time.sleep(rng.uniform(0, 0.01))
        child.kill()
        child.join()
        try:
            while True:
                promised.add(hearing.recv_bytes().decode())
        except (EOFError, OSError):  # the last word may have been cut off
            hearing.close()
        began = time.perf_counter()
        with Project(folder) as project, project.database.read() as connection:
            found = set(connection.execute(text("SELECT operation_id FROM operations")).scalars())
        tally.reopened_s.append(time.perf_counter() - began)
        with closing(sqlite3.connect(folder / "maskmill.db")) as other:
            tally.corrupt += other.execute("PRAGMA integrity_check").fetchall() != [("ok",)]
        tally.acknowledged, tally.lost = len(promised), len(promised - found)
    return tally

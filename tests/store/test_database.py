"""Full disks, locks that others hold, and connections that die: one sentence, and nothing lost."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from maskmill.errors import ConfigError, StoreError
from maskmill.store import Project, database
from maskmill.store.database import postgresql_url as read_url
from maskmill.store.database import sqlite_url
from maskmill.store.project import DATABASE_VARIABLE
from maskmill.store.verify import verify

from .conftest import Creator
from .masks import a_mask, add_image, rectangle

HERE = Path(__file__).parent


def numbers_kept(project: Project, image_id: int) -> set[str]:
    """The operations whose masks are there."""
    return {each.operation_id for each in project.annotations.of_image(image_id)}


def integrity(project: Project) -> str:
    with closing(sqlite3.connect(project.folder / "maskmill.db")) as other:
        return str(other.execute("PRAGMA integrity_check").fetchone()[0])


def wide(number: int) -> dict[str, Any]:
    """Attributes that fill about a page."""
    return {"attributes": {"text": f"{number:04}" * 1000}}


@pytest.mark.parametrize("room", range(0, 60, 4))
def test_a_full_disk_loses_nothing_that_was_acknowledged(
    sqlite_project: Project, room: int
) -> None:
    project, image = sqlite_project, add_image(sqlite_project)
    with project.database.write() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count={pages + room}"))
    acknowledged, said = set(), ""
    for number in range(100):
        try:
            project.annotations.apply(str(number), [a_mask(image.id, **wide(number))], by="ann")
            acknowledged.add(str(number))
        except StoreError as error:
            said = str(error)
            break
    assert said.endswith("full; nothing was changed: make room on the disk and try again")
    assert numbers_kept(project, image.id) == acknowledged
    assert project.images.get(image.id).mask_count == len(acknowledged) < 100
    with project.database.write() as connection:
        connection.execute(text("PRAGMA max_page_count=1000000"))
    refused = str(len(acknowledged))  # the same operation again, now that there is room
    project.annotations.apply(refused, [a_mask(image.id, **wide(int(refused)))], by="ann")
    assert numbers_kept(project, image.id) == acknowledged | {refused}
    assert integrity(project) == "ok"


@pytest.mark.parametrize("room", [3, 17, 40])
def test_a_disk_that_fills_up_while_two_write_loses_nothing_of_either(
    sqlite_project: Project, room: int
) -> None:
    project, image = sqlite_project, add_image(sqlite_project)
    with project.database.write() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count={pages + room}"))
    acknowledged: set[str] = set()
    refused: list[str] = []

    def write(name: str) -> None:
        for number in range(100):
            operation = f"{name} {number}"
            try:
                project.annotations.apply(operation, [a_mask(image.id, **wide(number))], by=name)
                acknowledged.add(operation)
            except StoreError:
                refused.append(operation)
                return

    writers = [threading.Thread(target=write, args=(name,)) for name in ("ann", "bob")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(refused) == 2
    assert numbers_kept(project, image.id) == acknowledged
    with project.database.write() as connection:
        connection.execute(text("PRAGMA max_page_count=1000000"))
    for operation in refused:  # both try again, under the names that they had
        asked = [a_mask(image.id, **wide(int(operation.split()[1])))]
        project.annotations.apply(operation, asked, by=operation.split()[0])
    assert numbers_kept(project, image.id) == acknowledged | set(refused)
    assert not list(verify(project, files=False))


FILE_LIMIT = """
import json, resource, signal, sys
from pathlib import Path
from maskmill.errors import StoreError
from maskmill.store import Project
from store.masks import a_mask

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
project = Project(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
kept, said = [], ""
for number in range(200):
    asked = [a_mask(1, attributes={"text": "x" * 4000})]
    try:
        project.annotations.apply(str(number), asked, by="ann")
    except StoreError as error:
        said = str(error)
        break
    kept.append(str(number))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
project.annotations.apply("after", asked, by="ann")
kept.append("after")
print(json.dumps([kept, said]))
"""


@pytest.mark.parametrize("limit", [200_000, 333_333])
def test_a_file_that_may_not_grow_loses_nothing_that_was_acknowledged(
    sqlite_project: Project, limit: int
) -> None:
    image = add_image(sqlite_project)
    assert image.id == 1
    sqlite_project.close()
    done = subprocess.run(
        [sys.executable, "-c", FILE_LIMIT, str(sqlite_project.folder), str(limit)],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[1])]),
        },
    )
    assert done.returncode == 0, done.stderr
    kept, said = json.loads(done.stdout)
    assert said.endswith("nothing was changed: make room on the disk and try again"), said
    assert 1 < len(kept) < 200
    with Project(sqlite_project.folder) as again:
        assert numbers_kept(again, image.id) == set(kept)
        assert integrity(again) == "ok"


@contextmanager
def held(project: Project, seconds: float) -> Iterator[threading.Thread]:
    """Another program that writes to the file for some time."""
    locked = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(project.folder / "maskmill.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            locked.set()
            time.sleep(seconds)
            other.rollback()

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait()
    yield thread
    thread.join()


def test_a_lock_that_another_program_holds_for_a_moment_is_waited_for(
    sqlite_project: Project,
) -> None:
    image = add_image(sqlite_project)
    with held(sqlite_project, 0.1):
        began = time.monotonic()
        sqlite_project.annotations.apply("one", [a_mask(image.id)], by="ann")
        assert time.monotonic() - began > 0.05


def test_a_lock_held_for_longer_is_said_to_be_held_and_reading_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with Project.create(tmp_path / "p") as project:
        image = add_image(project)
        project.annotations.apply("one", [a_mask(image.id)], by="ann")
        with held(project, 1.0):
            began = time.monotonic()
            with pytest.raises(StoreError, match="another program holds the file"):
                project.annotations.apply("two", [a_mask(image.id)], by="ann")
            assert 0.1 < time.monotonic() - began < 0.9
            assert numbers_kept(project, image.id) == {"one"}
        project.annotations.apply("two", [a_mask(image.id)], by="ann")
        assert numbers_kept(project, image.id) == {"one", "two"}


def test_a_writer_that_takes_long_on_postgresql_is_waited_for_and_then_named(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, postgresql_url)
    monkeypatch.setattr(database, "TURN_SECONDS", 0.3)
    with Project.create(tmp_path / "p") as project, psycopg.connect(postgresql_url) as other:
        image = add_image(project)
        other.execute("SELECT 1 FROM projects WHERE id = %s FOR UPDATE", [project.id])
        with pytest.raises(StoreError, match="another writer takes long; try again"):
            project.annotations.apply("one", [a_mask(image.id)], by="ann")
        waiting = threading.Timer(0.1, other.rollback)
        waiting.start()
        project.annotations.apply("one", [a_mask(image.id)], by="ann")
        waiting.join()
        assert numbers_kept(project, image.id) == {"one"}


def test_readers_of_a_file_wait_for_one_another_and_then_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "TURN_SECONDS", 0.1)
    monkeypatch.setattr(database, "READERS", 1)
    with Project.create(tmp_path / "p") as project:
        with project.database.read(), pytest.raises(StoreError, match="too many are reading"):
            project.images.count()
        assert project.images.count() == 0


def test_a_connection_that_died_is_replaced(create: Creator, postgresql_url: str) -> None:
    project = create()
    if project.database.kind == "sqlite":
        return  # has none that others can end
    image = add_image(project)
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        end_all = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
        other.execute(end_all)
        project.annotations.apply("one", [a_mask(image.id)], by="ann")

        def cut_off() -> None:
            with project.database.write() as connection:
                connection.execute(text("UPDATE images SET mask_count = 77"))
                other.execute(end_all)
                connection.execute(text("SELECT 1"))

        with pytest.raises(StoreError, match="connection was lost, and what was asked last may"):
            cut_off()
    assert project.images.get(image.id).mask_count == 1
    project.annotations.apply("two", [a_mask(image.id)], by="ann")
    assert numbers_kept(project, image.id) == {"one", "two"}


def test_a_server_that_answers_early_is_told_not_to(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        name = other.info.dbname
        other.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        other.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
        try:
            monkeypatch.setenv(DATABASE_VARIABLE, postgresql_url)
            with (
                Project.create(tmp_path / "p") as project,
                project.database.write() as connection,
            ):
                settings = ("synchronous_commit", "transaction_isolation")
                found = [
                    connection.execute(text(f"SHOW {setting}")).scalar_one() for setting in settings
                ]
        finally:
            other.execute(f"ALTER DATABASE {name} RESET ALL")
    assert found == ["on", "read committed"]


def test_a_database_that_cannot_keep_every_text_is_refused(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        name = f"latin_{other.info.backend_pid}"
        other.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
        url = read_url(postgresql_url).set(database=name).render_as_string(hide_password=False)
        monkeypatch.setenv(DATABASE_VARIABLE, url)
        with pytest.raises(ConfigError, match="LATIN1; create one with ENCODING 'UTF8'"):
            Project.create(tmp_path / "p")
        other.execute(f"DROP DATABASE {name}")


def test_an_error_in_the_middle_undoes_all_of_the_transaction(project: Project) -> None:
    class Interrupted(BaseException):
        pass

    image = add_image(project)

    def interrupted() -> None:
        with project.database.write() as connection:
            connection.execute(text(f"UPDATE images SET mask_count = 77 WHERE id = {image.id}"))
            raise Interrupted

    with pytest.raises(Interrupted):
        interrupted()
    assert project.images.get(image.id).mask_count == 0
    project.annotations.apply("one", [a_mask(image.id)], by="ann")


def test_writing_promises_the_disk_and_reading_changes_nothing(sqlite_project: Project) -> None:
    with sqlite_project.database.write() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "query_only")
        found = [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in asked]
    assert found == ["wal", 2, 1, 0]  # 2 is FULL
    with sqlite_project.database.read() as connection:
        assert connection.execute(text("PRAGMA query_only")).scalar_one() == 1
        assert connection.execute(text("PRAGMA wal_autocheckpoint")).scalar_one() == 0


def test_a_write_takes_its_turn_before_it_reads(sqlite_project: Project) -> None:
    """A deferred one that reads first fails as soon as another has written (P4)."""
    with (
        sqlite_project.database.write(),
        closing(sqlite3.connect(sqlite_project.folder / "maskmill.db", timeout=0)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")


def test_a_mask_of_any_size_is_kept_whole(project: Project) -> None:
    image = add_image(project)
    asked = [a_mask(image.id, rectangle(0, 0, 8, 6)), a_mask(image.id, rectangle(7, 5, 8, 6))]
    made = project.annotations.apply("one", asked, by="ann")
    assert [each.rle for each in project.annotations.of_image(image.id)] == [
        each.rle for each in asked
    ]
    assert [each.area for each in made] == [48, 1]


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "a&b=c", ":memory:"])
def test_the_address_of_a_file_names_that_file(tmp_path: Path, name: str) -> None:
    assert sqlite_url(tmp_path / name).database == str(tmp_path / name)
    assert dict(sqlite_url(tmp_path / name).query) == {}

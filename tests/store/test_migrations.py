"""Old projects brought to today's schema: as if made today, or left as they were.

`schemas/version_N.DATABASE.sql` is what the maskmill that released schema N made, with rows in it.
A dump is never changed once released. `MASKMILL_WRITE_SCHEMA=1` writes that of today's version.
"""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, func, inspect, select, text

from maskmill.errors import StoreError
from maskmill.store import Project, migrations
from maskmill.store.database import Database, postgresql_url, sqlite_url
from maskmill.store.migrations import VERSION, migrate, version_of
from maskmill.store.schema import annotations, images, metadata

from .masks import a_mask, add_image
from .test_schema import filled

SCHEMAS = Path(__file__).parent / "schemas"
Step = Callable[[Connection], None]


class Place:
    """A database of one test's own, on either kind; it can be emptied, dumped and loaded."""

    def __init__(self, kind: str, folder: Path, server: str | None) -> None:
        self.kind, self._server, self._file = kind, server, folder / "own.db"
        self.url = sqlite_url(self._file)
        if server is not None:
            self._name = f"own_{os.getpid()}_{abs(hash(folder))}"
            self._admin(f"CREATE DATABASE {self._name}")
            self.url = postgresql_url(server).set(database=self._name)

    def _admin(self, statement: str) -> None:
        assert self._server is not None
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def load(self, script: str) -> None:
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self._file)) as connection:
                connection.executescript(script)
            return
        plain = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(plain, autocommit=True) as connection:
            connection.execute(script)  # type: ignore[call-overload]

    def remove(self) -> None:
        if self.kind == "postgresql":
            self._admin(f"DROP DATABASE {self._name} WITH (FORCE)")


@pytest.fixture
def place(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    server = None
    if database_kind == "postgresql":
        server = request.getfixturevalue("postgresql_url")
    made = Place(database_kind, tmp_path, server)
    yield made
    made.remove()


def described(database: Database) -> dict[str, object]:
    """All that a database says of its tables, in an order of its own."""
    with database.read() as connection:
        look = inspect(connection)
        return {
            name: {
                "columns": [
                    {**column, "type": repr(column["type"])} for column in look.get_columns(name)
                ],
                "key": look.get_pk_constraint(name),
                "foreign": sorted(map(repr, look.get_foreign_keys(name))),
                "unique": sorted(map(repr, look.get_unique_constraints(name))),
                "indexes": sorted(map(repr, look.get_indexes(name))),
            }
            for name in sorted(look.get_table_names())
        }


def today(place: Place) -> dict[str, object]:
    """The description of tables made today, in an empty database."""
    database = Database(place.url)
    migrate(database)
    found = described(database)
    with database.rebuild() as connection:
        metadata.drop_all(connection)
    database.close()
    return found


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_a_released_schema_is_brought_to_todays_with_its_rows(place: Place, version: int) -> None:
    expected = today(place)
    place.load((SCHEMAS / f"version_{version}.{place.kind}.sql").read_text("utf-8"))
    database = Database(place.url)
    migrate(database)
    assert described(database) == expected
    with database.read() as connection:
        assert version_of(connection) == VERSION
        for table, rows in ((images, 1), (annotations, 1)):
            assert connection.execute(select(func.count()).select_from(table)).scalar() == rows
    database.close()


def test_a_schema_that_differs_is_noticed(place: Place) -> None:
    """Control: a column less, an index less, a rule less."""
    expected = today(place)
    script = (SCHEMAS / f"version_{VERSION}.{place.kind}.sql").read_text("utf-8")
    place.load(script)
    database = Database(place.url)
    for change in (
        "ALTER TABLE jobs DROP COLUMN message",
        "DROP INDEX ix_images_group",
        "DROP TABLE metrics",
    ):
        with database.rebuild() as connection:
            connection.execute(text(change))
        assert described(database) != expected
        expected = described(database)
    database.close()


def a_column(connection: Connection) -> None:
    connection.execute(text("ALTER TABLE images ADD COLUMN country VARCHAR"))
    connection.execute(text("UPDATE images SET country = 'SE'"))
    connection.execute(text("CREATE INDEX ix_images_country ON images (project_id, country)"))


RELEASED = migrations.MIGRATIONS


def with_steps(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> None:
    """Let today's version be followed by further ones."""
    monkeypatch.setattr(migrations, "MIGRATIONS", (*RELEASED, *steps))
    monkeypatch.setattr(migrations, "VERSION", VERSION + len(steps))


@pytest.fixture
def old(place: Place) -> Iterator[Database]:
    """A database of today's schema with rows, which further versions make an old one."""
    place.load((SCHEMAS / f"version_{VERSION}.{place.kind}.sql").read_text("utf-8"))
    database = Database(place.url)
    yield database
    database.close()


class Stopped(Exception):
    """A fault in the middle of a migration."""


def stopping(step: Step, after: int) -> Step:
    """The same step, which fails after some of its statements."""

    def stopped(connection: Connection) -> None:
        counted = 0

        class Counting:
            def execute(self, statement: object) -> None:
                nonlocal counted
                if counted == after:
                    raise Stopped
                counted += 1
                connection.execute(statement)  # type: ignore[call-overload]

        step(Counting())  # type: ignore[arg-type]
        raise Stopped  # after the last statement, before the number is written

    return stopped


@pytest.mark.parametrize("after", range(4))
def test_a_migration_that_stops_anywhere_leaves_the_old_version(
    old: Database, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    before = described(old)
    with_steps(monkeypatch, stopping(a_column, after))
    with pytest.raises(Stopped):
        migrate(old)
    assert described(old) == before
    with_steps(monkeypatch, a_column)
    migrate(old)
    with old.read() as connection:
        assert version_of(connection) == VERSION + 1
        assert connection.execute(text("SELECT country FROM images")).scalars().all() == ["SE"]


def test_statements_that_commit_by_themselves_would_stay_between(
    old: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: the same fault without the transaction leaves neither the old nor the new."""

    def by_itself(_: Connection) -> None:
        place.load("ALTER TABLE images ADD COLUMN country VARCHAR")
        raise Stopped

    before = described(old)
    with pytest.raises(Stopped):
        by_itself(None)  # type: ignore[arg-type]
    assert described(old) != before


def test_of_several_steps_those_before_the_fault_are_kept(
    old: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Connection) -> None:
        raise Stopped

    with_steps(monkeypatch, a_column, fail)
    with pytest.raises(Stopped):
        migrate(old)
    with old.read() as connection:
        assert version_of(connection) == VERSION + 1


def test_rebuilding_a_table_keeps_the_rows_that_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(project: Project) -> int:
        return len(project.annotations.since(0))

    def rebuilt(connection: Connection) -> None:
        made = connection.execute(
            text("SELECT sql FROM sqlite_master WHERE name = 'projects'")
        ).scalar_one()
        connection.execute(text(made.replace("TABLE projects", "TABLE later")))
        connection.execute(text("INSERT INTO later SELECT * FROM projects"))
        connection.execute(text("DROP TABLE projects"))
        connection.execute(text("ALTER TABLE later RENAME TO projects"))

    def with_foreign_keys_on(project: Project) -> None:
        with project.database.write() as connection:
            rebuilt(connection)
            assert connection.execute(text("SELECT count(*) FROM annotations")).scalar() == 0
            raise Stopped

    with Project.create(tmp_path / "p") as project:
        project.annotations.apply("one", [a_mask(add_image(project).id)], by="ann")
        # Control: with foreign keys on, dropping the table takes with it all that names it.
        with pytest.raises(Stopped):
            with_foreign_keys_on(project)
        assert rows(project) == 1
    with_steps(monkeypatch, rebuilt)
    with Project(tmp_path / "p") as project:
        assert rows(project) == 1
        with project.database.write() as connection:
            assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1


def test_a_migration_that_leaves_a_dangling_row_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dangling(connection: Connection) -> None:
        connection.execute(text("DELETE FROM images"))

    with Project.create(tmp_path / "p") as project:
        project.annotations.apply("one", [a_mask(add_image(project).id)], by="ann")
    with monkeypatch.context() as patch:
        with_steps(patch, dangling)
        with pytest.raises(StoreError, match="names one of images that is not there"):
            Project(tmp_path / "p")
    with Project(tmp_path / "p") as project:
        assert project.images.count() == 1


def test_an_old_project_is_not_brought_up_by_a_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Project.create(tmp_path / "p").close()
    with_steps(monkeypatch, a_column)
    with pytest.raises(
        StoreError, match=f"schema {VERSION}, this maskmill works with {VERSION + 1}; open"
    ):
        Project(tmp_path / "p", writes=False)
    Project(tmp_path / "p").close()
    Project(tmp_path / "p", writes=False).close()


FIRST = """
import sys
from sqlalchemy import make_url
from maskmill.store.database import Database
from maskmill.store.migrations import migrate
sys.stdin.readline()
migrate(Database(make_url(sys.argv[1])))
"""


def test_processes_that_open_a_new_database_at_once_make_its_tables_once(place: Place) -> None:
    if place.kind == "sqlite":
        return  # one process holds a SQLite project, see test_project
    url = place.url.render_as_string(hide_password=False)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST, url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    told = [each.communicate()[1] for each in started]
    assert told == ["", "", ""]
    database = Database(place.url)
    with database.read() as connection:
        assert connection.execute(text("SELECT version FROM schema_version")).all() == [(VERSION,)]
    database.close()


def test_the_dump_of_todays_version_is_that_of_todays_tables(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """So that a schema is not changed without a migration."""
    path = SCHEMAS / f"version_{VERSION}.{database_kind}.sql"
    if os.environ.get("MASKMILL_WRITE_SCHEMA"):
        server = None
        if database_kind == "postgresql":
            server = request.getfixturevalue("postgresql_url")
        path.write_text(dump(database_kind, tmp_path, server), "utf-8")
    assert path.is_file()


def dump(kind: str, folder: Path, server: str | None) -> str:
    """What today's maskmill makes of a project with a row in every table, as SQL."""
    if kind == "sqlite":
        with Project.create(folder / "dumped") as project:
            filled(project)
        with closing(sqlite3.connect(folder / "dumped" / "maskmill.db")) as connection:
            return "\n".join(connection.iterdump()) + "\n"
    assert server is not None
    place = Place(kind, folder / "dumped", server)
    os.environ["MASKMILL_DATABASE_URL"] = place.url.render_as_string(hide_password=False)
    with Project.create(folder / "dumped") as project:
        filled(project)
    plain = place.url.set(drivername="postgresql").render_as_string(hide_password=False)
    options = ["--no-owner", "--no-privileges", "--inserts", "--column-inserts"]
    done = subprocess.run(["pg_dump", *options, plain], capture_output=True, text=True, check=True)
    place.remove()
    # Settings that this server knows need not be known to another.
    kept = re.sub(r"(?m)^(SET|SELECT pg_catalog\.set_config|\\).*\n|^--.*\n", "", done.stdout)
    return re.sub(r"\n{2,}", "\n", kept)

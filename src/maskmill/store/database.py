"""One database, one writer: connections, transactions and their promises.

A write transaction begins by taking the project's row, so that writers come one after another on
either database and each finds the state that its checks are made on. On SQLite all writing goes
through one connection of one process: `BEGIN IMMEDIATE`, `synchronous=FULL`, and only that
connection checkpoints, which also keeps clear of the WAL-reset bug of SQLite before 3.51.3 (it
needs two connections that write or checkpoint). `docs/decisions/store.md` says more.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool, StaticPool

from maskmill.errors import ConfigError, StoreError
from maskmill.store.schema import projects

BUSY_SECONDS = 10
"""How long a transaction waits for a lock that another program holds on the file."""
READERS = 8
"""Connections that read at once; more wait for one of them."""


class Database:
    """Where a project's rows live: a SQLite file, or PostgreSQL.

    Args:
        url: SQLAlchemy's URL; `sqlite:///path` or `postgresql+psycopg://...`.
        writes: Whether this process may write.
        driver: Another DB-API module for SQLite; the tests' power cuts come in here.

    Raises:
        ConfigError: If the URL names another kind of database.
    """

    def __init__(self, url: str, *, writes: bool = True, driver: ModuleType | None = None) -> None:
        self.url = make_url(url)
        self.writes = writes
        self.kind = self.url.get_backend_name()
        self._turn = threading.Lock()
        if self.kind == "sqlite":
            extra: dict[str, Any] = {} if driver is None else {"module": driver}
            self._writer = _sqlite(url, StaticPool, writes=writes, **extra)
            self._readers = _sqlite(url, QueuePool, writes=False, pool_size=READERS, **extra)
        elif self.kind == "postgresql":
            self._writer = self._readers = create_engine(self.url, pool_pre_ping=True)
        else:
            raise ConfigError(
                f"database {self.url.render_as_string()} is of a kind that maskmill does not know; "
                "use postgresql://USER:PASSWORD@HOST/NAME, or unset MASKMILL_DATABASE_URL"
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database, and never waits for a writer."""
        with _in_words(self.url.render_as_string()), self._readers.connect() as connection:
            if self.kind == "postgresql":
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that writes; when this returns, what was written is on the disk.

        Raises:
            StoreError: If the database cannot be written: full, locked, damaged, gone. Nothing of
                the transaction remains then, and a later one may succeed.
        """
        if not self.writes:
            raise StoreError("this project was opened for reading; open it for writing")
        with _in_words(self.url.render_as_string()):
            if self.kind == "postgresql":
                with self._writer.begin() as connection:
                    yield connection
                return
            with self._turn, self._writer.begin() as connection:
                yield connection

    def close(self) -> None:
        """Close all connections; the writer last, whose closing checkpoints the log."""
        self._readers.dispose()
        self._writer.dispose()


def next_sequence(connection: Connection, project_id: int, count: int = 1) -> int:
    """Take `count` numbers in the order of changes, and with them the project's turn to write.

    Returns:
        The first of the numbers.
    """
    statement = (
        update(projects)
        .where(projects.c.id == project_id)
        .values(sequence=projects.c.sequence + count)
        .returning(projects.c.sequence)
    )
    last: int = connection.execute(statement).scalar_one()
    return last - count + 1


def project_id_of(connection: Connection, uid: str) -> int | None:
    """Find the row of a project by the name that its folder carries."""
    return connection.execute(select(projects.c.id).where(projects.c.uid == uid)).scalar()


def now() -> float:
    """Tell the time, seconds since 1970; it informs people and orders nothing."""
    return time.time()


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def _sqlite(url: str, pool: type, *, writes: bool, **extra: Any) -> Engine:
    engine = create_engine(
        url,
        poolclass=pool,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
        **extra,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA cache_size=-65536")  # KiB
        if writes:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
        else:
            cursor.execute("PRAGMA query_only=ON")
            cursor.execute("PRAGMA wal_autocheckpoint=0")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _in_words(database: str) -> Iterator[None]:
    """Turn what a driver says into what a person can do; nothing was written when this speaks."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
        raise StoreError(f"{database}: {said}; {_next_step(error, said.lower())}") from error


def _next_step(error: DBAPIError, said: str) -> str:
    if "full" in said or "disk i/o" in said or "no space" in said or "too big" in said:
        return "nothing was changed: make room on the disk and try again"
    if "locked" in said or "busy" in said:
        return "another program holds the file: close it and try again"
    if "malformed" in said or "not a database" in said:
        return "the file is damaged: restore the last backup, or run `maskmill verify`"
    if "readonly" in said or "permission" in said or "unable to open" in said:
        return "check the folder's permissions and try again"
    if isinstance(error, OperationalError):
        return "nothing was changed: check that the database can be reached and try again"
    return "nothing was changed; please report this"

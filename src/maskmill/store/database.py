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

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, update
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool, StaticPool

from maskmill.errors import ConfigError, StoreError
from maskmill.store.schema import projects

BUSY_SECONDS: float = 10
"""How long a transaction waits for a lock that another program holds on the file."""
TURN_SECONDS: float = 60
"""How long one waits on PostgreSQL for another writer's transaction, and for a connection."""
READERS = 8
"""Connections that read at once; more wait for one of them."""


class Database:
    """Where a project's rows live: a SQLite file, or PostgreSQL.

    Args:
        url: SQLAlchemy's URL; see `sqlite_url` and `postgresql_url`.
        writes: Whether this process may write.
        driver: Another DB-API module for SQLite; the tests' power cuts come in here.
    """

    def __init__(self, url: URL, *, writes: bool = True, driver: ModuleType | None = None) -> None:
        self.url = url
        self.writes = writes
        self.kind = url.get_backend_name()
        self._turn = threading.Lock()
        if self.kind == "sqlite":
            extra: dict[str, Any] = {} if driver is None else {"module": driver}
            self._writer = _sqlite(url, StaticPool, writes=writes, **extra)
            self._readers = _sqlite(
                url,
                QueuePool,
                writes=False,
                pool_size=READERS,
                max_overflow=0,
                pool_timeout=TURN_SECONDS,
                **extra,
            )
        else:
            self._writer = self._readers = _postgresql(url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the database, and never waits for a writer."""
        with _in_words(self._shown), self._readers.connect() as connection:
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
                the transaction remains then, and a later one may succeed. Only a connection lost
                while it was committed leaves that open, and the message says so.
        """
        if not self.writes:
            raise StoreError("this project was opened for reading; open it for writing")
        with _in_words(self._shown):
            if self.kind == "postgresql":
                with self._writer.begin() as connection:
                    yield connection
                return
            with self._turn, self._writer.begin() as connection:
                yield connection

    @contextmanager
    def rebuild(self) -> Iterator[Connection]:
        """Open a transaction that may change the tables themselves.

        SQLite changes a table by making another and dropping the first, and with foreign keys on,
        that deletes every row that names it. So they are off here, and checked at the end.
        """
        if self.kind == "postgresql":
            with self.write() as connection:
                yield connection
            return
        self._foreign_keys("OFF")
        try:
            with self.write() as connection:
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken is not None:
                    raise StoreError(
                        f"{self._shown}: a row of {broken[0]} names one of {broken[2]} that is not "
                        "there; nothing was changed: restore the last backup, or run "
                        "`maskmill verify`"
                    )
        finally:
            self._foreign_keys("ON")

    def close(self) -> None:
        """Close all connections; the writer last, whose closing checkpoints the log."""
        self._readers.dispose()
        self._writer.dispose()

    @property
    def _shown(self) -> str:
        if self.kind == "sqlite":
            return str(self.url.database)
        return self.url.render_as_string(hide_password=True)

    def _foreign_keys(self, state: str) -> None:
        """Switch SQLite's foreign keys on the writing connection, outside a transaction."""
        with _in_words(self._shown), self._turn, self._writer.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.cursor().execute(f"PRAGMA foreign_keys={state}").close()


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


def sqlite_url(path: Path) -> URL:
    """Return the URL of a SQLite file, whatever signs its name has."""
    return URL.create("sqlite", database=str(path.absolute()))


def postgresql_url(text: str) -> URL:
    """Read what people write for a PostgreSQL database: `postgresql://USER:PASSWORD@HOST/NAME`.

    Raises:
        ConfigError: If it is no URL, or names another kind of database.
    """
    allowed = "use postgresql://USER:PASSWORD@HOST/NAME, or unset MASKMILL_DATABASE_URL"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # What was given may hold a password, so it is not shown.
        raise ConfigError(f"the database's address is no URL; {allowed}") from None
    if url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigError(
            f"database {url.render_as_string(hide_password=True)} is of a kind that maskmill does "
            f"not know; {allowed}"
        )
    return url.set(drivername="postgresql+psycopg")


def _sqlite(url: URL, pool: type, *, writes: bool, **extra: Any) -> Engine:
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
            (mode,) = cursor.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise StoreError(
                    f"{url.database}: its file system cannot keep a write-ahead log ({mode}); move "
                    "the project to a local disk"
                )
            cursor.execute("PRAGMA synchronous=FULL")
        else:
            cursor.execute("PRAGMA query_only=ON")
            cursor.execute("PRAGMA wal_autocheckpoint=0")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        engine = create_engine(
            url, pool_pre_ping=True, isolation_level="READ COMMITTED", pool_timeout=TURN_SECONDS
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            "PostgreSQL needs the package psycopg; run `pip install 'maskmill[postgresql]'`"
        ) from error

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise ConfigError(
                f"the database keeps text as {encoding}; create one with ENCODING 'UTF8'"
            )
        with connection.cursor() as cursor:
            # A server may be set to answer before it is on the disk; then so would we.
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
            cursor.execute(f"SET lock_timeout = {round(TURN_SECONDS * 1000)}")
        connection.commit()

    return engine


@contextmanager
def _in_words(database: str) -> Iterator[None]:
    """Turn what a driver says into what a person can do; nothing was written when this speaks."""
    try:
        yield
    except DBAPIError as error:
        lines = str(error.orig).split("\n") if error.orig else []
        said = next((line.strip() for line in lines if line.strip()), type(error).__name__)
        raise StoreError(f"{database}: {said}; {_next_step(error, said.lower())}") from error
    except PoolTimeout as error:
        raise StoreError(
            f"{database}: too many are reading or writing at once; try again in a moment"
        ) from error
    except OverflowError as error:
        raise StoreError(f"{database}: a number is too large ({error}); check the ids") from error


def _next_step(error: DBAPIError, said: str) -> str:
    if "full" in said or "disk i/o" in said or "no space" in said or "too big" in said:
        return "nothing was changed: make room on the disk and try again"
    if "locked" in said or "busy" in said:
        return "another program holds the file: close it and try again"
    if "lock timeout" in said:
        return "nothing was changed: another writer takes long; try again"
    if "malformed" in said or "not a database" in said:
        return "the file is damaged: restore the last backup, or run `maskmill verify`"
    if "readonly" in said or "permission" in said or "unable to open" in said:
        return "check the folder's permissions and try again"
    if error.connection_invalidated:
        return (
            "the connection was lost, and what was asked last may or may not have been done: look, "
            "and try again (an operation under the same id is done once)"
        )
    if isinstance(error, OperationalError):
        return "nothing was changed: check that the database can be reached and try again"
    return "nothing was changed; please report this"

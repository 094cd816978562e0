"""SQLite through apsw, as a DB-API module: what Python's `sqlite3` has no word for, a VFS.

`Project.create(folder, driver=apsw_driver)` reaches the store with it. `VFS_NAME` is the file
system of connections made from then on; None is SQLite's own. Only what SQLAlchemy and the store
use is here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import apsw

paramstyle, apilevel, threadsafety = "qmark", "2.0", 1
sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(map(int, sqlite_version.split(".")))
PARSE_DECLTYPES = PARSE_COLNAMES = 0
Binary = memoryview

VFS_NAME: str | None = None


class Warning(Exception):
    """As PEP 249 has it."""


class Error(Exception):
    """Anything that SQLite refuses."""


class InterfaceError(Error):
    """As PEP 249 has it."""


class DatabaseError(Error):
    """As PEP 249 has it."""


class OperationalError(DatabaseError):
    """Full, locked, gone."""


class IntegrityError(DatabaseError):
    """A rule of the tables is broken."""


class DataError(DatabaseError):
    """As PEP 249 has it."""


class InternalError(DatabaseError):
    """As PEP 249 has it."""


class ProgrammingError(DatabaseError):
    """As PEP 249 has it."""


class NotSupportedError(DatabaseError):
    """As PEP 249 has it."""


def _in_words(do: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return do(*arguments)
    except apsw.ConstraintError as error:
        raise IntegrityError(str(error)) from error
    except apsw.Error as error:
        raise OperationalError(str(error)) from error


class Cursor:
    """One statement at a time, its rows read at once."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount, self.lastrowid = -1, None
        self._rows: list[tuple[Any, ...]] = []

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> "Cursor":
        raw = self._connection.raw
        self.description, self._rows = None, []

        def run() -> None:
            cursor = raw.cursor()

            def traced(of: Any, *_: object) -> bool:
                if columns := of.get_description():
                    self.description = [(name, *[None] * 6) for name, _ in columns]
                return True

            cursor.exec_trace = traced
            self._rows = list(cursor.execute(statement, tuple(parameters)))

        before = raw.total_changes()
        _in_words(run)
        self.rowcount = -1 if self.description else raw.total_changes() - before
        self.lastrowid = raw.last_insert_rowid()
        return self

    def executemany(self, statement: str, many: Sequence[Sequence[Any]]) -> "Cursor":
        changed = 0
        for parameters in many:
            changed += max(self.execute(statement, parameters).rowcount, 0)
        self.rowcount = changed
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        size = size or self.arraysize
        some, self._rows = self._rows[:size], self._rows[size:]
        return some

    def fetchall(self) -> list[tuple[Any, ...]]:
        some, self._rows = self._rows, []
        return some

    def close(self) -> None:
        self._rows = []


class Connection:
    """A connection that begins a transaction only where it is told to."""

    def __init__(self, database: str, timeout: float = 5, **_: object) -> None:
        self.raw = _in_words(lambda: apsw.Connection(database, vfs=VFS_NAME))
        self.raw.set_busy_timeout(round(timeout * 1000))
        self.isolation_level: str | None = None

    def cursor(self) -> Cursor:
        return Cursor(self)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        return self.cursor().execute(statement, parameters)

    def create_function(
        self, name: str, count: int, function: Callable[..., Any], *, deterministic: bool = False
    ) -> None:
        self.raw.create_scalar_function(name, function, count, deterministic=deterministic)

    @property
    def in_transaction(self) -> bool:
        return bool(self.raw.in_transaction)

    def commit(self) -> None:
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        _in_words(self.raw.close)


def connect(database: str, **options: Any) -> Connection:
    """Open a file."""
    return Connection(database, **options)

"""Brings a database to the schema of this maskmill, one version at a time, or not at all.

A migration is never changed once released: it is what turns a stranger's old project into today's.
A new database gets today's tables at once; `tests/store/test_migrations.py` holds that against what
the migrations make of each earlier version. Each runs in one transaction together with its number,
without SQLite's foreign keys, which are checked before it ends.
"""

from collections.abc import Callable

from sqlalchemy import Connection, func, insert, inspect, select, update

from maskmill.errors import StoreError
from maskmill.store.database import Database
from maskmill.store.schema import schema_version
from maskmill.store.team_tables import metadata  # the same, with the tables of people at work

MIGRATIONS: tuple[Callable[[Connection], None], ...] = ()
"""The step from version i + 1 to i + 2 stands at place i."""

VERSION = 1 + len(MIGRATIONS)
"""The schema that this maskmill works with."""


MIGRATING = 0x6D61736B  # the number of PostgreSQL's lock for it


def migrate(database: Database) -> None:
    """Create the tables, or bring them to this version.

    Raises:
        StoreError: If a newer maskmill has written the database.
    """
    with database.read() as connection:  # an up-to-date one is not locked, and nothing is checked
        if version_of(connection) == VERSION:
            return
    while not _step(database):
        pass


def version_of(connection: Connection) -> int:
    """Tell which schema a database has; 0 if none."""
    if not inspect(connection).has_table(schema_version.name):
        return 0
    return connection.execute(select(schema_version.c.version)).scalar() or 0


def check_version(connection: Connection) -> None:
    """Refuse a database that this maskmill cannot read as it is.

    Raises:
        StoreError: If it is newer, or older and opened for reading only.
    """
    found = version_of(connection)
    _refuse_newer(found)
    if found < VERSION:
        raise StoreError(
            f"the project's database has schema {found}, this maskmill works with {VERSION}; "
            "open it once with a command that writes (`maskmill verify --repair`) to bring it up"
        )


def _step(database: Database) -> bool:
    """Take one step in one transaction; returns whether nothing is left to do."""
    with database.rebuild() as connection:
        if database.kind == "postgresql":  # SQLite's write transactions already take turns
            connection.execute(select(func.pg_advisory_xact_lock(MIGRATING)))
        found = version_of(connection)
        _refuse_newer(found)
        if found == VERSION:
            return True
        if found == 0:
            metadata.create_all(connection)
            connection.execute(insert(schema_version).values(version=VERSION))
        else:
            MIGRATIONS[found - 1](connection)
            connection.execute(update(schema_version).values(version=found + 1))
        return False


def _refuse_newer(found: int) -> None:
    if found > VERSION:
        raise StoreError(
            f"the project's database has schema {found}, this maskmill knows {VERSION}; "
            "upgrade maskmill to open it"
        )

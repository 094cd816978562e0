"""Brings a database to the schema of this maskmill, one version at a time, or not at all.

A migration is never changed once released: it is what turns a stranger's old project into today's.
A new database gets today's tables at once; `tests/store/test_migrations.py` holds that against what
the migrations make of each earlier version. Each runs in one transaction together with its number,
without SQLite's foreign keys, which are checked before it ends.
"""

from collections.abc import Callable

from sqlalchemy import Connection, func, insert, inspect, select, text, update

from maskmill.errors import StoreError
from maskmill.store.database import Database
from maskmill.store.schema import schema_version
from maskmill.store.team_tables import metadata  # the same, with the tables of people at work


def _add_strokes(connection: Connection) -> None:
    """Add what Visual Prompting keeps: strokes by image, and the project's rules."""
    is_sqlite = connection.dialect.name == "sqlite"
    whole, record = ("INTEGER", "JSON") if is_sqlite else ("BIGINT", "JSONB")
    # SQLite takes a lone INTEGER key for its row number; in both tables another table gives it.
    connection.execute(
        text(
            f"CREATE TABLE strokes (image_id {whole} NOT NULL, project_id {whole} NOT NULL, "
            f"version INTEGER NOT NULL, drawn {record} NOT NULL, changed_by VARCHAR NOT NULL, "
            "at FLOAT NOT NULL, CONSTRAINT pk_strokes PRIMARY KEY (image_id), "
            "CONSTRAINT fk_strokes_image_id_images FOREIGN KEY(image_id) REFERENCES images (id), "
            "CONSTRAINT fk_strokes_project_id_projects FOREIGN KEY(project_id) "
            "REFERENCES projects (id) ON DELETE CASCADE)"
        )
    )
    connection.execute(text("CREATE INDEX ix_strokes_project ON strokes (project_id, image_id)"))
    connection.execute(
        text(
            f"CREATE TABLE rule_sets (project_id {whole} NOT NULL, version INTEGER NOT NULL, "
            f"rules {record} NOT NULL, changed_by VARCHAR NOT NULL, at FLOAT NOT NULL, "
            "CONSTRAINT pk_rule_sets PRIMARY KEY (project_id), "
            "CONSTRAINT fk_rule_sets_project_id_projects FOREIGN KEY(project_id) "
            "REFERENCES projects (id) ON DELETE CASCADE)"
        )
    )


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_add_strokes,)
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

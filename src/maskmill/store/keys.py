"""The names that browsers give to masks before the database has numbered them.

A browser may be offline when a mask is made, and edit it before any server has seen it. So it
chooses a UUID, and this table says which row that became. Masks that no browser made have none.
"""

import re
from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from maskmill.errors import StoreError
from maskmill.store.database import Database
from maskmill.store.rows import chunks, in_project
from maskmill.store.team_tables import annotation_keys

KEY = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID in lower case."""


class AnnotationKeys:
    """The UUIDs of a project's masks.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def find(self, key: str) -> int | None:
        """Return the row of the mask of that name, if there is one."""
        with self._database.read() as connection:
            return self.find_in(connection, key)

    def find_in(self, connection: Connection, key: str) -> int | None:
        """Do as `find` in an open transaction."""
        statement = select(annotation_keys.c.annotation_id).where(
            annotation_keys.c.project_id == self._project, annotation_keys.c.key == key
        )
        return connection.execute(statement).scalar()

    def of(self, annotation_ids: Sequence[int]) -> dict[int, str]:
        """Return the names of those masks that have one."""
        found: dict[int, str] = {}
        with self._database.read() as connection:
            for some in chunks(annotation_ids):
                statement = select(annotation_keys).where(
                    in_project(annotation_keys, self._project),
                    annotation_keys.c.annotation_id.in_(some),
                )
                rows = connection.execute(statement)
                found |= {row.annotation_id: row.key for row in rows}
        return found

    def keep_in(self, connection: Connection, key: str, annotation_id: int) -> None:
        """Name a mask that the open transaction made.

        Raises:
            StoreError: If it is no UUID in lower case.
        """
        if not KEY.fullmatch(key):
            raise StoreError(f"{key[:60]!r} names no mask; give a UUID in lower case")
        row = {"project_id": self._project, "key": key, "annotation_id": annotation_id}
        connection.execute(insert(annotation_keys).values(row))

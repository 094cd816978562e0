"""Strokes for Visual Prompting and the project's rules: each written whole, on top of what it knew.

What is drawn on an image is one record with a version; whoever writes says which version is on the
screen, and gets a `Conflict` with both if somebody was faster. An operation that arrives twice is
done once. Nothing here knows how strokes are drawn or what rules mean.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, insert, select, update

from maskmill.errors import Conflict
from maskmill.store.database import Database, next_sequence, now
from maskmill.store.operations import find_same, note
from maskmill.store.rows import checked, require
from maskmill.store.schema import images
from maskmill.store.team_tables import rule_sets, strokes


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What is drawn on an image.

    Attributes:
        image_id: The image.
        version: Grows with each change; 0 where nothing was ever drawn.
        strokes: The oldest first, as their writer gave them.
        changed_by: Who wrote this version; None for version 0.
    """

    image_id: int
    version: int = 0
    strokes: tuple[Mapping[str, Any], ...] = ()
    changed_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The project's rules; `version` and `changed_by` as of `Drawn`, `rules` as given."""

    version: int = 0
    rules: Mapping[str, Any] | None = None
    changed_by: str | None = None


class Scribbles:
    """The strokes and rules of a project.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def of_image(self, image_id: int) -> Drawn:
        """Return what is drawn on an image."""
        with self._database.read() as connection:
            return self._drawn(connection, image_id)

    def all(self) -> list[Drawn]:
        """Return every image on which something is drawn, in the order of the images."""
        statement = select(strokes).where(strokes.c.project_id == self._project)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(strokes.c.image_id)).all()
        return [drawn for drawn in map(_drawn, rows) if drawn.strokes]

    def draw(
        self,
        operation_id: str,
        image_id: int,
        drawn: Sequence[Mapping[str, Any]],
        *,
        based_on: int,
        by: str,
    ) -> Drawn:
        """Replace what is drawn on an image, durably.

        Args:
            operation_id: Chosen by the caller, anew for each change; a UUID, say.
            image_id: The image.
            drawn: All its strokes, the oldest first, in JSON's types.
            based_on: The version that the caller saw.
            by: Who draws.

        Returns:
            What is drawn there now.

        Raises:
            Conflict: If somebody drew meanwhile.
            NotFound: If there is no such image.
            StoreError: If the operation's id was used for something else, or writing failed.
        """
        digest = _digest({"image_id": image_id, "drawn": list(drawn), "based_on": based_on})
        with self._database.write() as connection:
            sequence = next_sequence(connection, self._project)
            require(connection, images, self._project, [image_id], "image")
            current = self._drawn(connection, image_id)
            if find_same(connection, self._project, operation_id, digest) is not None:
                return current
            if current.version != based_on:
                raise Conflict(
                    f"{current.changed_by} drew on image {image_id} meanwhile; look at the newer "
                    "strokes and draw again",
                    current=current,
                    attempted=tuple(drawn),
                )
            row = {"image_id": image_id, "drawn": list(drawn), "changed_by": by}
            self._put(connection, strokes, row, based_on + 1, strokes.c.image_id == image_id)
            note(connection, self._project, operation_id, digest, [], sequence)
            return self._drawn(connection, image_id)

    def rules(self) -> Rules:
        """Return the project's rules."""
        with self._database.read() as connection:
            return self._rules(connection)

    def set_rules(
        self, operation_id: str, rules: Mapping[str, Any], *, based_on: int, by: str
    ) -> Rules:
        """Replace the project's rules; arguments and errors as of `draw`."""
        digest = _digest({"rules": dict(rules), "based_on": based_on})
        with self._database.write() as connection:
            sequence = next_sequence(connection, self._project)
            current = self._rules(connection)
            if find_same(connection, self._project, operation_id, digest) is not None:
                return current
            if current.version != based_on:
                raise Conflict(
                    f"{current.changed_by} changed the rules meanwhile; look at theirs and change "
                    "them again",
                    current=current,
                    attempted=rules,
                )
            row = {"rules": dict(rules), "changed_by": by}
            mine = rule_sets.c.project_id == self._project
            self._put(connection, rule_sets, row, based_on + 1, mine)
            note(connection, self._project, operation_id, digest, [], sequence)
            return self._rules(connection)

    def _put(
        self, connection: Connection, table: Table, row: Mapping[str, Any], version: int, where: Any
    ) -> None:
        values = checked(table, {**row, "version": version, "at": now()})
        if version == 1:
            connection.execute(insert(table).values({**values, "project_id": self._project}))
        else:
            connection.execute(update(table).where(where).values(values))

    def _drawn(self, connection: Connection, image_id: int) -> Drawn:
        statement = select(strokes).where(
            strokes.c.project_id == self._project, strokes.c.image_id == image_id
        )
        row = connection.execute(statement).first()
        return Drawn(image_id=image_id) if row is None else _drawn(row)

    def _rules(self, connection: Connection) -> Rules:
        mine = rule_sets.c.project_id == self._project
        row = connection.execute(select(rule_sets).where(mine)).first()
        if row is None:
            return Rules()
        return Rules(version=row.version, rules=row.rules, changed_by=row.changed_by)


def _drawn(row: Row[Any]) -> Drawn:
    return Drawn(
        image_id=row.image_id,
        version=row.version,
        strokes=tuple(row.drawn),
        changed_by=row.changed_by,
    )


def _digest(asked: object) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

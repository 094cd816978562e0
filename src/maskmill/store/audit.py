"""The audit log: who came in, who was let in, what left the project. Rows are only ever added.

What happened to masks is their own history, and is not repeated here.
"""

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import insert, select

from maskmill.store.database import Database, next_sequence, now
from maskmill.store.rows import checked
from maskmill.store.team_tables import audit_log


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that somebody did."""

    id: int
    name: str
    action: str
    subject: str | None
    detail: Any
    at: float


class Audit:
    """The audit log of a project.

    Args:
        database: Where it is.
        project_id: Whose it is.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def record(
        self, name: str, action: str, subject: str | None = None, detail: Any = None
    ) -> None:
        """Write down who did what to what."""
        row = {"name": name, "action": action, "subject": subject, "detail": detail, "at": now()}
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            values = {"project_id": self._project, **checked(audit_log, row)}
            connection.execute(insert(audit_log).values(values))

    def page(self, *, before: int | None = None, limit: int = 100) -> list[Entry]:
        """Return entries, the latest first.

        Args:
            before: Only those with a smaller id: the last one of the page before.
            limit: Most entries returned.
        """
        statement = select(audit_log).where(audit_log.c.project_id == self._project)
        if before is not None:
            statement = statement.where(audit_log.c.id < before)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(audit_log.c.id.desc()).limit(limit)).all()
        return [Entry(**{f.name: row._mapping[f.name] for f in fields(Entry)}) for row in rows]

"""What reviewers said of single masks: the verdict is in the mask's history, the note is here."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Connection, func, insert, select

from maskmill.store.database import Database, now
from maskmill.store.rows import checked, chunks
from maskmill.store.team_tables import reviews


@dataclass(frozen=True, kw_only=True)
class MaskReview:
    """One answer to "good mask?"."""

    annotation_id: int
    version: int
    verdict: str
    note: str | None
    name: str
    at: float


class Reviews:
    """The reviews of a project's masks.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def add_in(
        self,
        connection: Connection,
        annotation_id: int,
        version: int,
        *,
        verdict: str,
        note: str | None,
        name: str,
    ) -> None:
        """Keep an answer, in the transaction that writes the verdict itself."""
        row = {
            "annotation_id": annotation_id,
            "version": version,
            "verdict": verdict,
            "note": note,
            "name": name,
            "at": now(),
        }
        values = {"project_id": self._project, **checked(reviews, row)}
        connection.execute(insert(reviews).values(values))

    def latest(self, annotation_ids: Sequence[int]) -> dict[int, MaskReview]:
        """Return the last answer on each of some masks that have one."""
        found: dict[int, MaskReview] = {}
        with self._database.read() as connection:
            for some in chunks(annotation_ids):
                last = (
                    select(func.max(reviews.c.id))
                    .where(reviews.c.project_id == self._project, reviews.c.annotation_id.in_(some))
                    .group_by(reviews.c.annotation_id)
                )
                for row in connection.execute(select(reviews).where(reviews.c.id.in_(last))):
                    values = {f.name: row._mapping[f.name] for f in fields(MaskReview)}
                    found[row.annotation_id] = MaskReview(**values)
        return found

"""What was made between rounds: people's masks and their cost, and what became of pre-filled ones.

A period begins where the round before froze its data, and ends where the next one did. A mask
belongs to the period in which it was made, whatever happened to it since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, select

from maskmill.store.database import Database
from maskmill.store.schema import annotation_versions, annotations


@dataclass(frozen=True, kw_only=True)
class Work:
    """What was made in one period.

    Attributes:
        masks: Living masks that people made; imports do not count.
        images: Images on which they are.
        timed_masks: Of the masks, those whose seconds are known.
        seconds: People's time on those.
        clicks: Prompts on all of the masks.
        edits: Strokes on all of the masks.
        kept: Masks that a model pre-filled and a person let stand.
        rejected: Those that a person took away.
        unseen: Those that nobody has looked at.
    """

    masks: int = 0
    images: int = 0
    timed_masks: int = 0
    seconds: float = 0.0
    clicks: int = 0
    edits: int = 0
    kept: int = 0
    rejected: int = 0
    unseen: int = 0


def work_between(database: Database, project_id: int, ends: Sequence[float]) -> list[Work]:
    """Add up what was made in each period.

    Args:
        database: Where it is.
        project_id: Whose it is.
        ends: When each period ended, seconds since 1970, in rising order.

    Returns:
        A period for each end, and one for what was made since the last.
    """
    first = annotation_versions.alias("first")
    made_at = func.coalesce(first.c.at, annotations.c.at)
    period = _period(made_at, ends)
    joined = annotations.outerjoin(first, (first.c.id == annotations.c.id) & (first.c.version == 1))
    mine = annotations.c.project_id == project_id
    by_people = (
        select(
            period.label("period"),
            func.count().label("masks"),
            func.count(annotations.c.image_id.distinct()).label("images"),
            func.count(annotations.c.seconds).label("timed_masks"),
            func.coalesce(func.sum(annotations.c.seconds), 0.0).label("seconds"),
            func.coalesce(func.sum(annotations.c.clicks), 0).label("clicks"),
            func.coalesce(func.sum(annotations.c.edits), 0).label("edits"),
        )
        .select_from(joined)
        .where(
            mine, ~annotations.c.deleted, annotations.c.made_by == "person",
            annotations.c.stage != "imported",
        )
        .group_by(period)
    )  # fmt: skip
    gone = annotations.c.deleted | (annotations.c.review == "rejected")
    stands = ~annotations.c.deleted & (annotations.c.review == "accepted")
    prefilled = (
        select(
            period.label("period"),
            func.sum(case((gone, 1), else_=0)).label("rejected"),
            func.sum(case((stands, 1), else_=0)).label("kept"),
            func.count().label("all"),
        )
        .select_from(joined)
        .where(mine, annotations.c.made_by == "model", annotations.c.stage == "semi")
        .group_by(period)
    )
    found: list[dict[str, Any]] = [{} for _ in range(len(ends) + 1)]
    with database.read() as connection:
        for row in connection.execute(by_people):
            found[row.period] |= {k: v for k, v in row._mapping.items() if k != "period"}
        for row in connection.execute(prefilled):
            rejected, kept = int(row.rejected), int(row.kept)
            unseen = int(row._mapping["all"]) - rejected - kept
            found[row.period] |= {"rejected": rejected, "kept": kept, "unseen": unseen}
    return [Work(**each) for each in found]


def answered_masks(database: Database, project_id: int) -> list[tuple[int, int, int]]:
    """Return (annotation, version, image) of each living mask that a person answers for.

    What a person rejected is nobody's: no snapshot takes it.
    """
    statement = select(annotations.c.id, annotations.c.version, annotations.c.image_id).where(
        annotations.c.project_id == project_id,
        ~annotations.c.deleted,
        func.coalesce(annotations.c.review, "") != "rejected",
        (annotations.c.made_by == "person")
        | (annotations.c.stage == "imported")
        | (annotations.c.review == "accepted"),
    )
    with database.read() as connection:
        return [(row.id, row.version, row.image_id) for row in connection.execute(statement)]


def _period(at: ColumnElement[Any], ends: Sequence[float]) -> ColumnElement[int]:
    """Number the period in which something happened."""
    if not ends:
        return literal(0)
    return case(*[(at <= end, i) for i, end in enumerate(ends)], else_=len(ends))

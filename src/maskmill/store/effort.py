"""What people's masks cost: seconds, clicks and strokes by day, person and model.

A mask counts for the day on which it was made, whatever happened to it since; what was deleted does
not count. Times are people's own, as the browser measured them.
"""

import datetime
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Integer, cast, func, select

from maskmill.store.database import Database
from maskmill.store.schema import annotation_versions, annotations, images, models
from maskmill.store.team_tables import image_states

By = Literal["day", "person", "model"]
DAY = 86400


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What went into some masks; `key` says which, in the order in which it was asked for."""

    key: tuple[str, ...]
    masks: int
    images: int
    timed_masks: int
    seconds: float
    clicks: int
    edits: int


def effort(
    database: Database, project_id: int, by: tuple[By, ...], *, utc_offset_minutes: int = 0
) -> list[Effort]:
    """Add up what people's living masks took.

    Args:
        database: Where they are.
        project_id: Whose they are.
        by: What a row stands for: a day, a person, a model, or a pair of them.
        utc_offset_minutes: How far ahead of UTC the days begin that are meant.

    Returns:
        A row for each day, person or model that has masks, in their order.
    """
    first = annotation_versions.alias("first")
    made_at = func.coalesce(first.c.at, annotations.c.at)
    columns = [_column(each, made_at, utc_offset_minutes, database.kind) for each in by]
    statement = (
        select(
            *columns,
            func.count(),
            func.count(annotations.c.image_id.distinct()),
            func.count(annotations.c.seconds),
            func.coalesce(func.sum(annotations.c.seconds), 0.0),
            func.coalesce(func.sum(annotations.c.clicks), 0),
            func.coalesce(func.sum(annotations.c.edits), 0),
        )
        .select_from(annotations)
        .outerjoin(first, (first.c.id == annotations.c.id) & (first.c.version == 1))
        .outerjoin(models, models.c.id == annotations.c.model_id)
        .where(
            annotations.c.project_id == project_id,
            ~annotations.c.deleted,
            annotations.c.made_by == "person",
            annotations.c.stage != "imported",
        )
        .group_by(*columns)
        .order_by(*columns)
    )
    with database.read() as connection:
        rows = connection.execute(statement).all()
    return [_effort(by, row) for row in rows]


def count_states(database: Database, project_id: int) -> dict[str, int]:
    """Count the living images by where they stand: open, in_review, returned, complete."""
    state = func.coalesce(image_states.c.state, "open")
    statement = (
        select(state, func.count())
        .select_from(images)
        .outerjoin(image_states, image_states.c.image_id == images.c.id)
        .where(images.c.project_id == project_id, ~images.c.deleted)
        .group_by(state)
    )
    with database.read() as connection:
        found = {name: int(count) for name, count in connection.execute(statement)}
    return {name: found.get(name, 0) for name in ("open", "in_review", "returned", "complete")}


def _column(
    by: By, made_at: ColumnElement[float], utc_offset_minutes: int, kind: str
) -> ColumnElement[Any]:
    if by == "person":
        return annotations.c.author.label("person")
    if by == "model":
        return func.coalesce(models.c.model_id, "").label("model")
    days = (made_at + utc_offset_minutes * 60) / DAY
    # PostgreSQL rounds where SQLite cuts off.
    return cast(func.floor(days) if kind == "postgresql" else days, Integer).label("day")


def _effort(by: tuple[By, ...], row: Any) -> Effort:
    keys = tuple(_shown(each, value) for each, value in zip(by, row, strict=False))
    masks, of_images, timed, seconds, clicks, edits = row[len(by) :]
    return Effort(
        key=keys,
        masks=masks,
        images=of_images,
        timed_masks=timed,
        seconds=float(seconds),
        clicks=int(clicks),
        edits=int(edits),
    )


def _shown(by: By, value: Any) -> str:
    if by != "day":
        return str(value)
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=int(value))).isoformat()

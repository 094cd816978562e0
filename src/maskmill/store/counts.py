"""Masks counted as they are written: by image and kind for pages, by size and place for reports.

Two million masks cannot be counted while somebody waits. So every write keeps two small tables:
`mask_groups`, what each image has of which kind, and `mask_bins`, the distributions of SA's paper.
Both hold what `annotations` holds and nothing else; `verify` counts anew and compares.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sqlalchemy import Connection, Row, bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from maskmill.store.changes import Annotation, shape_columns
from maskmill.store.rows import chunks
from maskmill.store.schema import ANY, NONE, annotations, mask_bins, mask_groups

SIZE_BINS = 50
"""Equal parts of the relative size, [0, 1]: sqrt(mask area / image area)."""
PLACE_BINS = 32
"""Parts of either axis for the masks' centres."""
_PARTS = (SIZE_BINS, PLACE_BINS, PLACE_BINS)
UNREVIEWED = "unreviewed"
"""Stands for a review that nobody has given yet."""


class Counted(NamedTuple):
    """What is counted of a mask; named as the columns of `annotations`."""

    image_id: int
    category_id: int | None
    stage: str
    review: str | None
    author: str
    predicted_iou: float | None
    relative_size: float
    centre_x: float
    centre_y: float


COUNTED = tuple(annotations.c[name] for name in Counted._fields)
"""The columns to select for `Counted`."""

Group = tuple[int, int, str, str, str]
"""Category (or ANY, or NONE), image, stage, review and author."""
Bin = tuple[str, int]

_KEY = tuple(column.name for column in mask_groups.primary_key)
# Made once: making a statement takes SQLAlchemy longer than SQLite takes to do it.
_DELETE = delete(mask_groups).where(*(mask_groups.c[name] == bindparam(name) for name in _KEY))


def counted_of(versions: Sequence[Annotation]) -> list[Counted]:
    """Return what is counted of some versions: of the living ones."""
    found = []
    for each in versions:
        if not each.deleted:
            shape = shape_columns(each.area, each.box, each.rle.size)
            found.append(
                Counted(
                    image_id=each.image_id,
                    category_id=each.category_id,
                    stage=each.made.stage,
                    review=each.review,
                    author=each.made.author,
                    predicted_iou=each.made.predicted_iou,
                    **{name: shape[name] for name in ("relative_size", "centre_x", "centre_y")},
                )
            )
    return found


def groups_of(masks: Iterable[tuple[Any, ...]]) -> dict[Group, tuple[int, float | None]]:
    """Count masks by group: how many, and the lowest of their predicted IoUs.

    Args:
        masks: `Counted`, or plain tuples of the same.
    """
    found: dict[Group, tuple[int, float | None]] = {}
    for image, category, stage, review, author, iou, *_ in masks:
        rest = (image, stage, review or UNREVIEWED, author)
        for key in ((ANY, *rest), (NONE if category is None else category, *rest)):
            count, lowest = found.get(key, (0, None))
            if lowest is None or (iou is not None and iou < lowest):
                lowest = iou
            found[key] = (count + 1, lowest)
    return found


def bins_of(masks: Sequence[tuple[Any, ...]]) -> Counter[Bin]:
    """Count masks, as for `groups_of`, by relative size and by the centre of their box."""
    found: Counter[Bin] = Counter()
    shapes = np.array([mask[-3:] for mask in masks], float).reshape(-1, 3)
    size, x, y = (_part(column, n) for column, n in zip(shapes.T, _PARTS, strict=True))
    for kind, places in (("size", size), ("centre", y * PLACE_BINS + x)):
        values, counts = np.unique(places, return_counts=True)
        for place, count in zip(values.tolist(), counts.tolist(), strict=True):
            found[kind, place] += count
    return found


def _part(values: Float[np.ndarray, " n"], parts: int) -> Int[np.ndarray, " n"]:
    return np.minimum((values * parts).astype(np.int64), parts - 1)


def insert_groups(
    connection: Connection,
    project_id: int,
    groups: Mapping[Group, tuple[int, float | None]],
) -> None:
    """Write groups of images that had none before."""
    rows = [(project_id, *key, *found) for key, found in sorted(groups.items())]
    if rows and connection.dialect.name == "sqlite":  # as rows, in half of the time
        marks = ", ".join("?" * len(mask_groups.columns))
        connection.exec_driver_sql(f"INSERT INTO mask_groups VALUES ({marks})", rows)
    elif rows:
        names = [column.name for column in mask_groups.columns]
        connection.execute(
            insert(mask_groups), [dict(zip(names, row, strict=True)) for row in rows]
        )


def count_changed(
    connection: Connection, project_id: int, before: Sequence[Counted], after: Sequence[Counted]
) -> None:
    """Count anew after masks have changed, appeared or gone.

    Args:
        connection: The transaction that has written the masks.
        project_id: Whose they are.
        before: The living masks that were, of those that changed.
        after: The living masks that came of them, and new ones.
    """
    touched = set(groups_of(before)) | set(groups_of(after))
    there = groups_of(_living(connection, {key[1] for key in touched}))
    if touched:
        gone = [dict(zip(_KEY, (project_id, *key), strict=True)) for key in sorted(touched)]
        connection.execute(_DELETE, gone)
    insert_groups(connection, project_id, {key: there[key] for key in touched & set(there)})
    steps = bins_of(after)
    steps.subtract(bins_of(before))
    add_bins(connection, project_id, steps)


def _living(connection: Connection, image_ids: set[int]) -> Iterator[Counted]:
    for ids in chunks(sorted(image_ids)):
        statement = select(*COUNTED).where(annotations.c.image_id.in_(ids), ~annotations.c.deleted)
        yield from map(counted, connection.execute(statement))


def counted(row: Row[Any]) -> Counted:
    """Read a row of `COUNTED`."""
    return Counted._make(row)


def add_bins(connection: Connection, project_id: int, steps: Counter[Bin]) -> None:
    """Add to the distributions, or take away."""
    rows = [
        {"project_id": project_id, "kind": kind, "bin": place, "masks": step}
        for (kind, place), step in sorted(steps.items())
        if step
    ]
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    new = dialect.insert(mask_bins)
    added = {"masks": mask_bins.c.masks + new.excluded.masks}
    keys = [mask_bins.c.project_id, mask_bins.c.kind, mask_bins.c.bin]
    connection.execute(new.on_conflict_do_update(index_elements=keys, set_=added), rows)

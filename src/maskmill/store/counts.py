"""Masks counted as they are written: by image and kind for pages, by size and place for reports.

Two million masks cannot be counted while somebody waits. So every write keeps two small tables:
`mask_groups`, what each image has of which kind, and `mask_bins`, the distributions of SA's paper.
Both hold what `annotations` holds and nothing else; `verify` counts anew and compares.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from maskmill.store.rows import chunks
from maskmill.store.schema import ANY, NONE, annotations, mask_bins, mask_groups

SIZE_BINS = 50
"""Equal parts of the relative size, [0, 1]: sqrt(mask area / image area)."""
PLACE_BINS = 32
"""Parts of either axis for the masks' centres."""
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


def groups_of(masks: Iterable[Counted]) -> dict[Group, tuple[int, float | None]]:
    """Count masks by group: how many, and the lowest of their predicted IoUs."""
    found: dict[Group, tuple[int, float | None]] = {}
    for mask in masks:
        review, iou = mask.review or UNREVIEWED, mask.predicted_iou
        for category in (ANY, NONE if mask.category_id is None else mask.category_id):
            key = (category, mask.image_id, mask.stage, review, mask.author)
            count, lowest = found.get(key, (0, None))
            if lowest is None or (iou is not None and iou < lowest):
                lowest = iou
            found[key] = (count + 1, lowest)
    return found


def bins_of(masks: Iterable[Counted]) -> Counter[Bin]:
    """Count masks by relative size, and by the centre of their box."""
    found: Counter[Bin] = Counter()
    for mask in masks:
        found["size", _part(mask.relative_size, SIZE_BINS)] += 1
        row, column = _part(mask.centre_y, PLACE_BINS), _part(mask.centre_x, PLACE_BINS)
        found["centre", row * PLACE_BINS + column] += 1
    return found


def _part(value: float, parts: int) -> int:
    return min(int(value * parts), parts - 1)


def count_new(connection: Connection, project_id: int, masks: Sequence[Counted]) -> None:
    """Count masks of images that had none before."""
    rows = [_group_row(project_id, key, *found) for key, found in groups_of(masks).items()]
    if rows:
        connection.execute(insert(mask_groups), rows)
        add_bins(connection, project_id, bins_of(masks))


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
    for key in touched:
        category, image, stage, review, author = key
        connection.execute(
            delete(mask_groups).where(
                mask_groups.c.project_id == project_id,
                mask_groups.c.category_id == category,
                mask_groups.c.image_id == image,
                mask_groups.c.stage == stage,
                mask_groups.c.review == review,
                mask_groups.c.author == author,
            )
        )
    rows = [_group_row(project_id, key, *there[key]) for key in sorted(touched & set(there))]
    if rows:
        connection.execute(insert(mask_groups), rows)
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


def _group_row(project_id: int, key: Group, count: int, lowest: float | None) -> dict[str, Any]:
    category, image, stage, review, author = key
    return {
        "project_id": project_id,
        "category_id": category,
        "image_id": image,
        "stage": stage,
        "review": review,
        "author": author,
        "masks": count,
        "lowest_iou": lowest,
    }


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

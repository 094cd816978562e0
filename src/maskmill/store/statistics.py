"""What a project holds, counted by the database: totals, and the distributions of SA's paper.

Sizes, places and masks per image are those of figures 5 and 6 of "Segment Anything", arXiv
2304.02643. Concavity needs each mask's hull, so it is measured on a sample.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, func, select

from maskmill import rle
from maskmill.perceptual import near_pairs
from maskmill.rle import Rle
from maskmill.store.counts import COUNTED, PLACE_BINS, SIZE_BINS, Bin, bins_of, counted
from maskmill.store.database import Database
from maskmill.store.rows import in_project
from maskmill.store.schema import (
    ANY,
    annotations,
    categories,
    images,
    mask_bins,
    mask_groups,
)

SAMPLE = 1000
"""Masks whose concavity is measured."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a project holds, without what was deleted.

    Attributes:
        images: Number of images.
        images_with_masks: Of those, with at least one mask.
        masks: Number of masks.
        by_stage: Masks by the stage that they were made in.
        by_review: Masks by verdict; "unreviewed" has none.
        by_category: Masks by category; "" has none.
        by_source: Images by source.
        by_split: Images by split; "" has none.
        masks_per_image: Number of images by number of masks.
        sizes: Masks in each of `SIZE_BINS` equal parts of the relative size.
        centres: Masks by centre of box, `PLACE_BINS` rows of `PLACE_BINS` columns.
        concavity: 1 - area / area of the convex hull, of a sample of masks; sorted.
    """

    images: int
    images_with_masks: int
    masks: int
    by_stage: dict[str, int]
    by_review: dict[str, int]
    by_category: dict[str, int]
    by_source: dict[str, int]
    by_split: dict[str, int]
    masks_per_image: dict[int, int]
    sizes: tuple[int, ...]
    centres: tuple[tuple[int, ...], ...]
    concavity: tuple[float, ...]


def statistics(database: Database, project_id: int, *, sample: int = SAMPLE) -> Statistics:
    """Count what a project holds.

    Args:
        database: Where it is.
        project_id: Which it is.
        sample: Most masks whose concavity is measured.
    """
    with database.read() as connection:
        per_image = _images(connection, project_id, images.c.mask_count)
        names = _category_names(connection, project_id)
        kinds = _masks(connection, project_id, mask_groups.c.category_id, ANY)
        stages = _masks(connection, project_id, mask_groups.c.stage)
        bins = _bins(connection, project_id)
        return Statistics(
            images=sum(per_image.values()),
            images_with_masks=sum(n for count, n in per_image.items() if count),
            masks=sum(stages.values()),
            by_stage=stages,
            by_review=_masks(connection, project_id, mask_groups.c.review),
            by_category={names.get(kind, ""): n for kind, n in kinds.items()},
            by_source=_named(_images(connection, project_id, images.c.source)),
            by_split=_named(_images(connection, project_id, images.c.split)),
            masks_per_image={int(count): n for count, n in per_image.items()},
            sizes=tuple(bins["size", place] for place in range(SIZE_BINS)),
            centres=tuple(
                tuple(bins["centre", row * PLACE_BINS + column] for column in range(PLACE_BINS))
                for row in range(PLACE_BINS)
            ),
            concavity=_concavity(connection, project_id, sample),
        )


def near_duplicates(database: Database, project_id: int) -> int:
    """Count the images that look like another one: all but 3 bits of their hashes agree.

    Reads one number to an image and compares few of them: 2 s of one core for 100,000 images.
    """
    statement = select(images.c.perceptual_hash).where(
        images.c.project_id == project_id, ~images.c.deleted, images.c.perceptual_hash.is_not(None)
    )
    with database.read() as connection:
        hashes = list(connection.execute(statement).scalars())
    return len({place for pair in near_pairs(hashes) for place in pair})


def _named(counts: dict[Any, int]) -> dict[str, int]:
    return {str(key or ""): n for key, n in counts.items()}


def _images(connection: Connection, project_id: int, by: ColumnElement[Any]) -> dict[Any, int]:
    statement = select(by, func.count()).where(images.c.project_id == project_id, ~images.c.deleted)
    rows = connection.execute(statement.group_by(by).order_by(by))
    return {key: count for key, count in rows}


def _put_away(project_id: int) -> Select[Any]:
    return select(images.c.id).where(images.c.project_id == project_id, images.c.deleted)


def _masks(
    connection: Connection, project_id: int, by: ColumnElement[Any], beside: int | None = None
) -> dict[Any, int]:
    """Add up what is counted: under every category but `beside`, or whatever the category."""
    category = mask_groups.c.category_id
    statement = select(by, func.sum(mask_groups.c.masks)).where(
        mask_groups.c.project_id == project_id,
        category == ANY if beside is None else category != beside,
        mask_groups.c.image_id.not_in(_put_away(project_id)),
    )
    return {key: int(n) for key, n in connection.execute(statement.group_by(by).order_by(by))}


def _bins(connection: Connection, project_id: int) -> Counter[Bin]:
    """Read the distributions; they hold the masks of deleted images, which are taken off again."""
    statement = select(mask_bins.c.kind, mask_bins.c.bin, mask_bins.c.masks)
    rows = connection.execute(statement.where(mask_bins.c.project_id == project_id))
    found: Counter[Bin] = Counter({(kind, place): n for kind, place, n in rows})
    hidden = select(*COUNTED).where(
        annotations.c.project_id == project_id,
        ~annotations.c.deleted,
        annotations.c.image_id.in_(_put_away(project_id)),
    )
    found.subtract(bins_of([counted(row) for row in connection.execute(hidden)]))
    return found


def _concavity(connection: Connection, project_id: int, sample: int) -> tuple[float, ...]:
    """Measure masks spread evenly over the table, the same ones each time."""
    ids = select(annotations.c.id).where(annotations.c.project_id == project_id).limit(1)
    # By sequence, for which there is an index, and which follows the ids closely enough.
    first = connection.execute(ids.order_by(annotations.c.sequence)).scalar()
    last = connection.execute(ids.order_by(annotations.c.sequence.desc())).scalar()
    if first is None or last is None or sample < 1:
        return ()
    wanted = np.unique(np.linspace(first, last, sample).astype(int)).tolist()
    found: list[float] = []
    for start in range(0, len(wanted), 500):
        statement = select(
            annotations.c.counts, annotations.c.area, images.c.height, images.c.width
        ).where(
            in_project(annotations, project_id),
            ~annotations.c.deleted,
            ~images.c.deleted,
            annotations.c.id.in_(wanted[start : start + 500]),
            annotations.c.image_id == images.c.id,
        )
        rows = connection.execute(statement)
        found += [concavity(Rle((h, w), bytes(counts)), area) for counts, area, h, w in rows]
    return tuple(sorted(found))


def concavity(mask: Rle, area: int) -> float:
    """Measure what a mask of `area` pixels lacks of its convex hull, [0, 1).

    The hull of pixels is that of their corners, and those at the ends of runs are enough.
    """
    import cv2

    h = mask.size[0]
    ends = np.cumsum(rle.run_lengths(mask))
    ends = ends[: len(ends) // 2 * 2].reshape(-1, 2)
    first, last = ends[:, 0], ends[:, 1] - 1
    first, last = first[last >= first], last[last >= first]
    (x0, y0), (x1, y1) = (divmod(place, h) for place in (first, last))
    more = x1 > x0  # over the end of a column: the bottom of one, the top of another, all between
    between = x1 > x0 + 1
    edges = [
        (x0, y0),
        (x0, np.where(more, h - 1, y1)),
        (x1, np.where(more, 0, y0)),
        (x1, y1),
        ((x0 + 1)[between], np.zeros_like(x0[between])),
        ((x1 - 1)[between], np.full_like(x1[between], h - 1)),
    ]
    x, y = (np.concatenate(part) for part in zip(*edges, strict=True))
    corners = np.concatenate([np.stack([x + i, y + j], 1) for i in (0, 1) for j in (0, 1)])
    hull = cv2.contourArea(cv2.convexHull(corners.astype(np.int32)))
    return max(0.0, 1.0 - area / hull)


def _category_names(connection: Connection, project_id: int) -> dict[int, str]:
    statement = select(categories.c.id, categories.c.name).where(
        categories.c.project_id == project_id
    )
    return {row.id: row.name for row in connection.execute(statement)}

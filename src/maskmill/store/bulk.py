"""Whole images with their masks at once: how imports write, many thousand masks a second.

An image and all its masks are one operation, named after the import and the image's path; a batch
of them is one transaction. So an import that was interrupted is run again from the beginning and
adds what is missing, and a mask that somebody edited since is not touched.
"""

import hashlib
import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.sql.compiler import SQLCompiler

from maskmill.errors import MaskError
from maskmill.rle import Rle
from maskmill.rle_batch import areas_and_boxes
from maskmill.store.changes import Made, shape_columns
from maskmill.store.counts import Counted, count_changed, count_new
from maskmill.store.database import next_sequence, now
from maskmill.store.images import Image, NewImage
from maskmill.store.project import Project
from maskmill.store.schema import annotations, images, operations

MADE = tuple(field.name for field in fields(Made))
COLUMNS = (
    *("project_id", "version", "deleted", "changed_by", "at", "image_id", "category_id"),
    *("is_crowd", "review", "attributes", "operation_id", "sequence", "counts"),
    *MADE,
    *shape_columns(1, (0, 0, 1, 1), (1, 1)),
)
"""What a row of `annotations` is written as, in this order."""


@dataclass(frozen=True, kw_only=True)
class NewMask:
    """A mask that comes with its image; as `Create`, with the category by name."""

    rle: Rle
    made: Made
    category: str | None = None
    is_crowd: bool = False
    review: str | None = None
    attributes: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """An image and its masks."""

    image: NewImage
    masks: tuple[NewMask, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Added:
    """What became of a batch."""

    images: int
    """Images that the project did not know."""
    masks: int
    """Masks that were added."""
    repeated: int
    """Images that this import had brought before; their masks were left as they are."""
    differing: tuple[str, ...]
    """Paths among those whose labels are other ones now; they were left as they are too."""


def add_labelled(
    project: Project, operation_id: str, batch: Sequence[Labelled], *, by: str
) -> Added:
    """Add images and their masks in one transaction.

    Args:
        project: Open for writing.
        operation_id: Names the import; the same for all its batches and for its repetition.
        batch: Images with unlike paths.
        by: Who imports.

    Raises:
        MaskError: If a mask is malformed, empty or not of its image's size; nothing is added then.
        StoreError: If a known path holds another file now, or writing failed.
    """
    _check_sizes(batch)
    count = len(batch) + sum(len(each.masks) for each in batch)
    with project.database.write() as connection:
        sequence = next_sequence(connection, project.id, count)
        paths = [each.image.path for each in batch]
        known = project.images.by_path_in(connection, paths)
        rows = project.images.add_in(connection, [each.image for each in batch], sequence)
        names = [f"{operation_id}/{path}" for path in paths]
        done = _done(connection, project.id, names)
        digests = [_digest(each) for each in batch]
        fresh = [i for i, name in enumerate(names) if name not in done]
        added = _add_masks(
            connection, project, [(batch[i], rows[i], names[i]) for i in fresh], sequence, by
        )
        stamped = [
            {
                "project_id": project.id,
                "operation_id": names[i],
                "digest": digests[i],
                "answer": [],
                "sequence": sequence,
            }
            for i in fresh
        ]
        if stamped:
            connection.execute(insert(operations), stamped)
    return Added(
        images=sum(path not in known for path in paths),
        masks=added,
        repeated=len(done),
        differing=tuple(
            paths[i] for i, name in enumerate(names) if done.get(name, digests[i]) != digests[i]
        ),
    )


def _check_sizes(batch: Sequence[Labelled]) -> None:
    for each in batch:
        size = (each.image.height, each.image.width)
        for mask in each.masks:
            if mask.rle.size != size:
                raise MaskError(
                    f"a mask of {each.image.path} is {mask.rle.size} (H, W), the image {size}; "
                    "give it at that size"
                )


def _digest(each: Labelled) -> str:
    digest = hashlib.sha256(each.image.content_hash.encode())
    for mask in each.masks:
        digest.update(b"%d %s " % (mask.is_crowd, (mask.category or "").encode()))
        digest.update(mask.rle.counts)
    return digest.hexdigest()


def _done(connection: Connection, project_id: int, names: Sequence[str]) -> dict[str, str]:
    """Return the digests of the operations that were done before, by name."""
    found: dict[str, str] = {}
    for start in range(0, len(names), 500):  # databases bound the number of parameters
        statement = select(operations.c.operation_id, operations.c.digest).where(
            operations.c.project_id == project_id,
            operations.c.operation_id.in_(names[start : start + 500]),
        )
        found |= {name: digest for name, digest in connection.execute(statement)}
    return found


def _add_masks(
    connection: Connection,
    project: Project,
    fresh: Sequence[tuple[Labelled, Image, str]],
    sequence: int,
    by: str,
) -> int:
    masks = [(mask, row, name) for each, row, name in fresh for mask in each.masks]
    if not masks:
        return 0
    named = {mask.category for mask, _, _ in masks if mask.category}
    kinds = project.categories.ensure_in(connection, sorted(named))
    areas, boxes = areas_and_boxes([mask.rle for mask, _, _ in masks])
    if not areas.all():
        empty = masks[int((areas == 0).argmax())]
        raise MaskError(f"a mask of {empty[1].path} is empty; leave it out")
    at, size_of = now(), {row.id: row.size for _, row, _ in fresh}
    rows = [
        (
            *(project.id, 1, False, by, at, row.id, kinds.get(mask.category or ""), mask.is_crowd),
            *(mask.review, _json(mask.attributes), name, sequence + place, mask.rle.counts),
            *_provenance(mask.made),
            *shape_columns(area, box, size_of[row.id]).values(),
        )
        for place, ((mask, row, name), area, box) in enumerate(
            zip(masks, areas.tolist(), boxes.tolist(), strict=True)
        )
    ]
    _insert(connection, rows)
    _count(connection, project.id, fresh, [dict(zip(COLUMNS, row, strict=True)) for row in rows])
    return len(rows)


def _count(
    connection: Connection,
    project_id: int,
    fresh: Sequence[tuple[Labelled, Image, str]],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    counts = [{"key": row.id, "n": len(each.masks)} for each, row, _ in fresh if each.masks]
    connection.execute(
        update(images)
        .where(images.c.id == bindparam("key"))
        .values(mask_count=images.c.mask_count + bindparam("n")),
        counts,
    )
    known = {row.id for _, row, _ in fresh if row.mask_count}
    masks = [Counted(**{name: row[name] for name in Counted._fields}) for row in rows]
    count_new(connection, project_id, [m for m in masks if m.image_id not in known])
    if known:
        count_changed(connection, project_id, (), [m for m in masks if m.image_id in known])


def _insert(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Hand rows to the driver as they are; SQLAlchemy's own way takes twice as long for each."""
    statement = insert(annotations).compile(dialect=connection.dialect, column_keys=list(COLUMNS))
    assert isinstance(statement, SQLCompiler)
    if statement.positiontup is not None:
        places = [COLUMNS.index(name) for name in statement.positiontup]
        in_order = operator.itemgetter(*places)
        connection.exec_driver_sql(str(statement), list(map(in_order, rows)))
    else:
        connection.exec_driver_sql(
            str(statement), [dict(zip(COLUMNS, r, strict=True)) for r in rows]
        )


def _provenance(made: Made) -> list[Any]:
    return [
        _json(getattr(made, n)) if n in ("prompts", "candidates") else getattr(made, n)
        for n in MADE
    ]


def _json(value: Any) -> str | None:
    return None if not value else json.dumps(value)

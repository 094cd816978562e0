"""Whole images with their masks at once: how imports write, many thousand masks a second.

An image and all its masks are one operation, named after the import and the image's path; a batch
of them is one transaction. So an import that was interrupted is run again from the beginning and
adds what is missing, and a mask that somebody edited since is not touched.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import sqrt
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, func, insert, select, update

from maskmill.errors import MaskError, StoreError
from maskmill.rle import Rle
from maskmill.rle_batch import areas_and_boxes
from maskmill.store.changes import Made
from maskmill.store.counts import (
    Counted,
    add_bins,
    bins_of,
    count_changed,
    groups_of,
    insert_groups,
)
from maskmill.store.database import next_sequence, now
from maskmill.store.images import Image, NewImage
from maskmill.store.project import Project
from maskmill.store.rows import chunks
from maskmill.store.schema import images, operations

MADE = tuple(field.name for field in fields(Made))
SHAPE = ("area", "x0", "y0", "x1", "y1", "relative_size", "centre_x", "centre_y")
OF_MASK = ("is_crowd", "review", "attributes", "counts", *MADE, *SHAPE)
"""What is known of a mask before any database is asked, in this order."""
COLUMNS = (
    *("project_id", "version", "deleted", "changed_by", "at", "image_id", "category_id"),
    *("operation_id", "sequence", *OF_MASK),
)
"""What a row of `annotations` is written as, in this order."""
BEFORE = len(COLUMNS) - len(OF_MASK)

_made_of = attrgetter(*MADE)
_SCORES = MADE.index("predicted_iou")  # the stability score follows it
_PROMPTS, _CANDIDATES = MADE.index("prompts"), MADE.index("candidates")


class NewMask(msgspec.Struct, frozen=True, kw_only=True):  # made in a tenth of a dataclass's time
    """A mask that comes with its image; as `Create`, with the category by name."""

    rle: Rle
    made: Made
    category: str | None = None
    is_crowd: bool = False
    review: str | None = None
    attributes: Mapping[str, Any] | None = None
    shape: tuple[int, int, int, int, int] | None = None
    """Area and half-open XYXY box of `rle`, pixels; None has them measured."""
    scores: tuple[float | None, float | None] | None = None
    """Predicted IoU and stability instead of those in `made`, which many masks may share then."""


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """An image and its masks."""

    image: NewImage
    masks: tuple[NewMask, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """An image and its masks, checked, measured and laid out as rows; made in any process."""

    image: NewImage
    categories: list[str | None]
    """Each mask's, by name."""
    rows: list[tuple[Any, ...]]
    """Each mask's columns, as `OF_MASK`."""
    digest: str
    """Of the labels, without the image."""


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
    passed_over: int
    """Images that people had taken up, where those were to be left alone."""


def add_labelled(
    project: Project,
    operation_id: str,
    batch: Sequence[Labelled],
    *,
    by: str,
    untouched_only: bool = False,
) -> Added:
    """Add images and their masks in one transaction: `add_prepared` of what `prepare` gives."""
    prepared = prepare(batch)
    return add_prepared(project, operation_id, prepared, by=by, untouched_only=untouched_only)


def prepare(batch: Sequence[Labelled]) -> list[Prepared]:
    """Check and measure masks and lay them out as rows, which needs no database.

    Raises:
        MaskError: If a mask is malformed, empty or not of its image's size.
    """
    _check_sizes(batch)
    masks = [mask for each in batch for mask in each.masks]
    shapes = iter(_shapes(batch, masks))
    return [
        Prepared(
            each.image,
            [mask.category for mask in each.masks],
            [_row(mask) + next(shapes) for mask in each.masks],
            _digest(each),
        )
        for each in batch
    ]


def add_prepared(
    project: Project,
    operation_id: str,
    batch: Sequence[Prepared],
    *,
    by: str,
    untouched_only: bool = False,
) -> Added:
    """Add images and their masks in one transaction.

    Args:
        project: Open for writing.
        operation_id: Names the import; the same for all its batches and for its repetition.
        batch: Images with unlike paths.
        by: Who imports.
        untouched_only: Pass over known images that have masks, are not open or are held by a
            person; they do not count as done.

    Raises:
        StoreError: If a known path holds another file now, or writing failed.
    """
    count = len(batch) + sum(len(each.rows) for each in batch)
    paths = [each.image.path for each in batch]
    names = [f"{operation_id}/{path}" for path in paths]
    digests = [_digest_with_image(each) for each in batch]
    with project.database.write() as connection:
        sequence = next_sequence(connection, project.id, count)
        known = project.images.by_path_in(connection, paths)
        done = _done(connection, project.id, names)
        new = [i for i, name in enumerate(names) if name not in done]
        taken = _taken(project, connection, known) if untouched_only else set()
        fresh = [i for i in new if paths[i] not in taken]
        rows = project.images.add_in(
            connection,
            [each.image for each in batch],
            sequence,
            mask_counts=[
                0 if name in done else len(each.rows)
                for each, name in zip(batch, names, strict=True)
            ],
        )
        masks = _Masks(project, [(batch[i], rows[i], names[i]) for i in fresh], set(known))
        added = masks.write(connection, sequence, by)
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
        passed_over=len(new) - len(fresh),
    )


def _taken(project: Project, connection: Connection, known: Mapping[str, Image]) -> set[str]:
    """Return the paths of known images that a person has taken up."""
    free = project.work.untouched_in(connection, [image.id for image in known.values()])
    return {path for path, image in known.items() if image.id not in free}


def _check_sizes(batch: Sequence[Labelled]) -> None:
    for each in batch:
        size = (each.image.height, each.image.width)
        for mask in each.masks:
            if mask.rle.size != size:
                raise MaskError(
                    f"a mask of {each.image.path} is {mask.rle.size} (H, W), the image {size}; "
                    "give it at that size"
                )


def _shapes(batch: Sequence[Labelled], masks: Sequence[NewMask]) -> list[tuple[Any, ...]]:
    """Measure masks: the columns of `SHAPE`, to the last bit those of `changes.shape_columns`."""
    shapes = []
    for place, (mask, shape) in enumerate(zip(masks, _measured(masks), strict=True)):
        area, x0, y0, x1, y1 = shape
        if not area:
            owners = [each for each in batch for _ in each.masks]
            raise MaskError(f"a mask of {owners[place].image.path} is empty; leave it out")
        h, w = mask.rle.size
        # Plain numbers: making arrays of tuples takes longer than working on them.
        shapes.append((*shape, sqrt(area / (h * w)), (x0 + x1) / (2 * w), (y0 + y1) / (2 * h)))
    return shapes


def _measured(masks: Sequence[NewMask]) -> list[tuple[int, ...]]:
    """Return area and box of each, and measure those of which nobody has."""
    areas, boxes = areas_and_boxes([mask.rle for mask in masks if mask.shape is None])
    found = zip(areas.tolist(), *boxes.T.tolist(), strict=True)
    return [mask.shape or next(found) for mask in masks]


def _row(mask: NewMask) -> tuple[Any, ...]:
    made = _made_of(mask.made)
    if made[_PROMPTS] is not None or made[_CANDIDATES] is not None:
        made = tuple(
            _json(value) if i in (_PROMPTS, _CANDIDATES) else value for i, value in enumerate(made)
        )
    if mask.scores is not None:
        made = (*made[:_SCORES], *mask.scores, *made[_SCORES + 2 :])
    attributes = _json(mask.attributes) if mask.attributes else None
    return (mask.is_crowd, mask.review, attributes, mask.rle.counts, *made)


def _digest(each: Labelled) -> str:
    return _digest_of((m.is_crowd, m.category or "", m.rle.counts) for m in each.masks)


def _digest_of(masks: Iterable[tuple[bool, str, bytes]]) -> str:
    digest = hashlib.sha256()
    for is_crowd, category, counts in masks:
        digest.update(b"%d %s " % (is_crowd, category.encode()))
        digest.update(counts)
    return digest.hexdigest()


def _digest_with_image(each: Prepared) -> str:
    return _stamp(each.image.content_hash, each.digest)


def _stamp(content_hash: str, digest: str) -> str:
    return hashlib.sha256(f"{content_hash} {digest}".encode()).hexdigest()


def digest_of_written(content_hash: str, masks: Iterable[tuple[bool, str, bytes]]) -> str:
    """Return the digest that an image's operation has if these are its masks.

    Args:
        content_hash: Of the image's file.
        masks: Whether it is a crowd, its category's name or nothing, and its run lengths, in the
            order in which they were written.
    """
    return _stamp(content_hash, _digest_of(masks))


def already_done(project: Project, operation_id: str, paths: Sequence[str]) -> set[str]:
    """Return those of some images' paths that an operation has brought already."""
    names = {f"{operation_id}/{path}": path for path in paths}
    with project.database.read() as connection:
        return {names[name] for name in _done(connection, project.id, list(names))}


def count_done(project: Project, operation_id: str) -> int:
    """Count the images that an operation has brought."""
    statement = (
        select(func.count())
        .select_from(operations)
        .where(
            operations.c.project_id == project.id,
            operations.c.operation_id.startswith(f"{operation_id}/", autoescape=True),
        )
    )
    with project.database.read() as connection:
        return int(connection.execute(statement).scalar_one())


def _done(connection: Connection, project_id: int, names: Sequence[str]) -> dict[str, str]:
    """Return the digests of the operations that were done before, by name."""
    found: dict[str, str] = {}
    for some in chunks(names):
        statement = select(operations.c.operation_id, operations.c.digest).where(
            operations.c.project_id == project_id, operations.c.operation_id.in_(some)
        )
        found |= {name: digest for name, digest in connection.execute(statement)}
    return found


@dataclass(frozen=True)
class _Masks:
    """The masks of a batch that were not there before."""

    project: Project
    fresh: list[tuple[Prepared, Image, str]]
    known: set[str]
    """Paths of images that were there before, which may have masks already."""

    def write(self, connection: Connection, sequence: int, by: str) -> int:
        named = {name for each, _, _ in self.fresh for name in each.categories if name}
        kinds = self.project.categories.ensure_in(connection, sorted(named)) if named else {}
        rows: list[tuple[Any, ...]] = []
        start, at = (self.project.id, 1, False, by), now()
        for each, image, name in self.fresh:
            here = (*start, at, image.id)
            for category, row in zip(each.categories, each.rows, strict=True):
                kind = kinds[category] if category else None
                rows.append((*here, kind, name, sequence + len(rows), *row))
        if rows:
            _insert(connection, rows)
            self._count(connection, rows)
        return len(rows)

    def _count(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Count the masks, in bulk where their images are new, and anew where they are not."""
        old = {image.id for _, image, _ in self.fresh if image.path in self.known}
        new = list(map(_counted, (row for row in rows if row[_IMAGE] not in old)))
        insert_groups(connection, self.project.id, groups_of(new))
        add_bins(connection, self.project.id, bins_of(new))
        if old:
            masks = [Counted(*_counted(row)) for row in rows if row[_IMAGE] in old]
            count_changed(connection, self.project.id, (), masks)
            counts = Counter(mask.image_id for mask in masks)
            if counts:
                connection.execute(
                    update(images)
                    .where(images.c.id == bindparam("key"))
                    .values(mask_count=images.c.mask_count + bindparam("n")),
                    [{"key": key, "n": n} for key, n in counts.items()],
                )


_IMAGE = COLUMNS.index("image_id")
_counted = itemgetter(*(COLUMNS.index(name) for name in Counted._fields))


def _insert(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Hand rows to the driver as they are; SQLAlchemy's own way takes twice as long for each."""
    if connection.dialect.name == "sqlite":
        _insert_into_sqlite(connection, rows)
        return
    columns = ", ".join(COLUMNS)
    driver: Any = connection.connection.dbapi_connection
    dbapi: Any = connection.dialect.dbapi
    try:
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY annotations ({columns}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)
    except dbapi.Error as error:
        said = str(error).split("\n")[0]
        raise StoreError(f"the database took no masks ({said}); nothing was changed") from error


def _insert_into_sqlite(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Spare the driver what it is slow at: None, booleans and bytes take it 0.3 us each."""
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    columns["counts"] = tuple(map(bytearray, columns["counts"]))
    for name in ("deleted", "is_crowd"):
        columns[name] = tuple(map(int, columns[name]))
    given = {name: c for name, c in columns.items() if c.count(None) < len(c)}
    names, marks = ", ".join(given), ", ".join("?" * len(given))
    connection.exec_driver_sql(
        f"INSERT INTO annotations ({names}) VALUES ({marks})",
        list(zip(*given.values(), strict=True)),
    )


def _json(value: Any) -> str | None:
    return None if not value else json.dumps(value)

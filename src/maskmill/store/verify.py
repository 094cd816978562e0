"""Proves that a project is whole, or says what is not, one sentence for each thing."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from maskmill.errors import ImageError, MaskError, StoreError
from maskmill.images import content_hash
from maskmill.rle import Rle
from maskmill.rle_batch import areas_and_boxes
from maskmill.store.bulk import digest_of_written
from maskmill.store.counts import COUNTED, Bin, bins_of, counted, groups_of
from maskmill.store.project import Project
from maskmill.store.schema import (
    annotation_versions,
    annotations,
    images,
    mask_bins,
    mask_groups,
    operations,
)

MASKS_AT_ONCE = 5000
IMAGES_AT_ONCE = 5000
OPERATIONS_AT_ONCE = 400


def verify(project: Project, *, files: bool = True) -> Iterator[str]:
    """Look at everything a project holds.

    Args:
        project: Open for reading or writing; nothing is changed.
        files: Also read every image's file and compare its hash.

    Yields:
        What is wrong, in words; nothing if the project is whole.
    """
    database = project.database
    if database.kind == "sqlite":
        with database.read() as connection:
            for (line,) in connection.execute(text("PRAGMA integrity_check")):
                if line != "ok":
                    yield f"the database is damaged: {line}; restore the last backup"
    for check in (_masks, _counts, _groups, _histories):
        with database.read() as connection:
            yield from check(connection, project.id)
    yield from _labelling(project)
    for snapshot in project.snapshots.all():
        if not project.snapshots.verify(snapshot):
            yield f"snapshot {snapshot.name!r} is not what its digest says; restore a backup"
    yield from _blobs(project)
    if files:
        yield from _files(project)


def _masks(connection: Connection, project_id: int) -> Iterator[str]:
    """Measure every mask anew and compare with its row."""
    last = 0
    while True:
        statement = (
            select(annotations, images.c.height, images.c.width)
            .join(images, images.c.id == annotations.c.image_id)
            .where(annotations.c.project_id == project_id, annotations.c.id > last)
            .order_by(annotations.c.id)
            .limit(MASKS_AT_ONCE)
        )
        rows = connection.execute(statement).all()
        if not rows:
            return
        last = rows[-1].id
        masks = [Rle((row.height, row.width), bytes(row.counts)) for row in rows]
        measured = _measured(masks)
        for row, found in zip(rows, measured, strict=True):
            if isinstance(found, str):
                yield f"the mask of annotation {row.id} is damaged ({found}); restore a backup"
            elif found != (row.area, row.x0, row.y0, row.x1, row.y1):
                yield (
                    f"annotation {row.id} says area and box {(row.area, row.x0, row.y0, row.x1)}, "
                    f"its mask {found}; restore a backup"
                )


def _measured(masks: list[Rle]) -> list[tuple[int, ...] | str]:
    try:
        areas, boxes = areas_and_boxes(masks)
    except MaskError as error:
        if len(masks) == 1:
            return [str(error)]
        return [found for mask in masks for found in _measured([mask])]
    return [(area, *box) for area, box in zip(areas.tolist(), boxes.tolist(), strict=True)]


def _counts(connection: Connection, project_id: int) -> Iterator[str]:
    """Count every image's living masks anew."""
    counted = (
        select(annotations.c.image_id, func.count().label("n"))
        .where(annotations.c.project_id == project_id, ~annotations.c.deleted)
        .group_by(annotations.c.image_id)
        .subquery()
    )
    found = func.coalesce(counted.c.n, 0)
    statement = (
        select(images.c.path, images.c.mask_count, found)
        .outerjoin(counted, counted.c.image_id == images.c.id)
        .where(images.c.project_id == project_id, images.c.mask_count != found)
    )
    for path, said, there in connection.execute(statement):
        yield f"{path} is said to have {said} masks and has {there}; please report this"


def _groups(connection: Connection, project_id: int) -> Iterator[str]:
    """Count every kind of mask anew, some images at a time, and the distributions."""
    bins: Counter[Bin] = Counter()
    last = 0
    ids = select(images.c.id).where(images.c.project_id == project_id).order_by(images.c.id)
    while some := list(
        connection.execute(ids.where(images.c.id > last).limit(IMAGES_AT_ONCE)).scalars()
    ):
        living = select(*COUNTED).where(
            annotations.c.image_id.between(last + 1, some[-1]),
            annotations.c.project_id == project_id,
            ~annotations.c.deleted,
        )
        masks = [counted(row) for row in connection.execute(living)]
        bins.update(bins_of(masks))
        groups = mask_groups.c
        rows = connection.execute(
            select(mask_groups).where(
                groups.project_id == project_id, groups.image_id.between(last + 1, some[-1])
            )
        )
        said = {
            (r.category_id, r.image_id, r.stage, r.review, r.author): (r.masks, r.lowest_iou)
            for r in rows
        }
        there = groups_of(masks)
        for image in sorted({key[1] for key, _ in said.items() ^ there.items()}):
            yield f"the kinds of masks of image {image} are counted wrongly; please report this"
        last = some[-1]
    of_bins = select(mask_bins).where(mask_bins.c.project_id == project_id, mask_bins.c.masks != 0)
    if {(r.kind, r.bin): r.masks for r in connection.execute(of_bins)} != dict(bins):
        yield "the distributions of sizes and places are counted wrongly; please report this"


def _histories(connection: Connection, project_id: int) -> Iterator[str]:
    """Every version before the latest must be there."""
    kept = (
        select(annotation_versions.c.id, func.count().label("n"))
        .where(annotation_versions.c.project_id == project_id)
        .group_by(annotation_versions.c.id)
        .subquery()
    )
    there = func.coalesce(kept.c.n, 0)
    statement = (
        select(annotations.c.id, annotations.c.version, there)
        .outerjoin(kept, kept.c.id == annotations.c.id)
        .where(annotations.c.project_id == project_id, annotations.c.version != there + 1)
    )
    for key, version, found in connection.execute(statement):
        yield (
            f"annotation {key} is at version {version}, but {found} earlier ones are kept; "
            "restore a backup"
        )


def _labelling(project: Project) -> Iterator[str]:
    """What each job of stage 3 committed must be there, all of it, and once."""
    for job in project.jobs.all(kind="label"):
        prefix = f"label-{job.id}/"
        committed = 0
        with project.database.read() as connection:
            last = ""
            while rows := _committed(connection, project.id, prefix, last):
                last = rows[-1][0]
                committed += len(rows)
                yield from _written_otherwise(connection, project.id, prefix, rows)
        if job.status == "done" and job.done != committed:  # a running one's word may lag
            yield (
                f"job {job.id} says that it labelled {job.done} images, and {committed} are there; "
                "restore a backup"
            )


def _committed(
    connection: Connection, project_id: int, prefix: str, last: str
) -> list[tuple[str, str]]:
    """Return name and digest of the next operations of a job."""
    statement = (
        select(operations.c.operation_id, operations.c.digest)
        .where(
            operations.c.project_id == project_id,
            operations.c.operation_id.startswith(prefix, autoescape=True),
            operations.c.operation_id > last,
        )
        .order_by(operations.c.operation_id)
        .limit(OPERATIONS_AT_ONCE)
    )
    return [(row.operation_id, row.digest) for row in connection.execute(statement)]


def _written_otherwise(
    connection: Connection, project_id: int, prefix: str, stamped: Sequence[tuple[str, str]]
) -> Iterator[str]:
    """Compare the first versions of some images' masks with what their operation stamped."""
    paths = {name: name.removeprefix(prefix) for name, _ in stamped}
    these = (images.c.project_id == project_id, images.c.path.in_(paths.values()))
    hashes = select(images.c.path, images.c.content_hash).where(*these)
    hash_of = {path: found for path, found in connection.execute(hashes)}
    written: dict[str, list[tuple[int, bool, bytes]]] = {name: [] for name in paths}
    for table in (annotations, annotation_versions):
        columns = (table.c.operation_id, table.c.id, table.c.is_crowd, table.c.counts)
        statement = select(*columns).where(
            table.c.project_id == project_id,
            table.c.version == 1,
            table.c.image_id.in_(select(images.c.id).where(*these)),
            table.c.operation_id.in_(paths),
        )
        for row in connection.execute(statement):
            written[row.operation_id].append((row.id, bool(row.is_crowd), bytes(row.counts)))
    for name, digest in stamped:
        masks = [(crowd, "", counts) for _, crowd, counts in sorted(written[name])]
        if digest_of_written(hash_of.get(paths[name], ""), masks) != digest:
            yield (
                f"{paths[name]}: masks that {prefix[:-1]} wrote are missing or double; "
                "restore a backup"
            )


def _blobs(project: Project) -> Iterator[str]:
    for digest in project.blobs.all():
        try:
            project.blobs.get(digest)
        except StoreError as error:
            yield str(error)
    there = set(project.blobs.all())
    for model in project.models.all():
        if model.blob is not None and model.blob not in there:
            yield f"the weights of model {model.model_id} are missing; restore blob {model.blob}"


def _files(project: Project) -> Iterator[str]:
    last = 0
    while page := project.images.page(after=last, limit=1000):
        last = page[-1].id
        for image in page:
            if reason := _file_reason(Path(image.path), image.content_hash):
                yield f"{image.path} {reason}"


def _file_reason(path: Path, expected: str) -> str:
    if not path.exists():
        return "is missing; put it back, or delete the image from the project"
    try:
        found = content_hash(path)
    except ImageError as error:
        return f"is out of reach: {error}"
    return "" if found == expected else "is not the file that was added; put the old one back"

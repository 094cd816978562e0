"""Masks with their whole history: created, edited, deleted, restored; nothing is overwritten.

All writing goes through `apply`: some changes as one operation, all of them or none. An operation
has an id that its caller chose; asked again, it is answered as the first time and done once. A
change of what is there names the version it is based on; if somebody was faster, `Conflict` carries
both. Boxes are half-open XYXY, pixels of the upright image.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from maskmill.errors import Conflict, NotFound, StoreError
from maskmill.store.changes import (
    Annotation,
    Change,
    Create,
    Delete,
    Edit,
    Restore,
    digest_of,
    first_version,
    following_version,
)
from maskmill.store.counts import UNREVIEWED, count_changed, counted_of
from maskmill.store.database import Database, next_sequence, now
from maskmill.store.operations import find, find_same, note
from maskmill.store.rows import checked_text, chunks, in_project, is_key, require
from maskmill.store.schema import (
    VERSION_COLUMNS,
    annotation_versions,
    annotations,
    categories,
    images,
    models,
    rounds,
)

_IMAGE_SIZE = (images.c.height.label("image_height"), images.c.width.label("image_width"))

# Made once: making statements of thirty columns took a third of what an edit takes.
_LATEST = select(annotations, *_IMAGE_SIZE).where(annotations.c.image_id == images.c.id)
_CURRENT = _LATEST.where(
    in_project(annotations, bindparam("project")),
    annotations.c.id.in_(bindparam("ids", expanding=True)),
)
_KEEP = insert(annotation_versions).from_select(
    VERSION_COLUMNS,
    select(annotations).where(annotations.c.id.in_(bindparam("ids", expanding=True))),
)
_REPLACE = update(annotations).where(annotations.c.id == bindparam("key"))


class Annotations:
    """The masks of a project.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def apply(
        self,
        operation_id: str,
        changes: Sequence[Change],
        *,
        by: str,
        over: str | None = None,
        before: Callable[[Connection], None] | None = None,
        also: Callable[[Connection, list[Annotation]], None] | None = None,
    ) -> list[Annotation]:
        """Make some changes as one operation, durably.

        What arrives late is kept: a mask may be put on an image that was deleted meanwhile, and a
        category that was put away comes back with a mask of it.

        Args:
            operation_id: Chosen by the caller, anew for each operation; a UUID, say.
            changes: At least one; none may touch an annotation that another of them touches.
            by: Who makes them.
            over: An author that everybody else goes before: that only they have changed a mask
                since the version that a change is based on is no conflict.
            before: Looks in the same transaction before anything is changed, and raises if nothing
                may be; not called when the operation is repeated.
            also: Writes in the same transaction what belongs to the changes; not called again when
                the operation is repeated.

        Returns:
            The new version of each, in the order of `changes`.

        Raises:
            Conflict: If a change is based on a version that is not the latest; not where `over`
                alone has changed it since.
            NotFound: If an annotation, image, category, model or round does not exist here.
            MaskError: If a mask is empty, malformed or of another size than its image.
            StoreError: If the operation's id was used for other changes, a value is not allowed,
                or writing failed.
        """
        checked_text("the name of who makes the change", by)
        if not changes:
            raise StoreError("an operation needs at least one change; give one")
        touched = [c.annotation_id for c in changes if not isinstance(c, Create)]
        if len(set(touched)) < len(touched):
            raise StoreError("an operation changes one annotation twice; make it two operations")
        digest = digest_of(changes, by)
        with self._database.write() as connection:
            sequence = next_sequence(connection, self._project, len(changes))
            earlier = find_same(connection, self._project, operation_id, digest)
            if earlier is not None:
                return self._answered(connection, earlier)
            if before is not None:
                before(connection)
            made = self._apply(connection, operation_id, changes, by, over, sequence)
            answer = [[each.id, each.version] for each in made]
            note(connection, self._project, operation_id, digest, answer, sequence)
            if also is not None:
                also(connection, made)
            return made

    def done(self, operation_id: str) -> list[Annotation] | None:
        """Return what an operation answered; None if it was never done."""
        with self._database.read() as connection:
            row = find(connection, self._project, operation_id)
            return None if row is None else self._answered(connection, row)

    def get(self, annotation_id: int) -> Annotation:
        """Return the latest version of an annotation, a deleted one included.

        Raises:
            NotFound: If there is no such annotation.
        """
        with self._database.read() as connection:
            return self._current(connection, [annotation_id])[annotation_id]

    def of_image(self, image_id: int, *, deleted: bool = False) -> list[Annotation]:
        """Return the latest versions of an image's masks, oldest first.

        Args:
            image_id: The image.
            deleted: Return the deleted ones instead of the living.
        """
        return self.of_images([image_id], deleted=deleted).get(image_id, [])

    def of_images(
        self,
        image_ids: Sequence[int],
        *,
        deleted: bool = False,
        stage: str | None = None,
        review: str | None = None,
        category_id: int | None = None,
    ) -> dict[int, list[Annotation]]:
        """Return the latest versions of the masks of some images, by image, oldest first.

        Args:
            image_ids: The images.
            deleted: Return the deleted ones instead of the living.
            stage: Only masks of this stage.
            review: Only masks with this verdict; `unreviewed` are those without any.
            category_id: Only masks of this category.
        """
        asked = {"stage": stage, "review": review, "category_id": category_id}
        where = [
            annotations.c[name].is_(None) if value == UNREVIEWED else annotations.c[name] == value
            for name, value in asked.items()
            if value is not None
        ]
        found: dict[int, list[Annotation]] = {}
        with self._database.read() as connection:
            for ids in chunks([each for each in image_ids if is_key(each)]):
                statement = _LATEST.where(
                    in_project(annotations, self._project),
                    annotations.c.image_id.in_(ids),
                    annotations.c.deleted == deleted,
                    *where,
                )
                for row in connection.execute(statement.order_by(annotations.c.id)):
                    found.setdefault(row.image_id, []).append(_annotation(row))
        return found

    def history(self, annotation_id: int) -> list[Annotation]:
        """Return all versions of an annotation, the first one first.

        Raises:
            NotFound: If there is no such annotation.
        """
        with self._database.read() as connection:
            latest = self._current(connection, [annotation_id])[annotation_id]
            statement = select(annotation_versions, *_IMAGE_SIZE).where(
                annotation_versions.c.id == annotation_id,
                annotation_versions.c.image_id == images.c.id,
            )
            rows = connection.execute(statement.order_by(annotation_versions.c.version))
            return [*map(_annotation, rows), latest]

    def originals(self, image_id: int) -> dict[int, Annotation]:
        """Return the first version of each of an image's masks, also of deleted ones, by row."""
        found: dict[int, Annotation] = {}
        with self._database.read() as connection:
            for table in (annotations, annotation_versions):
                statement = select(table, *_IMAGE_SIZE).where(
                    in_project(images, self._project),
                    images.c.id == image_id,
                    table.c.image_id == images.c.id,
                    table.c.version == 1,
                )
                found |= {row.id: _annotation(row) for row in connection.execute(statement)}
        return dict(sorted(found.items()))

    def since(self, sequence: int, *, limit: int = 1000) -> list[Annotation]:
        """Return annotations whose latest version is newer than a number, in order of change."""
        statement = _LATEST.where(
            annotations.c.project_id == self._project, annotations.c.sequence > sequence
        )
        statement = statement.order_by(annotations.c.sequence).limit(limit)
        with self._database.read() as connection:
            return [_annotation(row) for row in connection.execute(statement)]

    def _answered(self, connection: Connection, row: Row[Any]) -> list[Annotation]:
        return [self._version(connection, *each) for each in row.answer]

    def _version(self, connection: Connection, annotation_id: int, version: int) -> Annotation:
        for table in (annotations, annotation_versions):
            statement = select(table, *_IMAGE_SIZE).where(
                table.c.id == annotation_id,
                table.c.version == version,
                table.c.image_id == images.c.id,
            )
            row = connection.execute(statement).first()
            if row is not None:
                return _annotation(row)
        raise StoreError(f"version {version} of annotation {annotation_id} is missing; run verify")

    def _current(
        self, connection: Connection, annotation_ids: Sequence[int]
    ) -> dict[int, Annotation]:
        found: dict[int, Annotation] = {}
        for ids in chunks([each for each in annotation_ids if is_key(each)]):
            rows = connection.execute(_CURRENT, {"project": self._project, "ids": ids})
            found |= {row.id: _annotation(row) for row in rows}
        for each in annotation_ids:
            if each not in found:
                raise NotFound(f"annotation {each} does not exist; list those of its image")
        return found

    def _apply(
        self,
        connection: Connection,
        operation_id: str,
        changes: Sequence[Change],
        by: str,
        over: str | None,
        sequence: int,
    ) -> list[Annotation]:
        ids = [c.annotation_id for c in changes if not isinstance(c, Create)]
        current = self._current(connection, ids)
        sizes = self._sizes(connection, [c.image_id for c in changes if isinstance(c, Create)])
        self._require_named(connection, changes)
        new: list[dict[str, Any]] = []
        replaced: dict[int, dict[str, Any]] = {}
        for place, change in enumerate(changes):
            stamp = {
                "operation_id": operation_id,
                "sequence": sequence + place,
                "at": now(),
                "changed_by": by,
            }
            if isinstance(change, Create):
                columns = first_version(change, sizes[change.image_id])
                new.append({"project_id": self._project, **columns, **stamp})
            else:
                _refuse_stale(connection, current[change.annotation_id], change, over)
                columns = following_version(current[change.annotation_id], change)
                replaced[change.annotation_id] = {**columns, **stamp}
        keys = iter(self._insert(connection, new))
        self._replace(connection, replaced)
        order = [next(keys) if isinstance(c, Create) else c.annotation_id for c in changes]
        latest = self._current(connection, order)
        made = [latest[key] for key in order]
        self._count(connection, changes, current, made)
        self._bring_back_categories(connection, made)
        return made

    def _insert(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[int]:
        if not rows:
            return []
        statement = insert(annotations).returning(annotations.c.id, sort_by_parameter_order=True)
        return list(connection.execute(statement, rows).scalars())

    def _replace(self, connection: Connection, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """Move the versions that are replaced to the history, and write those that follow."""
        for ids in chunks(rows):
            connection.execute(_KEEP, {"ids": ids})
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for key, columns in rows.items():
            alike.setdefault(tuple(columns), []).append({"key": key, **columns})
        for some in alike.values():  # one statement for all changes of the same columns
            connection.execute(_REPLACE, some)

    def _sizes(
        self, connection: Connection, image_ids: Sequence[int]
    ) -> dict[int, tuple[int, int]]:
        sizes: dict[int, tuple[int, int]] = {}
        for ids in chunks([each for each in image_ids if is_key(each)]):
            statement = select(images.c.id, images.c.height, images.c.width).where(
                in_project(images, self._project), images.c.id.in_(ids)
            )
            sizes |= {row.id: (row.height, row.width) for row in connection.execute(statement)}
        for each in image_ids:
            if each not in sizes:
                raise NotFound(f"image {each} does not exist; add it before its masks")
        return sizes

    def _require_named(self, connection: Connection, changes: Sequence[Change]) -> None:
        """Refuse what a database would call a violated foreign key, or take from a neighbour."""
        written = [change for change in changes if isinstance(change, Create | Edit)]
        made = [change.made for change in written if change.made is not None]
        named = (
            (categories, "category", [change.category_id for change in written]),
            (models, "model", [each.model_id for each in made]),
            (rounds, "round", [each.round_id for each in made]),
        )
        for table, what, ids in named:
            require(connection, table, self._project, [i for i in ids if isinstance(i, int)], what)

    def _bring_back_categories(self, connection: Connection, made: Sequence[Annotation]) -> None:
        """A living mask's category lives; restoring a mask may bring its category back."""
        of_living = {a.category_id for a in made if a.category_id is not None and not a.deleted}
        for ids in chunks(of_living):
            put_away = (categories.c.id.in_(ids), categories.c.deleted)
            connection.execute(update(categories).where(*put_away).values(deleted=False))

    def _count(
        self,
        connection: Connection,
        changes: Sequence[Change],
        current: Mapping[int, Annotation],
        made: Sequence[Annotation],
    ) -> None:
        """Keep each image's number of living masks, and what is counted besides."""
        steps: dict[int, int] = {}
        before = [current[c.annotation_id] for c in changes if not isinstance(c, Create)]
        for annotation, step in [*((a, -1) for a in before), *((a, 1) for a in made)]:
            if not annotation.deleted:
                steps[annotation.image_id] = steps.get(annotation.image_id, 0) + step
        for image_id, step in steps.items():
            if step:
                counted = images.c.mask_count + step
                connection.execute(
                    update(images).where(images.c.id == image_id).values(mask_count=counted)
                )
        count_changed(connection, self._project, counted_of(before), counted_of(made))


def _refuse_stale(
    connection: Connection, current: Annotation, change: Edit | Delete | Restore, over: str | None
) -> None:
    if change.based_on == current.version:
        return
    if over is not None and over == current.changed_by and change.based_on < current.version:
        others = select(annotation_versions.c.version).where(
            annotation_versions.c.id == current.id,
            annotation_versions.c.version > change.based_on,
            annotation_versions.c.changed_by != over,
        )
        if connection.execute(others).first() is None:
            return
    raise Conflict(
        f"annotation {current.id} is at version {current.version}, changed by "
        f"{current.changed_by}; the change was based on version {change.based_on}: "
        "look at the new one and try again",
        current=current,
        attempted=change,
    )


def _annotation(row: Row[Any]) -> Annotation:
    return Annotation.from_row(row._mapping, (row.image_height, row.image_width))

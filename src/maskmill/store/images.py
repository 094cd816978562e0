"""The images of a project: what they are, where they lie, and pages of them under a filter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, Select, desc, func, insert, select, update

from maskmill.errors import NotFound, StoreError
from maskmill.store.database import Database, next_sequence, now
from maskmill.store.filters import ImageFilter, chosen_ids, count_of
from maskmill.store.rows import checked, checked_text, chunks, is_key
from maskmill.store.schema import images, projects

COUNTS_KEPT = 1000
"""Filters whose counts are kept."""


@dataclass(frozen=True, kw_only=True)
class NewImage:
    """An image to be added; the schema explains each field.

    `path` is where the original lies. It is what tells images apart: two files of one name in two
    folders are two images, and so are two copies of one photograph.
    """

    path: str
    content_hash: str
    height: int
    width: int
    source: str
    perceptual_hash: int | None = None
    external_id: str | None = None
    split: str | None = None
    group_name: str | None = None
    licence: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Image(NewImage):
    """An image of a project."""

    id: int
    mask_count: int
    sequence: int
    added_at: float
    deleted: bool

    @property
    def size(self) -> tuple[int, int]:
        """(H, W), pixels of the upright image."""
        return self.height, self.width


class Images:
    """The images of a project.

    Args:
        database: Where their rows are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id
        self._counted: dict[ImageFilter, tuple[int, int]] = {}

    def add(self, new: Sequence[NewImage]) -> list[Image]:
        """Add images; those whose path is known already are returned as they are.

        Raises:
            StoreError: If a known path now holds another file: its masks would no longer fit; or
                if no database could keep a value.
        """
        with self._database.write() as connection:
            sequence = next_sequence(connection, self._project, max(1, len(new)))
            return self.add_in(connection, new, sequence)

    def add_in(
        self,
        connection: Connection,
        new: Sequence[NewImage],
        sequence: int,
        *,
        mask_counts: Sequence[int] | None = None,
    ) -> list[Image]:
        """Do as `add` in an open transaction.

        Args:
            connection: The transaction.
            new: The images.
            sequence: The number of the first change.
            mask_counts: How many masks each will have, if it is new; by default none.
        """
        checked_rows = [_new_row(image) for image in new]
        paths = [image.path for image in new]
        known: dict[str, NewImage] = {**self.by_path_in(connection, paths)}
        rows, stamp = [], now()
        for place, image in enumerate(new):
            if image.path in known:
                _refuse_changed(known[image.path], image)
                continue
            known[image.path] = image
            rows.append(
                {
                    **checked_rows[place],
                    "project_id": self._project,
                    "mask_count": mask_counts[place] if mask_counts else 0,
                    "sequence": sequence + place,
                    "added_at": stamp,
                    "deleted": False,
                }
            )
        if rows:
            connection.execute(insert(images), rows)
        found = self.by_path_in(connection, paths)
        return [found[path] for path in paths]

    def get(self, image_id: int) -> Image:
        """Return one image.

        Raises:
            NotFound: If there is no such image.
        """
        statement = select(images).where(
            images.c.project_id == self._project, images.c.id == image_id
        )
        with self._database.read() as connection:
            row = connection.execute(statement).first() if is_key(image_id) else None
        if row is None:
            raise NotFound(f"image {image_id} does not exist; list the images")
        return _image(row)

    def page(
        self, which: ImageFilter | None = None, *, after: int = 0, limit: int = 100
    ) -> list[Image]:
        """Return images in the order in which they were added.

        Args:
            which: Only these.
            after: Only those with a larger id: the last one of the page before.
            limit: Most images returned.
        """
        ids = chosen_ids(self._project, which or ImageFilter(), after=after)
        return self._rows(ids, 0, limit)

    def page_at(
        self, offset: int, which: ImageFilter | None = None, *, limit: int = 100
    ) -> list[Image]:
        """Return the images from place `offset` on, as a person jumps to the middle of a list.

        Where they were counted since the last change, the second half is found from the end.
        """
        which = which or ImageFilter()
        ids = chosen_ids(self._project, which)
        sequence, total = self._counted.get(which, (-1, 0))
        if not total // 2 < offset < total:
            return self._rows(ids, offset, limit)
        there = min(limit, total - offset)
        found = self._rows(ids, total - offset - there, there, from_end=True)
        with self._database.read() as connection:
            is_as_counted = self._sequence_in(connection) == sequence
        return found if is_as_counted else self._rows(ids, offset, limit)

    def beside(self, image_id: int) -> tuple[Image | None, Image | None]:
        """Return the images before and behind one, in the order in which they were added."""
        there = (images.c.project_id == self._project, ~images.c.deleted)
        before = images.c.id < image_id, images.c.id.desc()
        behind = images.c.id > image_id, images.c.id
        found = []
        with self._database.read() as connection:
            for side, order in (before, behind):
                statement = select(images).where(*there, side).order_by(order).limit(1)
                row = connection.execute(statement).first()
                found.append(None if row is None else _image(row))
        return found[0], found[1]

    def _rows(
        self, ids: Select[Any], offset: int, limit: int, *, from_end: bool = False
    ) -> list[Image]:
        """Find the ids first, off an index, then the rows of those alone."""
        ordered = ids.order_by(desc("id") if from_end else "id")
        # Not correlated: the images that it looks at are not the row that it is asked for.
        found = ordered.offset(offset).limit(limit).correlate(None).scalar_subquery()
        statement = select(images).where(images.c.id.in_(found)).order_by(images.c.id)
        with self._database.read() as connection:
            return [_image(row) for row in connection.execute(statement)]

    def count(self, which: ImageFilter | None = None) -> int:
        """Count images; anew only if anything was written since the last time."""
        which = which or ImageFilter()
        with self._database.read() as connection:
            sequence = self._sequence_in(connection)
            before, count = self._counted.get(which, (-1, 0))
            if before != sequence:
                count = connection.execute(count_of(self._project, which)).scalar_one()
                if len(self._counted) >= COUNTS_KEPT:
                    self._counted.clear()
                self._counted[which] = sequence, count
        return count

    def _sequence_in(self, connection: Connection) -> int:
        """Return the number of the project's last change; every write takes a new one."""
        statement = select(projects.c.sequence).where(projects.c.id == self._project)
        return int(connection.execute(statement).scalar_one())

    def by_path(self, paths: Sequence[str]) -> dict[str, Image]:
        """Return the images that are known, by path."""
        with self._database.read() as connection:
            return self.by_path_in(connection, paths)

    def any_below(self, folder: str) -> bool:
        """Tell whether an image of the project, a deleted one included, lies below a folder."""
        statement = select(images.c.id).where(
            images.c.project_id == self._project,
            images.c.path.startswith(f"{folder}/", autoescape=True),
        )
        with self._database.read() as connection:
            return connection.execute(statement.limit(1)).first() is not None

    def sources(self) -> dict[str, int]:
        """Return the sources and how many living images each has."""
        statement = select(images.c.source, func.count()).where(
            images.c.project_id == self._project, ~images.c.deleted
        )
        with self._database.read() as connection:
            rows = connection.execute(statement.group_by(images.c.source).order_by(images.c.source))
            return {source: count for source, count in rows}

    def describe(self, image_id: int, **values: Any) -> None:
        """Change what is known of an image: split, group_name, licence, metadata or path.

        Raises:
            StoreError: If another field is named (the rest follows from the file), or another image
                has that path.
            NotFound: If there is no such image.
        """
        allowed = {"split", "group_name", "licence", "metadata", "path"}
        if unknown := values.keys() - allowed:
            raise StoreError(
                f"{sorted(unknown)} of an image cannot be changed; allowed: {sorted(allowed)}"
            )
        if "path" in values:
            checked_text("path of images", values["path"])
        self._update(image_id, checked(images, values))

    def delete(self, image_id: int) -> None:
        """Put an image and its masks away; the file stays, and `restore` brings all back."""
        self._update(image_id, {"deleted": True})

    def restore(self, image_id: int) -> None:
        """Bring a deleted image back with the masks that it had."""
        self._update(image_id, {"deleted": False})

    def _update(self, image_id: int, values: Mapping[str, Any]) -> None:
        with self._database.write() as connection:
            sequence = next_sequence(connection, self._project)
            if not is_key(image_id):
                raise NotFound(f"image {image_id} does not exist; list the images")
            holder = self.by_path_in(connection, [values["path"]] if "path" in values else [])
            if any(image.id != image_id for image in holder.values()):
                raise StoreError(f"another image has the path {values['path']}; give each its own")
            done = connection.execute(
                update(images)
                .where(images.c.id == image_id, images.c.project_id == self._project)
                .values(**values, sequence=sequence)
            )
            if not done.rowcount:
                raise NotFound(f"image {image_id} does not exist; list the images")

    def by_path_in(self, connection: Connection, paths: Sequence[str]) -> dict[str, Image]:
        """Do as `by_path` in an open transaction."""
        found: dict[str, Image] = {}
        for some in chunks(paths):
            statement = select(images).where(
                images.c.project_id == self._project, images.c.path.in_(some)
            )
            found |= {row.path: _image(row) for row in connection.execute(statement)}
        return found


def _new_row(image: NewImage) -> dict[str, Any]:
    checked_text("path of images", image.path)
    if min(image.height, image.width) < 1:
        raise StoreError(f"{image.path} is {image.height} x {image.width} pixels; give its size")
    return checked(images, {name: getattr(image, name) for name in _NEW_FIELDS})


def _refuse_changed(known: NewImage, image: NewImage) -> None:
    if known.content_hash != image.content_hash:
        raise StoreError(
            f"{image.path} is not the file that was added under this name; its masks would not "
            "fit: give the new file another name"
        )


_FIELDS = tuple(f.name for f in fields(Image))
_NEW_FIELDS = tuple(f.name for f in fields(NewImage))


def _image(row: Row[Any]) -> Image:
    found = row._mapping
    return Image(**{name: found[name] for name in _FIELDS})

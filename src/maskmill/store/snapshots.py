"""Frozen, hashed versions of a dataset, with splits that keep groups together.

A snapshot names versions of annotations, which are never changed or removed, so it costs a row per
mask and no copy. Its digest says what is in it: the files' hashes, the masks, the categories and
the splits, whatever numbers a database gave them.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, insert, literal, or_, select
from sqlalchemy.sql.elements import ColumnElement

from maskmill.errors import NotFound, StoreError
from maskmill.store.changes import Annotation
from maskmill.store.database import Database, next_sequence, now
from maskmill.store.rows import chunks
from maskmill.store.schema import (
    annotation_versions,
    annotations,
    categories,
    images,
    snapshot_annotations,
    snapshot_images,
    snapshots,
)


@dataclass(frozen=True, kw_only=True)
class SnapshotConfig:
    """What goes into a snapshot, and how images without a split are divided."""

    val_share: float = 0.1
    """Share of the groups that become `val`, [0, 1)."""
    seed: int = 0
    """Another seed, another division."""
    stages: tuple[str, ...] = ()
    """Only masks of these stages; empty takes all."""
    reviews: tuple[str, ...] = ()
    """Only masks with these verdicts; empty takes all but the rejected."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A frozen version of the dataset."""

    id: int
    name: str
    digest: str
    statistics: Mapping[str, Any]
    settings: Mapping[str, Any]
    at: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What happened between two snapshots; counts of images and masks."""

    images_added: int
    images_removed: int
    images_moved: int
    """In another split than before."""
    masks_added: int
    masks_removed: int
    masks_changed: int


class Snapshots:
    """The snapshots of a project.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def take(self, name: str, config: SnapshotConfig | None = None) -> Snapshot:
        """Freeze what the project holds now.

        Raises:
            StoreError: If the name is taken, a group stands on both sides of a split, or there is
                nothing to freeze.
        """
        config = config or SnapshotConfig()
        if not 0 <= config.val_share < 1:
            raise StoreError(f"val_share is {config.val_share}; it must be at least 0 and below 1")
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            if self._row(connection, name) is not None:
                raise StoreError(f"a snapshot {name!r} exists already; choose another name")
            splits = self._splits(connection, config)
            if not splits:
                raise StoreError("the project holds no image; import some before a snapshot")
            new = insert(snapshots).values(
                project_id=self._project,
                name=name,
                digest="",
                statistics={},
                settings=asdict(config),
                at=now(),
            )
            key = connection.execute(new.returning(snapshots.c.id)).scalar_one()
            rows = [{"snapshot_id": key, "image_id": i, "split": s} for i, s in splits.items()]
            connection.execute(insert(snapshot_images), rows)
            chosen = select(literal(key), annotations.c.id, annotations.c.version).where(
                *self._chosen(config)
            )
            columns = ("snapshot_id", "annotation_id", "version")
            connection.execute(insert(snapshot_annotations).from_select(columns, chosen))
            return self._sealed(connection, key, splits)

    def get(self, name: str) -> Snapshot:
        """Return a snapshot.

        Raises:
            NotFound: If there is none of that name.
        """
        with self._database.read() as connection:
            row = self._row(connection, name)
        if row is None:
            raise NotFound(f"snapshot {name!r} does not exist; `maskmill snapshot` lists them")
        return _snapshot(row)

    def all(self) -> list[Snapshot]:
        """Return all snapshots, the first one first."""
        statement = select(snapshots).where(snapshots.c.project_id == self._project)
        with self._database.read() as connection:
            return [
                _snapshot(row) for row in connection.execute(statement.order_by(snapshots.c.id))
            ]

    def splits(self, snapshot: Snapshot) -> dict[int, str]:
        """Return the split of each image in a snapshot, by the image's row."""
        with self._database.read() as connection:
            return self._splits_of(connection, snapshot.id)

    def splits_now(self, config: SnapshotConfig | None = None) -> dict[int, str]:
        """Return the split that each image would have in a snapshot taken now.

        A group's split is drawn from its name, so it stays what it is when more images come.
        """
        with self._database.read() as connection:
            return self._splits(connection, config or SnapshotConfig())

    def masks(self, snapshot: Snapshot, image_ids: Sequence[int]) -> dict[int, list[Annotation]]:
        """Return the masks of some images as a snapshot froze them, by image, oldest first."""
        found: dict[int, list[Annotation]] = {}
        with self._database.read() as connection:
            for table in (annotations, annotation_versions):
                frozen = (
                    (snapshot_annotations.c.annotation_id == table.c.id)
                    & (snapshot_annotations.c.version == table.c.version)
                    & (snapshot_annotations.c.snapshot_id == snapshot.id)
                )
                for ids in chunks(image_ids):
                    statement = (
                        select(table, images.c.height, images.c.width)
                        .join(snapshot_annotations, frozen)
                        .join(images, images.c.id == table.c.image_id)
                        .where(table.c.image_id.in_(ids))
                    )
                    for row in connection.execute(statement):
                        mask = Annotation.from_row(row._mapping, (row.height, row.width))
                        found.setdefault(mask.image_id, []).append(mask)
        return {key: sorted(masks, key=lambda m: m.id) for key, masks in found.items()}

    def annotation_versions(self, snapshot: Snapshot) -> dict[int, int]:
        """Return the version of each annotation in a snapshot, by the annotation's row."""
        with self._database.read() as connection:
            return self._versions_of(connection, snapshot.id)

    def difference(self, before: Snapshot, after: Snapshot) -> Difference:
        """Tell what happened from one snapshot to another."""
        with self._database.read() as connection:
            old, new = (self._splits_of(connection, each.id) for each in (before, after))
            old_masks, new_masks = (self._versions_of(connection, e.id) for e in (before, after))
        return Difference(
            images_added=len(new.keys() - old.keys()),
            images_removed=len(old.keys() - new.keys()),
            images_moved=_differing(old, new),
            masks_added=len(new_masks.keys() - old_masks.keys()),
            masks_removed=len(old_masks.keys() - new_masks.keys()),
            masks_changed=_differing(old_masks, new_masks),
        )

    def verify(self, snapshot: Snapshot) -> bool:
        """Tell whether a snapshot still is what its digest says."""
        with self._database.read() as connection:
            splits = self._splits_of(connection, snapshot.id)
            return _digest(self._lines(connection, snapshot.id, splits)) == snapshot.digest

    def _row(self, connection: Connection, name: str) -> Row[Any] | None:
        where = (snapshots.c.project_id == self._project, snapshots.c.name == name)
        return connection.execute(select(snapshots).where(*where)).first()

    def _chosen(self, config: SnapshotConfig) -> list[ColumnElement[bool]]:
        gone = select(images.c.id).where(images.c.project_id == self._project, images.c.deleted)
        chosen: list[ColumnElement[bool]] = [
            annotations.c.project_id == self._project,
            ~annotations.c.deleted,
            annotations.c.image_id.not_in(gone),
        ]
        if config.stages:
            chosen.append(annotations.c.stage.in_(config.stages))
        if config.reviews:
            chosen.append(annotations.c.review.in_(config.reviews))
        else:
            review = annotations.c.review
            chosen.append(or_(review.is_(None), review != "rejected"))
        return chosen

    def _splits(self, connection: Connection, config: SnapshotConfig) -> dict[int, str]:
        statement = select(
            images.c.id, images.c.split, images.c.group_name, images.c.content_hash
        ).where(images.c.project_id == self._project, ~images.c.deleted)
        rows = connection.execute(statement.order_by(images.c.id)).all()
        given = _given_splits(rows)
        splits = {}
        for row in rows:
            # Copies of one photograph are a group too, whatever their names.
            group = row.group_name or row.content_hash
            splits[row.id] = row.split or given.get(group) or _drawn_split(group, config)
        return splits

    def _sealed(self, connection: Connection, key: int, splits: Mapping[int, str]) -> Snapshot:
        digest = _digest(self._lines(connection, key, splits))
        masks = len(self._versions_of(connection, key))
        counted = {"images": len(splits), "masks": masks, "splits": dict(Counter(splits.values()))}
        statement = snapshots.update().where(snapshots.c.id == key)
        sealed = statement.values(digest=digest, statistics=counted).returning(snapshots)
        return _snapshot(connection.execute(sealed).one())

    @staticmethod
    def _splits_of(connection: Connection, key: int) -> dict[int, str]:
        table = snapshot_images.c
        rows = connection.execute(
            select(table.image_id, table.split).where(table.snapshot_id == key)
        )
        return {row.image_id: row.split for row in rows}

    @staticmethod
    def _versions_of(connection: Connection, key: int) -> dict[int, int]:
        table = snapshot_annotations.c
        statement = select(table.annotation_id, table.version).where(table.snapshot_id == key)
        return {row.annotation_id: row.version for row in connection.execute(statement)}

    def _lines(
        self, connection: Connection, key: int, splits: Mapping[int, str]
    ) -> Iterable[bytes]:
        """Say in a line each what is in a snapshot."""
        hashes = select(images.c.id, images.c.content_hash).where(
            images.c.project_id == self._project
        )
        names = {}
        for image_id, content_hash in connection.execute(hashes):
            if image_id in splits:
                names[image_id] = content_hash
                yield f"{content_hash} {splits[image_id]}".encode()
        for table in (annotations, annotation_versions):
            statement = (
                select(table.c.image_id, table.c.counts, table.c.is_crowd, categories.c.name)
                .join(
                    snapshot_annotations,
                    (snapshot_annotations.c.annotation_id == table.c.id)
                    & (snapshot_annotations.c.version == table.c.version),
                )
                .outerjoin(categories, categories.c.id == table.c.category_id)
                .where(snapshot_annotations.c.snapshot_id == key)
            )
            for row in connection.execute(statement):
                what = f"{names[row.image_id]} {row.name or ''} {int(row.is_crowd)} "
                yield what.encode() + bytes(row.counts)


def _given_splits(rows: Iterable[Row[Any, Any, Any, Any]]) -> dict[str, str]:
    """Return the split that a group's images already have.

    Raises:
        StoreError: If they have two.
    """
    given: dict[str, str] = {}
    for row in rows:
        group = row.group_name or row.content_hash
        if row.split and given.setdefault(group, row.split) != row.split:
            raise StoreError(
                f"group {group!r} stands in {given[group]} and in {row.split}; a model would be "
                "tested on what it has seen: put the whole group into one split"
            )
    return given


def _drawn_split(group: str, config: SnapshotConfig) -> str:
    """Draw a group's split; it stays the same whatever else the project holds."""
    drawn = hashlib.sha256(f"{config.seed} {group}".encode()).digest()
    share = int.from_bytes(drawn[:6], "big") / 2**48
    return "val" if share < config.val_share else "train"


def _digest(lines: Iterable[bytes]) -> str:
    """Hash lines in any order; equal lines count as often as they are there."""
    total = 0
    for line in lines:
        total += int.from_bytes(hashlib.sha256(line).digest(), "big")
    return f"{total % 2**256:064x}"


def _differing(old: Mapping[int, object], new: Mapping[int, object]) -> int:
    return sum(1 for key, value in new.items() if key in old and old[key] != value)


def _snapshot(row: Row[Any]) -> Snapshot:
    return Snapshot(**{f.name: row._mapping[f.name] for f in fields(Snapshot)})

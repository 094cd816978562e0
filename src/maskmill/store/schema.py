"""The tables of a project, the same on SQLite and PostgreSQL.

Who made this mask, with which model, in how many seconds, is one row of `annotations`:

    SELECT made_by, author, models.name, seconds FROM annotations LEFT JOIN models ON ...

`annotations` holds every object's latest version; what it replaced moves to `annotation_versions`,
which has the same columns. Many projects may share a database, so every row names its project.
Boxes and sizes are pixels of the upright image. `sequence` orders what happened; clocks inform.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Whole = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows itself only in INTEGER
Record = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _key() -> Column[int]:
    return Column("id", Whole, primary_key=True)


def _project() -> Column[int]:
    return Column(
        "project_id", Whole, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False
    )


def _snapshot() -> Column[int]:
    return Column(
        "snapshot_id", Whole, ForeignKey("snapshots.id", ondelete="CASCADE"), primary_key=True
    )


schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

projects = Table(
    "projects",
    metadata,
    _key(),
    Column("uid", String(32), nullable=False, unique=True),  # also in the folder's project.json
    Column("name", String, nullable=False),
    Column("created_at", Float, nullable=False),  # seconds since 1970, UTC, as all `_at`
    Column("sequence", Whole, nullable=False),  # the last number given to a change
)

images = Table(
    "images",
    metadata,
    _key(),
    _project(),
    Column(
        "path", String, nullable=False
    ),  # where the original lies; it is never copied or changed
    Column("content_hash", String(64), nullable=False),  # SHA-256 of the file
    Column("perceptual_hash", BigInteger),  # 64 bits; those of near duplicates differ in few
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("source", String, nullable=False),  # the set it came with
    Column("external_id", String),  # what its source calls it
    Column("split", String),  # train, val, test
    Column("group_name", String),  # scene or subject: never on both sides of a split
    Column("licence", String),
    Column("metadata", Record),  # country, camera, whatever else is known
    Column("mask_count", Integer, nullable=False, default=0),  # living annotations
    Column("sequence", Whole, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("deleted", Boolean, nullable=False, default=False),
    UniqueConstraint("project_id", "path"),
    Index("ix_images_hash", "project_id", "content_hash"),
    Index("ix_images_split", "project_id", "deleted", "split", "id"),
    Index("ix_images_source", "project_id", "deleted", "source", "id"),
    # Covers any filter on images, in the order of pages: the last page is found without the rows.
    Index("ix_images_page", "project_id", "deleted", "id", "mask_count", "split", "source"),
    Index("ix_images_group", "project_id", "group_name"),
)

categories = Table(
    "categories",
    metadata,
    _key(),
    _project(),
    Column("name", String, nullable=False),
    Column("colour", String(7)),  # #rrggbb
    Column("digit", Integer),  # the key that chooses it, 0 to 9
    Column("supercategory", String),
    Column("deleted", Boolean, nullable=False, default=False),
    UniqueConstraint("project_id", "name"),
)

models = Table(
    "models",
    metadata,
    _key(),
    _project(),
    Column("model_id", String, nullable=False),  # name and hash of the weights
    Column("name", String, nullable=False),
    Column("card", Record),
    Column("blob", String(64)),  # where the weights lie, if the project keeps them
    Column("added_at", Float, nullable=False),
    UniqueConstraint("project_id", "model_id"),
)

rounds = Table(
    "rounds",
    metadata,
    _key(),
    _project(),
    Column("number", Integer, nullable=False),
    Column("stage", String, nullable=False),  # assisted, semi, automatic
    Column("status", String, nullable=False),  # open, training, gating, promoted, kept
    Column("incumbent_id", Whole, ForeignKey("models.id")),
    Column("candidate_id", Whole, ForeignKey("models.id")),
    Column("snapshot_id", Whole, ForeignKey("snapshots.id")),
    Column("settings", Record),
    Column("reason", String),  # why it was promoted or kept, in words
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    UniqueConstraint("project_id", "number"),
)

metrics = Table(
    "metrics",
    metadata,
    _key(),
    _project(),
    Column("round_id", Whole, ForeignKey("rounds.id")),
    Column("model_id", Whole, ForeignKey("models.id")),
    Column("name", String, nullable=False),
    Column("value", Float),
    Column("detail", Record),
    Column("at", Float, nullable=False),
    Index("ix_metrics_name", "project_id", "name"),
)


def _version_columns() -> list[Column[Any]]:
    """Return what one version of a mask says; the same in both tables that hold versions."""
    return [
        _project(),
        Column("image_id", Whole, ForeignKey("images.id"), nullable=False),
        Column("version", Integer, nullable=False),  # 1, 2, 3 ...
        Column("deleted", Boolean, nullable=False),  # a tombstone; restoring is a newer version
        Column("category_id", Whole, ForeignKey("categories.id")),
        Column("is_crowd", Boolean, nullable=False),  # stands for a group too dense to take apart
        Column("made_by", String, nullable=False),  # person or model
        Column("author", String, nullable=False),  # the person's name, or the importer's
        Column("model_id", Whole, ForeignKey("models.id")),  # the model that proposed or made it
        Column("round_id", Whole, ForeignKey("rounds.id")),
        Column("stage", String, nullable=False),  # assisted, semi, automatic, imported
        Column("review", String),  # accepted, rejected
        Column("changed_by", String, nullable=False),  # who wrote this version
        Column("seconds", Float),  # a person's time on it
        Column("clicks", Integer),
        Column("edits", Integer),  # strokes of brush, eraser and lasso
        Column("predicted_iou", Float),
        Column("stability_score", Float),
        Column("area", Integer, nullable=False),  # pixels
        Column("x0", Integer, nullable=False),
        Column("y0", Integer, nullable=False),
        Column("x1", Integer, nullable=False),  # half-open
        Column("y1", Integer, nullable=False),
        Column("relative_size", Float, nullable=False),  # sqrt(area / the image's area)
        Column("centre_x", Float, nullable=False),  # of the box, share of the image's width
        Column("centre_y", Float, nullable=False),
        Column("prompts", Record),  # points, boxes and strokes, pixels of the image
        Column(
            "candidates", Record
        ),  # run lengths and scores that were offered, and which was taken
        Column("attributes", Record),
        Column("operation_id", String, nullable=False),
        Column("sequence", Whole, nullable=False),
        Column("at", Float, nullable=False),
        Column("counts", LargeBinary, nullable=False),  # COCO run lengths at the image's size
    ]


annotations = Table(
    "annotations",
    metadata,
    _key(),
    *_version_columns(),
    Index("ix_annotations_image", "image_id"),
    Index("ix_annotations_sequence", "project_id", "sequence"),
)

annotation_versions = Table(
    "annotation_versions",
    metadata,
    Column("id", Whole, ForeignKey("annotations.id"), primary_key=True),
    *(
        c if c.name != "version" else Column("version", Integer, primary_key=True)
        for c in _version_columns()
    ),
    Index("ix_annotation_versions_image", "image_id"),
)

VERSION_COLUMNS = tuple(column.name for column in annotations.columns)

# Living masks, counted as they are written (`counts.py`), so that no page and no report reads two
# million of them. Those of deleted images are counted too.
mask_groups = Table(
    "mask_groups",
    metadata,
    Column("project_id", Whole, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("category_id", Whole, primary_key=True, autoincrement=False),  # or ANY, or NONE
    Column("image_id", Whole, primary_key=True, autoincrement=False),
    Column("stage", String, primary_key=True),
    Column("review", String, primary_key=True),  # accepted, rejected, unreviewed
    Column("author", String, primary_key=True),
    Column("masks", Integer, nullable=False),
    Column("lowest_iou", Float),  # of their predicted IoUs
    sqlite_with_rowid=False,
)
ANY, NONE = 0, -1
"""Instead of a category in `mask_groups`: masks whatever their category; masks without any."""

mask_bins = Table(
    "mask_bins",
    metadata,
    Column("project_id", Whole, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String, primary_key=True),  # size, centre
    Column("bin", Integer, primary_key=True, autoincrement=False),
    Column("masks", Integer, nullable=False),
    sqlite_with_rowid=False,
)

operations = Table(
    "operations",
    metadata,
    Column("project_id", Whole, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("operation_id", String, primary_key=True),
    Column("digest", String(64), nullable=False),  # of what was asked for
    Column("answer", Record, nullable=False),
    Column("sequence", Whole, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    _key(),
    _project(),
    Column("name", String, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("statistics", Record, nullable=False),
    Column("settings", Record, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("project_id", "name"),
)

snapshot_images = Table(
    "snapshot_images",
    metadata,
    _snapshot(),
    Column("image_id", Whole, ForeignKey("images.id"), primary_key=True),
    Column("split", String, nullable=False),
    Index("ix_snapshot_images_image", "image_id"),
)

snapshot_annotations = Table(
    "snapshot_annotations",
    metadata,
    _snapshot(),
    Column("annotation_id", Whole, ForeignKey("annotations.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Index("ix_snapshot_annotations_annotation", "annotation_id"),
)

jobs = Table(
    "jobs",
    metadata,
    _key(),
    _project(),
    Column("kind", String, nullable=False),  # train, automask, embed, import, export
    Column("status", String, nullable=False),  # queued, running, done, failed, cancelled
    Column("settings", Record),
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer),
    Column("message", String),
    Column("owner", String),  # the process that runs it
    Column("token", Integer, nullable=False, default=0),  # grows with each owner: an old one is out
    Column("at", Float, nullable=False),
    Column("ended_at", Float),
    Index("ix_jobs_status", "project_id", "status"),
)

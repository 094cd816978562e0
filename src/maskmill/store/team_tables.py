"""The tables of people at work: accounts, sessions, audit log, leases, states, reviews, strokes.

They stand beside those of `schema`, on the same metadata. Who holds a lease or an assignment is a
name, not an account: on one's own machine there are no accounts.
"""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table
from sqlalchemy import UniqueConstraint as Unique

from maskmill.store.schema import Record, Whole, metadata

__all__ = ["metadata"]


def _key() -> Column[int]:
    return Column("id", Whole, primary_key=True)


def _project(*, primary_key: bool = False) -> Column[int]:
    owner = ForeignKey("projects.id", ondelete="CASCADE")
    return Column("project_id", Whole, owner, nullable=False, primary_key=primary_key)


def _image() -> Column[int]:
    return Column("image_id", Whole, ForeignKey("images.id"), primary_key=True)


accounts = Table(
    "accounts",
    metadata,
    _key(),
    _project(),
    Column("name", String(64), nullable=False),
    Column("role", String, nullable=False),  # admin, reviewer, annotator
    Column("password_hash", String, nullable=False),  # Argon2, with its salt and its cost
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Unique("project_id", "name"),
)

sessions = Table(
    "sessions",
    metadata,
    _key(),
    _project(),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of what the cookie holds
    Column("account_id", Whole, ForeignKey("accounts.id")),  # none on one's own machine
    Column("name", String(64), nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("at", Float, nullable=False),
    Index("ix_sessions_account", "account_id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    _key(),
    _project(),
    Column("name", String, nullable=False),  # who
    Column("action", String, nullable=False),
    Column("subject", String),  # on what or whom
    Column("detail", Record),
    Column("at", Float, nullable=False),
    Index("ix_audit_log_order", "project_id", "id"),
)

annotation_keys = Table(
    "annotation_keys",
    metadata,
    _project(primary_key=True),
    Column("key", String(36), primary_key=True),  # a UUID that a browser chose, offline perhaps
    Column("annotation_id", Whole, ForeignKey("annotations.id"), nullable=False, unique=True),
)

image_states = Table(
    "image_states",
    metadata,
    _image(),
    _project(),
    Column("state", String, nullable=False),  # in_review, returned, complete; no row is open
    Column("note", String),  # what the reviewer said
    Column("name", String, nullable=False),  # who brought it there
    Column("at", Float, nullable=False),
    Index("ix_image_states_state", "project_id", "state", "image_id"),
)

assignments = Table(
    "assignments",
    metadata,
    _image(),
    _project(),
    Column("name", String, nullable=False),
    Index("ix_assignments_name", "project_id", "name", "image_id"),
)

leases = Table(
    "leases",
    metadata,
    _image(),
    _project(),
    Column("name", String, nullable=False),
    Column("expires_at", Float, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    _key(),
    _project(),
    Column("annotation_id", Whole, ForeignKey("annotations.id"), nullable=False),
    Column("version", Integer, nullable=False),  # the version that carries the verdict
    Column("verdict", String, nullable=False),  # accepted, rejected
    Column("note", String),
    Column("name", String, nullable=False),
    Column("at", Float, nullable=False),
    Index("ix_reviews_annotation", "annotation_id", "id"),
)

strokes = Table(
    "strokes",  # all that is drawn on an image for Visual Prompting; a newer version replaces it
    metadata,
    _image(),
    _project(),
    Column("version", Integer, nullable=False),  # 1, 2, 3 ...
    Column("drawn", Record, nullable=False),  # category_id, width, points; the oldest stroke first
    Column("changed_by", String, nullable=False),
    Column("at", Float, nullable=False),
    Index("ix_strokes_project", "project_id", "image_id"),
)

rule_sets = Table(
    "rule_sets",  # what must hold of the regions that strokes lead to, and when an image passes
    metadata,
    _project(primary_key=True),
    Column("version", Integer, nullable=False),
    Column("rules", Record, nullable=False),
    Column("changed_by", String, nullable=False),
    Column("at", Float, nullable=False),
)

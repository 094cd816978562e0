"""What can be done to a mask, as values, and what each makes of the version before it."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal, get_args

from maskmill import rle
from maskmill.errors import MaskError, StoreError
from maskmill.rle import Rle
from maskmill.store.rows import checked, checked_record
from maskmill.store.schema import annotations

MadeBy = Literal["person", "model"]
Stage = Literal["assisted", "semi", "automatic", "imported"]
Review = Literal["accepted", "rejected"]


REDRAWING = "redrawing"
"""Who a version is by that followed what people drew; no person has this name."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How a mask came to be.

    Attributes:
        made_by: Whether a person finished it or a model alone.
        author: The person's name, or what stands for the model's run or the file it came from.
        stage: The stage of the data engine.
        model_id: Row of the model that proposed or made it.
        round_id: Row of the round.
        seconds: A person's time on it.
        clicks: Prompts it took.
        edits: Strokes of brush, eraser and lasso that it took.
        predicted_iou: The model's own estimate.
        stability_score: IoU of the mask between two cut-offs.
        prompts: Points, boxes and strokes, pixels of the image, as JSON.
        candidates: The masks that were offered and which was taken, as JSON.
    """

    made_by: MadeBy
    author: str
    stage: Stage
    model_id: int | None = None
    round_id: int | None = None
    seconds: float | None = None
    clicks: int | None = None
    edits: int | None = None
    predicted_iou: float | None = None
    stability_score: float | None = None
    prompts: Any = None
    candidates: Any = None


@dataclass(frozen=True, kw_only=True)
class Create:
    """A new mask on an image."""

    image_id: int
    rle: Rle
    made: Made
    category_id: int | None = None
    is_crowd: bool = False
    review: Review | None = None
    attributes: Mapping[str, Any] | None = None


class _Unchanged:
    """Stands for what an edit leaves as it is; None would mean "nothing"."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED = _Unchanged()


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Another mask, category, verdict or attributes; what is not given stays.

    A new mask needs `made`; without a new mask the old one keeps its own.
    """

    annotation_id: int
    based_on: int
    rle: Rle | None = None
    made: Made | None = None
    category_id: int | _Unchanged | None = UNCHANGED
    review: Review | _Unchanged | None = UNCHANGED
    attributes: Mapping[str, Any] | _Unchanged | None = UNCHANGED


@dataclass(frozen=True, kw_only=True)
class Delete:
    """A tombstone over a mask."""

    annotation_id: int
    based_on: int


@dataclass(frozen=True, kw_only=True)
class Restore:
    """A deleted mask back as it was."""

    annotation_id: int
    based_on: int


Change = Create | Edit | Delete | Restore


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """One version of one mask; `Made` and the schema explain the fields they share."""

    id: int
    image_id: int
    version: int
    deleted: bool
    rle: Rle
    made: Made
    category_id: int | None
    is_crowd: bool
    review: str | None
    area: int
    box: tuple[int, int, int, int]
    attributes: Mapping[str, Any] | None
    changed_by: str
    operation_id: str
    sequence: int
    at: float

    @classmethod
    def from_row(cls, row: Mapping[Any, Any], size: tuple[int, int]) -> "Annotation":
        """Read a row of `annotations` or `annotation_versions`.

        Args:
            row: By column.
            size: (H, W) of its image.
        """
        same = {name: row[name] for name in _SAME_AS_COLUMNS}
        return cls(
            rle=Rle(size, bytes(row["counts"])),
            made=Made(**{f.name: row[f.name] for f in fields(Made)}),
            box=(row["x0"], row["y0"], row["x1"], row["y1"]),
            **same,
        )


_SAME_AS_COLUMNS = tuple(f.name for f in fields(Annotation) if f.name not in ("rle", "made", "box"))


def first_version(change: Create, size: tuple[int, int]) -> dict[str, Any]:
    """Return the columns of a new annotation, without who wrote it and when.

    Raises:
        MaskError: If the mask is empty, malformed or not of the image's size.
        StoreError: If another value is not one of those allowed, or no database could keep it.
    """
    row = {
        "image_id": change.image_id,
        "version": 1,
        "deleted": False,
        "category_id": change.category_id,
        "is_crowd": change.is_crowd,
        "review": change.review,
        "attributes": change.attributes,
        **provenance(change.made),
        **mask_columns(change.rle, size),
    }
    return _checked(row)


def following_version(current: Annotation, change: Edit | Delete | Restore) -> dict[str, Any]:
    """Return the columns that differ from the version before.

    Raises:
        StoreError: If a deleted mask is edited or deleted, or a living one restored, or a value is
            not one of those allowed, or no database could keep it.
        MaskError: If a new mask is empty, malformed or not of the image's size.
    """
    columns: dict[str, Any] = {"version": current.version + 1}
    if isinstance(change, Restore) != current.deleted:
        state = "deleted: restore it first" if current.deleted else "living: nothing to restore"
        raise StoreError(f"annotation {current.id} is {state}")
    if not isinstance(change, Edit):
        return {**columns, "deleted": isinstance(change, Delete)}
    if (change.rle is None) != (change.made is None):
        raise StoreError("an edit gives a new mask and says how it was made, or neither; give both")
    if change.rle is not None and change.made is not None:
        columns |= {**provenance(change.made), **mask_columns(change.rle, current.rle.size)}
    for name in ("category_id", "review", "attributes"):
        value = getattr(change, name)
        if value is not UNCHANGED:
            columns[name] = value
    return _checked(columns)


_ALLOWED = {"made_by": get_args(MadeBy), "stage": get_args(Stage), "review": get_args(Review)}


def _checked(columns: Mapping[str, Any]) -> dict[str, Any]:
    for name, allowed in _ALLOWED.items():
        value = columns.get(name)
        if value not in (*allowed, None):
            raise StoreError(f"{name} is {value!r}; give one of {', '.join(allowed)}")
    return checked(annotations, columns)


def provenance(made: Made) -> dict[str, Any]:
    """Return the columns that say how a mask came to be."""
    return {f.name: getattr(made, f.name) for f in fields(Made)}


def mask_columns(mask: Rle, size: tuple[int, int]) -> dict[str, Any]:
    """Return the columns that hold and measure a mask.

    Args:
        mask: Canonical or not; it is checked here.
        size: (H, W) of the image.

    Raises:
        MaskError: If it is empty, malformed or of another size.
    """
    if tuple(mask.size) != tuple(size):
        raise MaskError(f"a mask is {mask.size} (H, W), its image {size}; give it at that size")
    area = rle.area(mask)
    if not area:
        raise MaskError("a mask is empty; leave it out, or delete the annotation")
    return {"counts": mask.counts, **shape_columns(area, rle.box(mask), size)}


def shape_columns(area: int, box: Sequence[int], size: tuple[int, int]) -> dict[str, Any]:
    """Return the columns that measure a mask.

    Args:
        area: Pixels of the mask.
        box: Half-open XYXY, pixels.
        size: (H, W) of the image.
    """
    (x0, y0, x1, y1), (h, w) = box, size
    return {
        "area": area,
        "x0": x0,
        "y0": y0,
        "x1": x1,
        "y1": y1,
        "relative_size": math.sqrt(area / (h * w)),
        "centre_x": (x0 + x1) / (2 * w),
        "centre_y": (y0 + y1) / (2 * h),
    }


def digest_of(changes: Sequence[Change], by: str) -> str:
    """Return a hash of what an operation asks for, to tell a repeat from another request.

    What has its default is left out, so that a repeat is still known after an upgrade that gave
    changes a new field.
    """
    asked = [[type(change).__name__, _plain(change)] for change in changes]
    return hashlib.sha256(json.dumps([by, asked], sort_keys=True).encode()).hexdigest()


def _plain(value: Any, name: str = "a change") -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        given = {f.name: (getattr(value, f.name), f.default) for f in fields(value)}
        return {
            name: _plain(each, name)
            for name, (each, default) in given.items()
            if default is MISSING or each is not default
        }
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Mapping | list | tuple):
        return checked_record(name, value)
    # Numbers out of range are refused where their meaning is known; Python writes none so long.
    return hex(value) if isinstance(value, int) and abs(value) >= 2**64 else value

"""What travels between server and browser about masks: JSON in snake case, and nothing else.

Requests are strict: an unknown field or a text for a number is refused. Masks are COCO run lengths
at the image's size, boxes are COCO's XYWH `bbox`, everything in pixels of the upright image. The
browser's types are generated from these.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_COUNTS = 8_000_000
"""Characters of one mask's run lengths."""
MAX_CHANGES = 100
"""Changes in one operation."""

OperationId = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[!-~]+$")]
AnnotationId = Annotated[
    str, Field(pattern=r"^([0-9]{1,18}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")
]
RowId = Annotated[int, Field(ge=1, lt=2**53)]
Version = Annotated[int, Field(ge=0, lt=2**31)]
Note = Annotated[str, Field(max_length=2000)]
Share = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


class In(BaseModel):
    """A part of a request; what it does not know is refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Out(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class Mask(In):
    """COCO run lengths, column by column from the top left."""

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    """(H, W), pixels of the image."""
    counts: Annotated[str, Field(max_length=MAX_COUNTS)]
    """COCO's compressed text."""


class MadeIn(In):
    """How a person made a mask; who it was is known from the session."""

    seconds: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    """Active time on this mask so far, idle time excluded; grows from version to version."""
    clicks: Annotated[int, Field(ge=0, lt=2**31)]
    """Prompts it took so far."""
    edits: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Strokes of brush, eraser and lasso it took so far."""
    model_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """`id` of the model that proposed it, if one did."""
    predicted_iou: Share | None = None
    """The model's own estimate."""
    stability_score: Share | None = None
    """IoU of the mask between two cut-offs."""
    prompts: Any = None
    """Points, boxes and strokes, as JSON."""
    candidates: Any = None
    """What was offered and which was taken: {"predicted_iou": [...], "taken": 0}."""


class Put(In):
    """A mask made or changed; what is left out of a change stays as it is."""

    kind: Literal["put"] = "put"
    base_version: Version
    """The version that the browser saw; 0 makes a new mask."""
    image_id: RowId | None = None
    """Needed for a new mask."""
    mask: Mask | None = None
    """Needed for a new mask; with `made`."""
    made: MadeIn | None = None
    category_id: RowId | None = None
    is_crowd: bool = False
    """Stands for a group; only for a new mask."""
    attributes: dict[str, Any] | None = None


class Delete(In):
    """A tombstone over a mask."""

    kind: Literal["delete"] = "delete"
    base_version: Version


class Restore(In):
    """A deleted mask back as it was."""

    kind: Literal["restore"] = "restore"
    base_version: Version


class Keep(In):
    """A pre-filled mask stands: somebody looked at it."""

    kind: Literal["keep"] = "keep"
    base_version: Version


class PutRequest(Put):
    """`Put` as an operation of its own."""

    op_id: OperationId


class RestoreRequest(Restore):
    """`Restore` as an operation of its own."""

    op_id: OperationId


class Step(In):
    """One change of an operation, and the mask that it changes."""

    id: AnnotationId
    """A UUID that the browser chose for a new mask, or what the server calls it."""
    change: Annotated[Put | Delete | Restore | Keep, Field(discriminator="kind")]


class OperationRequest(In):
    """Some changes, all of them or none: splitting and merging, or an undo of several."""

    op_id: OperationId
    changes: Annotated[list[Step], Field(min_length=1, max_length=MAX_CHANGES)]


class ReviewRequest(In):
    """An answer to "good mask?"."""

    op_id: OperationId
    base_version: Version
    verdict: Literal["accepted", "rejected"]
    note: Note | None = None


class MadeOut(Out):
    """How a mask came to be."""

    made_by: str
    author: str
    stage: str
    model_id: str | None
    seconds: float | None
    clicks: int | None
    edits: int | None
    predicted_iou: float | None
    stability_score: float | None
    prompts: Any
    candidates: Any


class AnnotationOut(Out):
    """One version of one mask."""

    id: str
    image_id: int
    version: int
    deleted: bool
    mask: Mask
    bbox: list[int]
    """COCO's XYWH, pixels."""
    area: int
    """Pixels."""
    category_id: int | None
    is_crowd: bool
    review: str | None
    """accepted, rejected, or null before somebody said."""
    note: str | None
    """What the last reviewer said."""
    made: MadeOut
    attributes: dict[str, Any] | None
    changed_by: str
    sequence: int
    at: float
    """Seconds since 1970."""


class AnnotationsOut(Out):
    """Masks of one image."""

    annotations: list[AnnotationOut]


class ConflictOut(Out):
    """Why a change was not made: somebody was faster."""

    error: str
    current: AnnotationOut | None
    """What is there now; null where it is no mask."""
    attempted: Any
    """What was asked for."""


class ErrorOut(Out):
    """Why something was not done, in one sentence, and what to do."""

    error: str
    where: list[str]
    """The fields that are wrong, if it was fields."""

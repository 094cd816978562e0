"""What travels between server and browser about strokes, what they lead to, and rules."""

from typing import Annotated, Any

from pydantic import Field

from maskmill.server.wire import In, OperationId, Out, Version
from maskmill.server.wire_images import Point

MAX_STROKES = 2000
MAX_POINTS = 5000
"""Strokes on one image, and corners of one stroke."""


class StrokeIO(In):
    """A line that somebody drew; one point is a dot."""

    category_id: Annotated[int, Field(ge=0, lt=2**53)] | None
    """A category's number; 0 is the background, null erases."""
    width: Annotated[float, Field(ge=1, le=512, allow_inf_nan=False)]
    """Pixels of the image."""
    points: Annotated[list[Point], Field(min_length=1, max_length=MAX_POINTS)]
    """Corners [x, y], pixels of the image."""


class StrokesOut(Out):
    """What is drawn on an image, the oldest stroke first."""

    version: int
    """To be named by the next change; 0 where nothing was ever drawn."""
    strokes: list[StrokeIO]
    changed_by: str | None


class StrokesRequest(In):
    """All strokes of an image, which replace those that are there."""

    op_id: OperationId
    base_version: Version
    """The version that the browser saw."""
    strokes: Annotated[list[StrokeIO], Field(max_length=MAX_STROKES)]


class ClassOut(Out):
    """What one value of a label map stands for: its place in the list."""

    category_id: int
    """0 is the background."""
    name: str
    colour: str | None


class FoundOut(Out):
    """What was found on one image."""

    image_id: int
    doubt: float
    """Mean uncertainty, 0 to 1; the greatest is the image worth the next stroke."""
    passed: bool | None
    """By the rules' decisions; null where nothing is to be decided."""
    reasons: list[str]


class ScribbleOut(Out):
    """Where Visual Prompting stands."""

    run: int
    """Number of the classifier; 0 before the first."""
    phase: str
    """idle, training or looking."""
    done: int
    total: int
    classes: list[ClassOut]
    """By the values of label maps."""
    warnings: list[str]
    trouble: str | None
    """Why there is no classifier of the latest strokes."""
    drawn_on: list[int]
    """Images with strokes."""
    found: list[FoundOut]


class RulesOut(Out):
    """The project's rules, in the form of `docs/visual-prompting.md`."""

    version: int
    rules: dict[str, Any]


class RulesRequest(In):
    """Rules that replace those that are there."""

    op_id: OperationId
    base_version: Version
    rules: dict[str, Any]


class CloseRequest(In):
    """What to find on an image at its own size."""

    rules: dict[str, Any] | None = None
    """To try them; null takes the project's."""
    full: bool = False
    """Classify every pixel, which takes seconds; 503 while anything else is to be done."""


class CloseOut(Out):
    """What was found, and what the rules did to it."""

    run: int
    labels: str
    """Base64 of a PNG of the image's size: a place in `classes`, 255 for none."""
    changed: str
    """Base64 of a PNG: 1 where rules took away, 2 where they gave."""
    doubt: str | None
    """Base64 of a PNG, 255 no idea, smaller than a large image; null unless it was to be full."""
    passed: bool | None
    reasons: list[str]
    warnings: list[str]


class MasksRequest(In):
    """Make annotations of what is found on an image."""

    op_id: OperationId
    refined: bool = False
    """Let the promptable model draw each region again."""
    full: bool = False
    """Classify every pixel, not the working grid's cells; takes seconds an image."""


class MasksOut(Out):
    """How many annotations were made, and how many earlier ones of the same kind went."""

    made: int
    replaced: int
    there: int
    """Regions left out because a mask that somebody looked at, or made otherwise, is there."""

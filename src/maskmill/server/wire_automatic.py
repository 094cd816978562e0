"""What travels between server and browser about stage 3 and its audit."""

from typing import Annotated

from pydantic import Field

from maskmill.server.wire import In, Out, RowId
from maskmill.server.wire_images import ImageOut


class LabelRequest(In):
    """How the model labels what nobody has labelled."""

    precision: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Share of the masks kept that has to be right at IoU 0.75, on the hold-out."""


class LabelOut(Out):
    """How far the model is with labelling what nobody has labelled."""

    running: bool
    measuring: bool
    """Whether it still looks at the hold-out, to choose what is kept."""
    done: int
    total: int | None
    message: str | None
    """Pace and time left while it runs; afterwards what came of it, or why it ended."""
    words: list[str]
    """What the hold-out said of each way to propose masks."""


class ShareOut(Out):
    """The share of corrected pairs above an IoU, with its 95 % interval."""

    above: float
    share: float
    low: float
    high: float
    pairs: int


class DrawnImageOut(Out):
    """An image that was drawn at random, to be asked what is missing on it."""

    id: int
    name: str
    answered: bool


class QualityOut(Out):
    """A sample of machine-made masks, and what people's corrections say of the rest."""

    number: int
    masks: int
    """How many the sample stands for."""
    drawn: int
    done: int
    """Of these, looked at by people."""
    shares: list[ShareOut]
    by_size: dict[str, list[ShareOut]]
    images: list[DrawnImageOut]
    """Drawn at random among all that stage 3 looked at, those without a mask included."""
    at_random: bool
    """Whether what follows is of those of them with an answer; else of all images with one."""
    images_asked: int
    images_complete: float
    """Share of the images asked about on which no object was without a mask."""
    images_complete_low: float
    images_complete_high: float
    recall: float | None
    """Estimated share of the objects on those images that have a mask; null if nobody counted.

    Masks that nobody looked at count by the share of the sample that shows an object.
    """
    recall_low: float | None
    """Where its 95 % interval begins; null unless two images drawn at random have an answer."""
    recall_high: float | None


class QualityRequest(In):
    """How large a sample to draw."""

    masks: Annotated[int, Field(ge=1, le=100_000)] = 200
    images: Annotated[int, Field(ge=0, le=100_000)] = 20
    """Images drawn at random, to be asked what is missing on them."""


class QualityNextOut(Out):
    """An image of the sample, and which of its masks wait for a look."""

    image: ImageOut | None
    annotations: list[str]
    whole: bool
    """Whether to ask of the image itself, behind these masks, what is missing on it."""
    left: int
    """Masks of the whole sample that wait."""


class FoundRequest(In):
    """How many objects of an image have no mask."""

    image_id: RowId
    missing: Annotated[int, Field(ge=0, le=100_000)] = 0

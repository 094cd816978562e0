"""What travels between server and browser about a classifier as a whole."""

from typing import Annotated, Any

from pydantic import Field

from maskmill.server.wire import In, Out


class ConfusionOut(Out):
    """What was found where something was meant."""

    categories: list[str]
    """Of the rows and of the columns."""
    counts: list[list[int]]
    """A row is what is true, a column what was found; the last column is nothing at all."""
    iou: list[float | None]
    """Of each category; null where there is none of it."""
    mean_iou: float | None
    """Over the categories that are there, background left out."""


class ImageCheckOut(Out):
    """How well one labelled image is segmented."""

    image_id: int
    iou: float | None
    """Mean over the labelled categories that are there or were found; null where none is."""


class LeftOutOut(Out):
    """A labelled image that cannot be used."""

    name: str
    reason: str


class CheckOut(Out):
    """How good the classifier is on what it has not learned from."""

    run: int
    """Of the classifier that was judged."""
    strokes: ConfusionOut | None
    """In marked cells of images whose strokes were left out; null with fewer than two of them."""
    unjudged: list[str]
    """Categories that are marked on one image only."""
    masks: ConfusionOut | None
    """In pixels of labelled images without strokes; null where there is none."""
    images: list[ImageCheckOut]
    """Those images, the worst first."""
    left_out: list[LeftOutOut]


class GainOut(Out):
    """IoU of a category over the labelled images."""

    category: str
    before: float
    """Without rules."""
    after: float
    """With rules that were found without the image they are judged on."""


class SuggestedOut(Out):
    """Rules that help, in the form of `docs/visual-prompting.md`; none where none does."""

    rules: dict[str, Any]
    images: int
    """Labelled images that were searched on."""
    large: int
    """Those left out, the largest, because a search holds only so many pixels."""
    gains: list[GainOut]


class TriedOut(Out):
    """What is found on an image that is in no project."""

    labels: str
    """Base64 of a PNG of the image's size: a place in `classes`, 255 for none."""
    passed: bool | None
    reasons: list[str]
    warnings: list[str]
    doubt: float
    seconds: float


class DeploymentOut(Out):
    """An archive that can be fetched."""

    name: str
    bytes: int
    categories: list[str]
    install: str
    """What pip has to install where it runs."""


class PackRequest(In):
    """How the project's model is made ready."""

    precision: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Share of its masks that has to be right at IoU 0.75, on the hold-out."""


class PackedOut(Out):
    """The project's model with its heads and thresholds, as a deployment."""

    working: bool
    """Whether it is being made ready."""
    trouble: str | None
    """Why the last attempt came to nothing."""
    name: str | None
    """Of the archive; null while there is none."""
    bytes: int
    categories: list[str]
    words: list[str]
    """What its thresholds rest on."""
    install: str
    """What pip has to install where it runs."""
    is_current: bool
    """Whether it is the model that is in use now."""


class TriedMaskOut(Out):
    """A mask that the deployed model found."""

    category: str | None
    certainty: float
    area: int
    """Pixels of the image."""


class TriedModelOut(Out):
    """What the deployed model finds on an image that is in no project."""

    overlay: str
    """Base64 of a PNG: the masks in their colours on clear ground, 1,024 pixels at most."""
    masks: list[TriedMaskOut]
    seconds: float

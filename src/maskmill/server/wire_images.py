"""What travels between server and browser about images, models, categories and sessions."""

from typing import Annotated, Literal

from pydantic import Field

from maskmill.server.wire import AnnotationOut, In, Mask, Note, Out, RowId
from maskmill.store.work import Reason

State = Literal["open", "in_review", "returned", "complete"]
Colour = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]
Digit = Annotated[int, Field(ge=0, le=9)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Pixel = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Point = Annotated[list[Pixel], Field(min_length=2, max_length=2)]


class ImageOut(Out):
    """An image of the project, and where its files are."""

    id: int
    name: str
    width: int
    height: int
    mask_count: int
    state: State
    note: str | None
    """What a reviewer said when the image came back."""
    assigned_to: str | None
    leased_by: str | None
    """Who works on it just now."""
    embedded: bool
    """Whether `embedding_url` answers at once."""
    source: str
    split: str | None
    file_url: str
    thumbnail_url: str
    overlay_url: str
    """The masks in their colours, to lie over the thumbnail."""
    embedding_url: str
    model_id: str
    """The model whose embedding and decoder belong together on this image just now."""


class ImagesOut(Out):
    """A page of images."""

    images: list[ImageOut]
    offset: int
    total: int
    """Images under the same filter, on all pages."""


class ModelOut(Out):
    """All that a browser needs to decode prompts by itself.

    An embedding is float16, little-endian: the arrays of `embedding_shapes` one behind the other,
    the encoder's output first, then the finer maps from coarse to fine, each row by row.
    """

    id: str
    name: str
    input_side: int
    """Side of the padded square input frame, pixels; the image's longer side becomes this."""
    low_res_side: int
    """Side of the low-res mask logits over the padded input frame."""
    mask_threshold: float
    num_candidates: int
    embedding_shapes: list[list[int]]
    """(C, H, W) of each array."""
    embedding_inputs: list[str]
    """The decoder's names for them."""
    padding_label: int
    """Label of the point (0, 0) that is appended to a prompt without a box."""
    box_labels: list[int]
    """Labels of a box's top left and bottom right corner, appended behind its points."""
    decoder_url: str | None
    """ONNX; null where only the server can decode."""
    decoder_mask_url: str | None
    """The same for prompts with a mask input."""


class DecodeRequest(In):
    """A prompt for one object, in pixels of the image."""

    points: Annotated[list[Point], Field(max_length=200)] | None = None
    labels: Annotated[list[Literal[0, 1]], Field(max_length=200)] | None = None
    """One per point: 1 the object, 0 what is not."""
    box: Annotated[list[Pixel], Field(min_length=4, max_length=4)] | None = None
    """Half-open x0, y0, x1, y1."""
    mask_input: Annotated[str, Field(max_length=1_000_000)] | None = None
    """Base64 of `low_res_mask_logits` of one earlier candidate."""
    multimask_output: bool = True
    model_id: Annotated[str, Field(max_length=200)] | None = None
    """As the image says; null takes the current model."""


class CandidateOut(Out):
    """One of the masks that were offered."""

    mask: Mask
    predicted_iou: float
    low_res_mask_logits: str
    """Base64 of float16, little-endian, a square of `low_res_side`."""


class DecodeOut(Out):
    """The candidates for a prompt."""

    candidates: list[CandidateOut]


class RegionOut(Out):
    """What the region head of the image's model outlines; a click in it brings it up."""

    mask: Mask
    score: float
    """How sure the head is, 0 to 1."""


class RegionsOut(Out):
    """The regions that are worth an offer, best first; none where there is no such head."""

    regions: list[RegionOut]
    low_res_side: int
    """Of the image's model: what its decoder is told of a region that a click mends."""


class RedrawnOut(Out):
    """How the model's outlines on an image follow what people drew there."""

    annotations: list[AnnotationOut]
    """Pre-filled masks that moved; nobody has looked at them yet."""
    regions: list[RegionOut]
    """All regions that are offered there, as they are to be offered now."""


class CategoryOut(Out):
    """A kind of object."""

    id: int
    name: str
    colour: str
    digit: int | None
    """The key that chooses it."""


class CategoriesOut(Out):
    """All categories."""

    categories: list[CategoryOut]


class CategoryRequest(In):
    """A new category."""

    name: Label
    colour: Colour | None = None
    digit: Digit | None = None


class CategoryChange(In):
    """What changes in a category; what is left out stays."""

    name: Label | None = None
    colour: Colour | None = None
    digit: Digit | None = None


class NextRequest(In):
    """Asks for the next image."""

    after: Annotated[int, Field(ge=0, lt=2**53)] = 0
    """The image that was just done or passed over: prefer one behind it."""


class NextOut(Out):
    """The next image and why; null if none.

    The engine's reasons are hold-out (a random one, to judge models by), unsure (the model is, and
    the image is unlike the others) and random; unlabelled is one that it has not looked at, and
    prefilled one on which a model's masks wait for an answer.
    """

    image: ImageOut | None
    reason: Reason | None


class AroundOut(Out):
    """The images beside one, in the order in which they were added, and the queue's next."""

    before: ImageOut | None
    behind: ImageOut | None
    queued: ImageOut | None
    """What `/api/queue/next` would give now; nobody holds it yet."""


class LeaseOut(Out):
    """An image is one's own for a while."""

    expires_at: float
    """Seconds since 1970, by the server's clock."""
    seconds: int
    """From now on."""


class ImageReviewRequest(In):
    """An answer to "all found?"."""

    all_found: bool
    note: Note | None = None


class AssignRequest(In):
    """Whose images these are from now on."""

    image_ids: Annotated[list[RowId], Field(min_length=1, max_length=10_000)]
    name: Annotated[str, Field(min_length=1, max_length=64)] | None
    """Null takes them from whoever had them."""

"""What travels between server and browser about the data engine."""

from typing import Annotated, Literal

from pydantic import Field

from maskmill.server.wire import In, Out
from maskmill.server.wire_proving import ConfusionOut


class WorkOut(Out):
    """What was made for one round."""

    masks: int
    """By people."""
    images: int
    seconds_per_mask: float | None
    """People's time for each mask that came of it, kept pre-filled ones among them."""
    masks_per_image: float | None
    clicks_per_mask: float | None
    strokes_per_mask: float | None
    kept: int
    """Pre-filled masks that a person let stand."""
    rejected: int
    unseen: int
    """Pre-filled masks that nobody has looked at."""
    acceptance: float | None
    """Of the pre-filled masks that a person saw, the share that stands."""


class ComparisonOut(Out):
    """One number of both models on the hold-out."""

    name: str
    incumbent: float
    candidate: float
    low: float
    """Lower end of the paired 95 % interval of the gain; more is always better."""
    high: float
    outcome: Literal["better", "worse", "same", "expected"]
    """`expected`: encoding takes longer, as the other encoder that was chosen does."""


class GateOut(Out):
    """What the gate said."""

    promoted: bool | None
    """Null where a person has to decide."""
    reason: str
    images: int
    """Hold-out images."""
    groups: int | None = None
    """Different groups that they are of; null where an older version measured."""
    comparisons: list[ComparisonOut]


class NamedImageOut(Out):
    """How the masks of a hold-out image are named."""

    image_id: int
    wrong: int
    """Masks that were given another category than people gave, or none."""
    masks: int


class NamingOut(Out):
    """How a round's category head names masks that it has not learned from."""

    table: ConfusionOut
    """In masks; without IoU."""
    images: list[NamedImageOut]
    """The worst first."""


class RoundOut(Out):
    """One round of the engine."""

    number: int
    stage: str
    status: str
    """open, training, gating, promoted, kept or failed."""
    reason: str | None
    started_at: float
    ended_at: float | None
    masks: Literal["new", "all"] | None
    """What it trained on; null where it only went back to another model."""
    start: Literal["current", "default", "other"] | None
    start_name: str | None
    """Of another model that it started from: the name of its file or folder."""
    work: WorkOut | None
    """What was collected for it; null where it froze no data."""
    gate: GateOut | None
    naming: NamingOut | None
    """Null where there are not two categories, or none of them on the hold-out."""


class PointOut(Out):
    """One step of a training."""

    step: float
    loss: float | None = None
    iou: float | None = None
    """Mean IoU after the first click, on what is trained on."""
    val_loss: float | None = None
    """On hold-out images, now and then."""
    val_iou: float | None = None


class RoundDetailOut(RoundOut):
    """One round with its training curve."""

    points: list[PointOut]


class RoundsOut(Out):
    """All rounds, the first one first."""

    rounds: list[RoundOut]


class WorkingOut(Out):
    """The round that is open, and how far it is."""

    number: int
    phase: Literal["collect", "train", "export", "gate", "detect"]
    step: int
    steps: int | None
    seconds_left: float | None
    resting: bool
    """Nobody works on it: it was paused, or waits for a decision."""


class SuggestionOut(Out):
    """What comes next, as advice."""

    what: Literal[
        "label", "train", "install", "wait", "resume", "decide", "semi", "automatic", "done"
    ]
    numbers: dict[str, float]
    """What the advice was read off."""
    words: str
    """The same in a sentence."""


class InsteadOut(Out):
    """A lower precision that can be had."""

    precision: float
    found: float
    """Share of the hold-out's objects that are found at it."""


class PrefillOut(Out):
    """The last run that pre-filled images."""

    running: bool
    done: int
    total: int | None
    message: str | None
    """Why it ended, if not by reaching its end."""
    asked: float
    """Share of the masks that had to be right."""
    threshold: float | None
    """Score from which masks are pre-filled; null where none is precise enough or known."""
    precision: float | None
    """Share of the hold-out's masks above it that are right; of all, where there is none."""
    found: float | None
    """Share of the hold-out's objects that they find."""
    instead: list[InsteadOut]
    """Where none is precise enough: what could be asked for, the most precise first."""


class PrefillRequest(In):
    """How many images to pre-fill, and how sure it has to be."""

    images: Annotated[int, Field(ge=1, le=100_000)] = 20
    precision: Annotated[float, Field(ge=0.3, le=0.99)] = 0.95
    """Share of the pre-filled masks that has to be right, on the hold-out."""


class ExampleOut(Out):
    """Rounds that were simulated, to show what they look like."""

    name: str
    """The dataset on which they were played."""
    rounds: list[RoundOut]


class EngineOut(Out):
    """Where the engine stands, and what it suggests."""

    stage: str
    """assisted, semi or automatic: that of the work going on."""
    suggestion: SuggestionOut
    rounds: list[RoundOut]
    collecting: WorkOut
    """Since the last round."""
    example: ExampleOut | None
    """Only while there is no round of one's own."""
    working: WorkingOut | None
    prefill: PrefillOut | None
    new_masks: int
    new_images: int
    all_masks: int
    needed_masks: int
    """New masks from which the next round is worth its time."""
    holdout_images: int
    holdout_needed: int
    """With fewer, a person decides instead of the gate."""
    waiting_images: int
    missing: list[str]
    """Packages that training needs and that are not installed."""
    model: str
    """The current model's name."""
    model_id: str
    can_roll_back: bool
    """Whether an earlier model can be returned to."""


class RoundRequest(In):
    """How to run a round."""

    masks: Literal["new", "all"] = "new"
    start: Literal["current", "default"] = "current"
    steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Optimiser steps of the model; null takes the recipe's."""
    head_steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """The same of the box detector and of the region head; null takes 600 each."""
    profile: Literal["usual", "automatic"] = "usual"
    """`automatic` is stage 3's: on what people made alone, longer, with large-scale jitter."""


class DecideRequest(In):
    """What a person says where the gate cannot."""

    promote: bool

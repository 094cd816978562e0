"""A simulated person segments every labelled object of one image, click by click.

This is the ground of all interactive numbers: it asks the model and compares with the labels, and
leaves averaging to `evaluate`. Masks are compared at the original image's size. Sessions on
different objects are independent; they are batched only to fill the decoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from maskmill import rle
from maskmill.masks import boundary_iou
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.train.clicks import Click, first_click, next_click
from maskmill.values import Candidates, Embedding, Prompt, box_prompt, point_prompt

CLICKS = (1, 2, 3, 5, 10)
"""Numbers of clicks after which the mean IoU is stated."""
MAX_CLICKS = 20
"""A session ends here; an IoU never reached counts as reached now, as is usual in the field."""
GOALS = (0.80, 0.85, 0.90)
"""IoUs to which clicks are counted; past click 10 only sessions go on that missed the last."""
OBJECTS_AT_ONCE = 64
"""Objects whose sessions run side by side; bounds the memory that their masks take."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sessions:
    """What came of the sessions on `n` objects of one image.

    Attributes:
        iou: IoU after each click; a session that ended keeps its last IoU.
        predicted_iou: The model's estimate for the three candidates of the first click.
        true_iou: The IoU that those candidates have.
        iou_from_box: IoU of the one mask for the object's box.
        boundary_iou_from_box: Boundary IoU of that mask; see `maskmill.masks.boundary_iou`.
    """

    iou: Float[np.ndarray, "n clicks"]
    predicted_iou: Float[np.ndarray, "n k"]
    true_iou: Float[np.ndarray, "n k"]
    iou_from_box: Float[np.ndarray, " n"]
    boundary_iou_from_box: Float[np.ndarray, " n"]

    def clicks_to(self, goal: float) -> Float[np.ndarray, " n"]:
        """Count the clicks until an IoU is first reached, `MAX_CLICKS` where it never is."""
        reached = self.iou >= goal
        return np.where(reached.any(1), reached.argmax(1) + 1, MAX_CLICKS).astype(np.float64)


@dataclass(eq=False)
class _Session:
    """One object's state; the only mutable thing in a measurement."""

    target: Bool[np.ndarray, "h w"]
    clicks: list[Click] = field(default_factory=list)
    mask: Bool[np.ndarray, "h w"] | None = None
    logits: Float[np.ndarray, "low_h low_w"] | None = None
    iou: list[float] = field(default_factory=list)
    ended: bool = False

    def click(self) -> None:
        """Click once more, or end: nothing is wrong, or the goals are met and the table is full."""
        if self.mask is None:
            self.clicks.append(first_click(self.target))
            return
        if len(self.iou) >= CLICKS[-1] and max(self.iou) >= GOALS[-1]:
            self.ended = True
        click = None if self.ended else next_click(self.target, self.mask)
        if click is None:
            self.ended = True
        else:
            self.clicks.append(click)

    def prompt(self) -> Prompt:
        points = point_prompt(*self.clicks)
        return Prompt(
            point_coords=points.point_coords,
            point_labels=points.point_labels,
            mask_input=self.logits,
        )

    def answer(self, candidates: Candidates, prompt: int, candidate: int) -> None:
        self.mask = candidates.mask_logits(prompt, candidate) > candidates.mask_threshold
        self.logits = candidates.low_res_mask_logits[prompt, candidate]
        self.iou.append(mask_iou(self.mask, self.target))


def mask_iou(a: Bool[np.ndarray, "h w"], b: Bool[np.ndarray, "h w"]) -> float:
    """Return the intersection over union of two masks, [0, 1]; 0 if both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0


def run_sessions(predictor: Predictor, embedding: Embedding, masks: Sequence[Rle]) -> Sessions:
    """Play a person who segments each object by clicks, and once by its box.

    The first click is at the object's centre and asks for three masks; the one with the highest
    predicted IoU is taken. Every later click is at the centre of the largest error; all clicks so
    far and the low-res logits of the last answer go in, and one mask comes out.

    Args:
        predictor: The model.
        embedding: Its embedding of the image.
        masks: The true masks, none of them empty.

    Returns:
        One row per mask, in the given order.
    """
    parts = [
        _run_some(predictor, embedding, masks[start : start + OBJECTS_AT_ONCE])
        for start in range(0, len(masks), OBJECTS_AT_ONCE)
    ]
    return Sessions(
        iou=np.concatenate([part.iou for part in parts]),
        predicted_iou=np.concatenate([part.predicted_iou for part in parts]),
        true_iou=np.concatenate([part.true_iou for part in parts]),
        iou_from_box=np.concatenate([part.iou_from_box for part in parts]),
        boundary_iou_from_box=np.concatenate([part.boundary_iou_from_box for part in parts]),
    )


def _run_some(predictor: Predictor, embedding: Embedding, masks: Sequence[Rle]) -> Sessions:
    sessions = [_Session(rle.decode(mask)) for mask in masks]
    predicted_iou, true_iou = _first_round(predictor, embedding, sessions)
    for _ in range(MAX_CLICKS - 1):
        for session in sessions:
            if not session.ended:
                session.click()
        running = [session for session in sessions if not session.ended]
        if not running:
            break
        prompts = [session.prompt() for session in running]
        candidates = predictor.predict(embedding, prompts, multimask_output=False)
        for i, session in enumerate(running):
            session.answer(candidates, i, 0)
    boxes = [box_prompt(*rle.box(mask)) for mask in masks]
    from_box = predictor.predict(embedding, boxes, multimask_output=False)
    drawn = [from_box.mask_logits(i, 0) > from_box.mask_threshold for i in range(len(masks))]
    pairs = list(zip(drawn, (session.target for session in sessions), strict=True))
    return Sessions(
        iou=np.array([_filled_up(session.iou) for session in sessions]),
        predicted_iou=predicted_iou,
        true_iou=true_iou,
        iou_from_box=np.array([mask_iou(mask, target) for mask, target in pairs]),
        boundary_iou_from_box=np.array([boundary_iou(mask, target) for mask, target in pairs]),
    )


def _first_round(
    predictor: Predictor, embedding: Embedding, sessions: Sequence[_Session]
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    for session in sessions:
        session.click()
    prompts = [session.prompt() for session in sessions]
    candidates = predictor.predict(embedding, prompts, multimask_output=True)
    for i, (session, best) in enumerate(zip(sessions, candidates.best(), strict=True)):
        session.answer(candidates, i, int(best))
    true_iou = [
        [
            _iou_of(candidates, i, j, session.target)
            for j in range(candidates.predicted_iou.shape[1])
        ]
        for i, session in enumerate(sessions)
    ]
    return candidates.predicted_iou.astype(np.float64), np.array(true_iou)


def _iou_of(
    candidates: Candidates, prompt: int, candidate: int, target: Bool[np.ndarray, "h w"]
) -> float:
    mask = candidates.mask_logits(prompt, candidate) > candidates.mask_threshold
    return mask_iou(mask, target)


def _filled_up(iou: list[float]) -> list[float]:
    return iou + iou[-1:] * (MAX_CLICKS - len(iou))

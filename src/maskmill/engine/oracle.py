"""A simulated person: sees the truth, answers the model's masks, errs, and takes time.

The oracle works as the browser tool is worked with: it checks what is pre-filled, and keeps, mends
or rejects it, upon which what it has not looked at yet may follow; clicks at the centre of an
object, tabs to the best of what is offered there and the decoder's three candidates, clicks into
the largest error, takes the brush when clicks stall, and now and then overlooks an object.
`TimeModel` turns that into seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from maskmill import rle
from maskmill.engine.offering import following, offered_at
from maskmill.engine.time_model import TimeModel
from maskmill.errors import ConfigError
from maskmill.mending import Mending, to_redraw
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.train.clicks import Click, first_click, next_click
from maskmill.train.sessions import mask_iou
from maskmill.values import Candidates, Embedding, point_prompt

REACH = 5
"""Wrong pixels nearer than this, pixels of the image, are mended by one stroke."""


@dataclass(frozen=True, kw_only=True)
class OracleConfig:
    """What kind of person it is.

    Raises:
        ConfigError: If a share or an IoU is not within 0 and 1, or a number of clicks or strokes is
            below zero.
    """

    accept: float = 0.85
    """A mask is good enough at this IoU with the truth."""
    max_clicks: int = 6
    """Clicks on one object before the brush is taken."""
    stall: float = 0.02
    """A click that gains less IoU than this makes the person take the brush."""
    max_strokes: int = 20
    """Strokes after which an object is left as it is."""
    mend: float = 0.3
    """A pre-filled mask of less IoU than this is of nothing that is looked for, and rejected."""
    mend_strokes: int = 2
    """One that is not good enough is mended where so many strokes of the brush do it, which takes
    less than to make it anew; else it is rejected."""
    miss: float = 0.05
    """Share of objects that are overlooked."""
    slip: float = 0.05
    """Share of clicks that land anywhere in the error instead of at its centre."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.type is float and not 0 <= value <= 1:
                raise ConfigError(f"{each.name} is {value}; it must be within 0 and 1")
            if value < 0:
                raise ConfigError(f"{each.name} is {value}; it must be 0 or more")


@dataclass(frozen=True, eq=False, kw_only=True)
class HandMade:
    """One mask that the oracle made, and what it took."""

    rle: Rle
    seconds: float
    clicks: int
    strokes: int
    predicted_iou: float | None
    prompts: Any
    iou: float | None
    """IoU with the truth, which the engine does not see; None where a record is the truth."""


@dataclass(eq=False, kw_only=True)
class Sitting:
    """What came of one image.

    Attributes:
        made: Masks that the oracle made.
        kept: Pre-filled masks, by their place, that it kept, and as what: they may have followed
            what was mended before.
        mended: Pre-filled masks, by their place, that it mended by brush, and what came of them.
        rejected: Pre-filled masks, by their place, that it rejected.
        seconds: All of its time on the image, that of every mask included.
        missed: Objects that it overlooked.
    """

    made: list[HandMade] = field(default_factory=list)
    kept: dict[int, Rle] = field(default_factory=dict)
    mended: list[tuple[int, HandMade]] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    seconds: float = 0.0
    missed: int = 0


def label_image(
    predictor: Predictor,
    embedding: Embedding,
    truths: Sequence[Rle],
    rng: np.random.Generator,
    *,
    prefilled: Sequence[Rle] = (),
    mending: Mending | None = None,
    offered: Sequence[Rle] = (),
    offering: Mending | None = None,
    recorded: Sequence[HandMade] | None = None,
    config: OracleConfig | None = None,
    times: TimeModel | None = None,
) -> Sitting:
    """Label one image.

    Args:
        predictor: The model that answers the clicks.
        embedding: Its embedding of the image.
        truths: The true masks, which only the oracle sees.
        rng: Decides what is overlooked and which clicks slip.
        prefilled: Masks that are there already.
        mending: Of these masks; then those that are left follow what is mended.
        offered: Regions that a click brings up before the decoder's candidates, best first.
        offering: Of these regions; then they follow what is made.
        recorded: What a real person made of each object, and what it took; then nothing is
            clicked or overlooked anew.
        config: What kind of person it is.
        times: What its actions cost.
    """
    config, times = config or OracleConfig(), times or TimeModel()
    sitting = Sitting(seconds=times.open_image + times.scan)
    left = _check_prefilled(sitting, truths, prefilled, mending, config, times)
    taken = [*sitting.kept.values(), *(mask.rle for _, mask in sitting.mended)]
    for i in left:
        if recorded is not None:
            mask = recorded[i]
        elif rng.random() < config.miss:
            sitting.missed += 1
            continue
        else:
            truth = rle.decode(truths[i])
            shown = offered if offering is None else following(offering, offered, taken)
            region = offered_at(first_click(truth), shown, taken)
            mask = _label_object(predictor, embedding, truth, region, rng, config, times)
        sitting.made.append(mask)
        taken.append(mask.rle)
        sitting.seconds += mask.seconds
    return sitting


def _check_prefilled(
    sitting: Sitting,
    truths: Sequence[Rle],
    prefilled: Sequence[Rle],
    mending: Mending | None,
    config: OracleConfig,
    times: TimeModel,
) -> list[int]:
    """Keep, mend or reject each mask that is there; returns the objects still without one."""
    left = list(range(len(truths)))
    drawn = dict(enumerate(prefilled))
    shown = dict(drawn)
    for i in range(len(prefilled)):
        sitting.seconds += times.check
        best, iou = _nearest(shown[i], truths, left)
        if best is None or iou < min(config.mend, config.accept):
            sitting.rejected.append(i)
        elif iou >= config.accept:
            left.remove(best)
            sitting.kept[i] = shown[i]
        elif (mended := _mend(shown[i], truths[best], config, times)) is not None:
            left.remove(best)
            sitting.mended.append((i, mended))
            sitting.seconds += mended.seconds
            if mending is not None:
                settled = sitting.kept | {place: mask.rle for place, mask in sitting.mended}
                told = mending.after(settled, gone=sitting.rejected)
                shown |= to_redraw(shown, told, drawn)
        else:
            sitting.rejected.append(i)
    return left


def _nearest(mask: Rle, truths: Sequence[Rle], left: Sequence[int]) -> tuple[int | None, float]:
    """Return which of the objects that are left a mask overlaps most, and its IoU with it."""
    if not left:
        return None, 0.0
    iou = rle.iou([mask], [truths[j] for j in left])[0]
    best = int(iou.argmax())
    return left[best], float(iou[best])


def _mend(mask: Rle, truth: Rle, config: OracleConfig, times: TimeModel) -> HandMade | None:
    """Mend by brush what few strokes mend; the eye sees beforehand how many it takes."""
    target = rle.decode(truth)
    brushed, strokes = _brush(target, rle.decode(mask), config)
    if strokes > config.mend_strokes:
        return None
    return HandMade(
        rle=rle.encode(brushed),
        seconds=strokes * times.stroke,
        clicks=0,
        strokes=strokes,
        predicted_iou=None,
        prompts=None,
        iou=mask_iou(brushed, target),
    )


@dataclass(eq=False)
class _Shown:
    """What is on the screen while an object is asked for; no logits where a region is shown."""

    mask: Bool[np.ndarray, "h w"]
    iou: float
    predicted_iou: float | None
    logits: Float[np.ndarray, "low_h low_w"] | None
    seconds: float


def _label_object(
    predictor: Predictor,
    embedding: Embedding,
    truth: Bool[np.ndarray, "h w"],
    region: Rle | None,
    rng: np.random.Generator,
    config: OracleConfig,
    times: TimeModel,
) -> HandMade:
    clicks = [first_click(truth)]
    shown = _first_shown(predictor, embedding, truth, clicks[0], region, config, times)
    # A region is a drawing, not an answer that clicks could change: it is brushed or left.
    if shown.logits is not None:
        shown = _clicked_on(predictor, embedding, truth, clicks, shown, rng, config, times)
    mask, strokes = _brush(truth, shown.mask, config)
    return HandMade(
        rle=rle.encode(mask),
        seconds=shown.seconds + strokes * times.stroke,
        clicks=len(clicks),
        strokes=strokes,
        predicted_iou=shown.predicted_iou,
        prompts=[{"points": [[c.x, c.y] for c in clicks], "labels": [c.label for c in clicks]}],
        iou=mask_iou(mask, truth),
    )


def _first_shown(
    predictor: Predictor,
    embedding: Embedding,
    truth: Bool[np.ndarray, "h w"],
    click: Click,
    region: Rle | None,
    config: OracleConfig,
    times: TimeModel,
) -> _Shown:
    """Click once, and go to the best of the candidates; a region that is offered comes first."""
    candidates = predictor.predict(embedding, [point_prompt(click)], multimask_output=True)
    masks = [_drawn(candidates, j) for j in range(3)]
    first = int(candidates.best()[0])
    if region is not None:
        masks.append(rle.decode(region))
        first = 3
    ious = [mask_iou(mask, truth) for mask in masks]
    seconds, taken = times.first_click + times.look, first
    best = int(np.argmax(ious))
    if ious[first] < config.accept and best != first:
        taken = best
        seconds += times.look * ((best - first) % len(masks))  # a look at each that Tab brings
    return _Shown(
        mask=masks[taken],
        iou=ious[taken],
        predicted_iou=None if taken == 3 else float(candidates.predicted_iou[0, taken]),
        logits=None if taken == 3 else candidates.low_res_mask_logits[0, taken],
        seconds=seconds,
    )


def _clicked_on(
    predictor: Predictor,
    embedding: Embedding,
    truth: Bool[np.ndarray, "h w"],
    clicks: list[Click],
    shown: _Shown,
    rng: np.random.Generator,
    config: OracleConfig,
    times: TimeModel,
) -> _Shown:
    """Click into what is wrong until it is right, or clicks stall; adds to `clicks`."""
    while shown.iou < config.accept and len(clicks) < config.max_clicks:
        click = _click_again(truth, shown.mask, rng, config)
        if click is None:
            break
        clicks.append(click)
        shown.seconds += times.further_click + times.look
        points = point_prompt(*clicks)
        prompt = replace(points, mask_input=shown.logits)
        candidates = predictor.predict(embedding, [prompt], multimask_output=False)
        mask = _drawn(candidates, 0)
        gained = mask_iou(mask, truth) - shown.iou
        if gained < 0:  # undone with one key
            clicks.pop()
            break
        shown = _Shown(
            mask=mask,
            iou=shown.iou + gained,
            predicted_iou=float(candidates.predicted_iou[0, 0]),
            logits=candidates.low_res_mask_logits[0, 0],
            seconds=shown.seconds,
        )
        if gained < config.stall:
            break
    return shown


def _click_again(
    truth: Bool[np.ndarray, "h w"],
    mask: Bool[np.ndarray, "h w"],
    rng: np.random.Generator,
    config: OracleConfig,
) -> Click | None:
    """Click at the centre of the largest error, or, slipping, anywhere in what is wrong."""
    click = next_click(truth, mask)
    if click is None or rng.random() >= config.slip:
        return click
    y, x = divmod(int(rng.choice(np.flatnonzero(truth ^ mask))), truth.shape[1])
    return Click(x, y, int(truth[y, x]))


def _brush(
    truth: Bool[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"], config: OracleConfig
) -> tuple[Bool[np.ndarray, "h w"], int]:
    """Mend the largest wrong region with each stroke, until the mask is good enough.

    Wrong pixels that lie near each other, as along an edge, are one region: a stroke follows it.
    """
    import cv2

    mask, strokes = mask.copy(), 0
    while mask_iou(mask, truth) < config.accept and strokes < config.max_strokes:
        wrong = mask ^ truth
        near = cv2.dilate(wrong.astype(np.uint8), np.ones((REACH, REACH), np.uint8))
        _, labels = cv2.connectedComponents(near, connectivity=8)
        within = np.bincount(labels[wrong])
        stroke = labels == int(within.argmax())
        mask[stroke] = truth[stroke]
        strokes += 1
    return mask, strokes


def _drawn(candidates: Candidates, candidate: int) -> Bool[np.ndarray, "h w"]:
    drawn: np.ndarray = candidates.mask_logits(0, candidate) > candidates.mask_threshold
    return drawn

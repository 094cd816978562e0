"""Stage 2: masks that a model makes for people, kept at a precision that was measured.

Everything mode offers candidates; those above a threshold of predicted IoU are pre-filled. The
threshold is the lowest at which the hold-out, whose images people labelled whole, says that enough
of what is kept is right. Where no threshold reaches that, nothing is pre-filled: a wrong mask
costs a person more than a missing one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from maskmill import rle
from maskmill.automask import AutoMask, automask
from maskmill.config import AutomaskConfig
from maskmill.predict import Predictor
from maskmill.rle import Rle

PRECISION, AT_IOU = 0.95, 0.75
"""A pre-filled mask is right if it has this IoU with an object, and so many of them must be."""
LEAST = 10
"""Fewer right masks than this on the hold-out prove no precision."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What the hold-out says of a threshold.

    Attributes:
        threshold: Predicted IoU from which masks are pre-filled; None if no threshold is good.
        precision: Share of the hold-out's masks above it that are right.
        kept: Masks of the hold-out above it.
        found: Share of the hold-out's objects that they find.
    """

    threshold: float | None
    precision: float
    kept: int
    found: float


def candidates(
    predictor: Predictor, image: UInt8[np.ndarray, "h w 3"], *, points_per_side: int = 32
) -> list[AutoMask]:
    """Return what everything mode finds with its quality filters nearly open, best first."""
    config = AutomaskConfig(
        points_per_side=points_per_side, pred_iou_thresh=0.3, stability_score_thresh=0.3
    )
    return sorted(automask(predictor, image, config), key=lambda mask: -mask.predicted_iou)


def propose(
    found: Sequence[AutoMask], calibration: Calibration, *, taken: Sequence[Rle] = ()
) -> list[AutoMask]:
    """Choose the candidates to pre-fill.

    Args:
        found: From `candidates`.
        calibration: Of the same model.
        taken: Masks that the image has already; what overlaps one by half is not proposed.
    """
    if calibration.threshold is None:
        return []
    sure = [mask for mask in found if mask.predicted_iou >= calibration.threshold]
    chosen: list[AutoMask] = []
    there = list(taken)
    for mask in sure:
        if not there or float(rle.iou([mask.rle], there).max()) < 0.5:
            chosen.append(mask)
            there.append(mask.rle)
    return chosen


def calibrate(
    found: Sequence[Sequence[AutoMask]],
    truths: Sequence[Sequence[Rle]],
    *,
    precision: float = PRECISION,
    at_iou: float = AT_IOU,
) -> Calibration:
    """Find the lowest threshold at which the masks kept are right often enough.

    Args:
        found: The candidates of every hold-out image.
        truths: All objects of every hold-out image.
        precision: Share of the masks kept that has to be right.
        at_iou: IoU from which a mask is right.
    """
    rows = [_right(masks, objects, at_iou) for masks, objects in zip(found, truths, strict=True)]
    scores = np.concatenate([s for s, _ in rows]) if rows else np.zeros(0)
    right = np.concatenate([r for _, r in rows]) if rows else np.zeros(0)
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    kept = np.arange(1, len(scores) + 1)
    reached = np.cumsum(right)
    whole = np.append(scores[1:] != scores[:-1], True)[: len(scores)]  # equal scores go together
    good = np.flatnonzero(whole & (reached / kept >= precision) & (reached >= LEAST))
    objects = sum(len(t) for t in truths)
    if not len(good):
        share = float(right.mean()) if len(right) else 0.0
        return Calibration(threshold=None, precision=share, kept=0, found=0.0)
    last = int(good[-1])
    return Calibration(
        threshold=float(scores[last]),
        precision=float(reached[last] / kept[last]),
        kept=int(kept[last]),
        found=float(reached[last] / max(1, objects)),
    )


def _right(
    masks: Sequence[AutoMask], objects: Sequence[Rle], at_iou: float
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Match masks with objects, best first; a second mask of one object is wrong."""
    scores = np.array([mask.predicted_iou for mask in masks])
    right = np.zeros(len(masks))
    if not len(masks) or not len(objects):
        return scores, right
    iou = rle.iou([mask.rle for mask in masks], objects)
    free = np.ones(len(objects), bool)
    for i in np.argsort(-scores, kind="stable"):
        best = int(np.where(free, iou[i], -1).argmax())
        if free[best] and iou[i, best] >= at_iou:
            free[best] = False
            right[i] = 1
    return scores, right

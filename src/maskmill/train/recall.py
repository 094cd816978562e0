"""Average recall of everything mode: how many labelled objects are among its masks.

Recall, because labels are never complete: a mask without a label may well be an object. Class is
ignored. Masks are matched as in COCO's evaluation: best first, each takes the labelled object that
it overlaps most among those not yet taken, if the overlap reaches the threshold.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from maskmill import rle
from maskmill.automask import automask
from maskmill.config import AutomaskConfig
from maskmill.predict import Predictor
from maskmill.rle import Rle

BUDGETS = (100, 1000)
"""How many masks per image count, best predicted IoU first."""
THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""IoUs over which recall is averaged, 0.50 to 0.95."""


def loosened(config: AutomaskConfig) -> AutomaskConfig:
    """Let everything mode keep whatever it finds, as the paper does to measure proposals.

    Recall does not punish surplus, and the budget ranks by predicted IoU anyway; so the quality
    filters are off and only near-duplicates are removed.

    Source:
        "Segment Anything", arXiv 2304.02643, appendix D.3, object proposals.
    """
    return replace(config, pred_iou_thresh=-np.inf, stability_score_thresh=0.0, box_nms_thresh=0.9)


def average_recall(
    predictor: Predictor,
    image: UInt8[np.ndarray, "h w 3"],
    masks: Sequence[Rle],
    config: AutomaskConfig,
) -> dict[int, float]:
    """Run everything mode on an image and measure its recall of the labelled objects.

    Args:
        predictor: The model.
        image: RGB pixels.
        masks: The true masks, at least one.
        config: Everything mode's settings as they are to be used; see `loosened`.

    Returns:
        For each budget, the share of objects found, averaged over `THRESHOLDS`; [0, 1].
    """
    found = automask(predictor, image, config)
    ranked = sorted(found, key=lambda mask: -mask.predicted_iou)[: max(BUDGETS)]
    iou = rle.iou([mask.rle for mask in ranked], masks)
    return {budget: mean_recall(iou[:budget]) for budget in BUDGETS}


def mean_recall(iou: Float[np.ndarray, "found labelled"]) -> float:
    """Average the recall over the IoU thresholds.

    Args:
        iou: IoU of every found mask, best first, with every labelled object, of which there is at
            least one.

    Returns:
        Mean share of labelled objects matched, [0, 1].

    Example:
        >>> mean_recall(np.array([[0.92, 0.0], [0.0, 0.62]]))  # 9 thresholds and 3
        0.6
    """
    matched = sum(_matched(iou, threshold) for threshold in THRESHOLDS)
    return float(matched / (len(THRESHOLDS) * iou.shape[1]))


def _matched(iou: Float[np.ndarray, "found labelled"], threshold: float) -> int:
    left = np.ones(iou.shape[1], bool)
    for row in iou[(iou >= threshold).any(axis=1)]:
        free = np.where(left, row, -1.0)
        best = int(free.argmax())
        if free[best] >= threshold:
            left[best] = False
    return int((~left).sum())

"""From grid points to candidates: decode, and drop at low resolution what cannot survive.

The reference upsamples all three masks of every point to the image before it asks whether they are
any good. Here a mask is drawn only if its predicted IoU passes, and of a drawn mask only the part
above its loosest cut is kept. Stability at low resolution is close to that at full resolution, not
equal to it: it drops a candidate only by a margin, and `survivors` decides the rest exactly.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from maskmill.automask.skipping import Covered, coarse_to_fine
from maskmill.automask.upsampling import TAP_REACH, Patch, Upsampling
from maskmill.config import AutomaskConfig
from maskmill.masks import mask_to_box
from maskmill.predict import Predictor
from maskmill.values import Embedding

STABILITY_MARGIN = 0.10
"""How far below its threshold a large mask's low-res stability must be to drop the mask unseen."""
STABILITY_EDGE = 2.0
"""What a small mask's margin gains: this over the square root of its low-res area."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidate:
    """One mask of one point that passed at low resolution.

    Attributes:
        point: Index of its point.
        predicted_iou: The model's own estimate of its quality.
        patch: Its low-res logits.
    """

    point: int
    predicted_iou: float
    patch: Patch


@dataclass(frozen=True, eq=False)
class Drawn:
    """Decoder output of one batch: predicted IoU of all, low-res logits of those worth drawing.

    Attributes:
        points: Index of each mask's point within the batch.
        predicted_iou: One per mask.
        logits: Low-res mask logits, one per mask.
    """

    points: Int[np.ndarray, " m"]
    predicted_iou: Float32[np.ndarray, " m"]
    logits: Float32[np.ndarray, "m low low"]


def find_candidates(
    predictor: Predictor,
    embedding: Embedding,
    points: Float[np.ndarray, "n 2"],
    upsampling: Upsampling,
    config: AutomaskConfig,
) -> list[Candidate]:
    """Decode grid points and keep the masks that may survive.

    Args:
        predictor: The model.
        embedding: Of the image or crop.
        points: The square grid, (x, y) in pixels of that image or crop, row by row.
        upsampling: From the embedding's low-res frame.
        config: Thresholds and batch size.

    Returns:
        Candidates in the order of their points; none where nothing passes.
    """
    found: list[Candidate] = []
    covered = Covered(embedding, predictor.config.low_res_side)
    for wanted in coarse_to_fine(len(points)) if config.fast else [np.arange(len(points))]:
        left = wanted[~covered.at(points[wanted])]
        for start in range(0, len(left), config.points_per_batch):
            batch = left[start : start + config.points_per_batch]
            drawn = draw(predictor, embedding, points[batch], config.pred_iou_thresh)
            for i, iou, logits in zip(drawn.points, drawn.predicted_iou, drawn.logits, strict=True):
                patch = cut_patch(logits, upsampling, predictor.config.mask_threshold, config)
                if patch is None:
                    continue
                found.append(Candidate(point=int(batch[i]), predicted_iou=float(iou), patch=patch))
                if config.fast and patch.stability_score >= config.stability_score_thresh:
                    covered.add(patch)
    return sorted(found, key=lambda candidate: candidate.point)


def draw(
    predictor: Predictor,
    embedding: Embedding,
    points: Float[np.ndarray, "n 2"],
    pred_iou_thresh: float,
) -> Drawn:
    """Decode one batch and return the masks whose predicted IoU passes.

    The reference keeps predicted IoU with `>` (and nothing is dropped at a threshold of 0 or less),
    but stability with `>=`; so does everything here.
    """
    logits, iou = predictor.predict_points(embedding, points)
    passes = iou > pred_iou_thresh if pred_iou_thresh > 0 else np.ones_like(iou, bool)
    return Drawn(np.nonzero(passes)[0], iou[passes], logits[passes])


def cut_patch(
    logits: Float32[np.ndarray, "low low"],
    upsampling: Upsampling,
    mask_threshold: float,
    config: AutomaskConfig,
) -> Patch | None:
    """Cut out of low-res logits the part that any cut can touch.

    Returns:
        The patch, or None if it holds no mask or its stability is too low by a clear margin.
    """
    offset, wanted = config.stability_score_offset, config.stability_score_thresh
    valid_h, valid_w = upsampling.valid
    y0, y1, x0, x1 = _extent(logits[:valid_h, :valid_w] > mask_threshold - abs(offset))
    inside = logits[y0:y1, x0:x1]
    mask = inside > mask_threshold
    box = _extent(mask)
    if box == (0, 0, 0, 0):
        return None
    outer = int(np.count_nonzero(inside > mask_threshold - offset))
    stability = np.count_nonzero(inside > mask_threshold + offset) / max(outer, 1)
    margin = STABILITY_MARGIN + STABILITY_EDGE / max(outer, 1) ** 0.5
    if wanted > 0 and stability < wanted - margin:
        return None
    top, left = max(0, y0 - TAP_REACH), max(0, x0 - TAP_REACH)
    return Patch(
        logits=logits[top : y1 + TAP_REACH, left : x1 + TAP_REACH].copy(),
        corner=(top, left),
        tight=(y0, y1, x0, x1),
        mask=mask,
        mask_extent=(y0 + box[0], y0 + box[1], x0 + box[2], x0 + box[3]),
        stability_score=stability,
    )


def _extent(mask: Bool[np.ndarray, "h w"]) -> tuple[int, int, int, int]:
    """Return the half-open rows and columns (y0, y1, x0, x1) of a mask; zeros if it is empty."""
    x0, y0, x1, y1 = mask_to_box(mask).tolist()
    return y0, y1, x0, x1

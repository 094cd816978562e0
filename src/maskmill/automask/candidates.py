"""From grid points to candidates: decode, and drop at low resolution what cannot survive.

The reference upsamples all three masks of every point to the image before it asks whether they are
any good. Here a mask is drawn only if it promises to pass, and of a drawn mask only the part
above its loosest cut is kept. Stability at low resolution is close to that at full resolution, not
equal to it: it drops a candidate only by a margin, and `survivors` decides the rest exactly.
"""

from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from maskmill.automask.decoding import PointDecoder, in_order
from maskmill.automask.skipping import Covered, coarse_to_fine
from maskmill.automask.upsampling import TAP_REACH, Patch, Upsampling
from maskmill.config import SettledAutomaskConfig
from maskmill.geometry import to_input_frame
from maskmill.masks import mask_to_box
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


def find_candidates(
    decoder: PointDecoder,
    embedding: Embedding,
    points: Float[np.ndarray, "n 2"],
    upsampling: Upsampling,
    config: SettledAutomaskConfig,
    pool: Executor | None = None,
) -> list[Candidate]:
    """Decode grid points and keep the masks that may survive.

    Args:
        decoder: Of the image or crop.
        embedding: Of the image or crop.
        points: The square grid, (x, y) in pixels of that image or crop, row by row.
        upsampling: From the embedding's low-res frame.
        config: Thresholds and batch size.
        pool: Decodes several batches at once; None to work in this thread.

    Returns:
        Candidates in the order of their points; none where nothing passes.
    """
    found: list[Candidate] = []
    covered = Covered(embedding, upsampling.low_res_side)
    scaled = to_input_frame(points, embedding.original_size, embedding.input_size)

    def of_batch(batch: Int[np.ndarray, " b"]) -> list[Candidate]:
        """Return one batch's candidates; several threads may do this at once."""
        return _of_batch(decoder, scaled[batch], batch, upsampling, config)

    for wanted in coarse_to_fine(len(points)) if config.fast else [np.arange(len(points))]:
        left = wanted[~covered.at(points[wanted])]
        size = min(config.points_per_batch, decoder.most_at_once)
        batches = [left[i : i + size] for i in range(0, len(left), size)]
        for candidates in in_order(pool, of_batch, batches, ahead=4):
            found += candidates
            if config.fast:
                by_point = groupby(candidates, key=lambda candidate: candidate.point)
                for _, same in by_point:
                    covered.add([candidate.patch for candidate in same], config)
    return sorted(found, key=lambda candidate: candidate.point)


def _of_batch(
    decoder: PointDecoder,
    scaled: Float32[np.ndarray, "n 2"],
    batch: Int[np.ndarray, " n"],
    upsampling: Upsampling,
    config: SettledAutomaskConfig,
) -> list[Candidate]:
    seen, promise = decoder.attend(scaled)
    rows = np.flatnonzero(_above(config.pred_iou_thresh, promise).any(axis=1))
    if not len(rows):
        return []
    found = []
    logits, iou = decoder.draw(seen, rows)
    for i, k in np.argwhere(_above(config.pred_iou_thresh, iou)):
        patch = cut_patch(logits[i, k], upsampling, config)
        if patch is not None:
            found.append(
                Candidate(point=int(batch[rows[i]]), predicted_iou=float(iou[i, k]), patch=patch)
            )
    return found


def _above(least: float, iou: Float32[np.ndarray, "n k"]) -> Bool[np.ndarray, "n k"]:
    """Tell what passes: the reference keeps predicted IoU with `>` and stability with `>=`.

    A threshold of 0 or less drops nothing.
    """
    passes: np.ndarray = iou > least if least > 0 else np.full(iou.shape, True)
    return passes


def cut_patch(
    logits: Float32[np.ndarray, "low low"],
    upsampling: Upsampling,
    config: SettledAutomaskConfig,
) -> Patch | None:
    """Cut out of low-res logits the part that any cut can touch.

    Returns:
        The patch, or None if it holds no mask or its stability is too low by a clear margin.
    """
    mask_threshold = upsampling.mask_threshold
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
        solid_extent=_solid_extent(mask, y0, x0),
        stability_score=stability,
    )


def _solid_extent(mask: Bool[np.ndarray, "h w"], top: int, left: int) -> tuple[int, int, int, int]:
    """Return the extent of the 3x3 blocks within a mask whose corner is at (`top`, `left`)."""
    rows = mask[:-2] & mask[1:-1] & mask[2:]
    centres = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    y0, y1, x0, x1 = _extent(centres)
    # Each block reaches one pixel past its centre, and centres are counted from (1, 1).
    return (top + y0, top + y1 + 2, left + x0, left + x1 + 2) if y1 else (0, 0, 0, 0)


def _extent(mask: Bool[np.ndarray, "h w"]) -> tuple[int, int, int, int]:
    """Return the half-open rows and columns (y0, y1, x0, x1) of a mask; zeros if it is empty."""
    x0, y0, x1, y1 = mask_to_box(mask).tolist()
    return y0, y1, x0, x1

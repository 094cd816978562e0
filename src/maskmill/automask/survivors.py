"""Which candidates survive: stability, crop edges and duplicates, decided late and exactly.

The reference upsamples every candidate, drops the unstable and those cut off by a crop's edge, then
removes duplicates by box. Walking candidates from the best predicted IoU down gives the same
survivors for less: one that a survivor surely suppresses need not be looked at, whatever its
stability, and only a survivor suppresses. Boxes known from low resolution within bounds decide most
pairs.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from maskmill.automask.candidates import Candidate
from maskmill.automask.decoding import in_order
from maskmill.automask.upsampling import FullMask, Upsampling
from maskmill.config import SettledAutomaskConfig
from maskmill.geometry import CropBox, box_iou, boxes_from_crop, touches_crop_edge
from maskmill.rle import Rle, encode

AHEAD = 3
"""Candidates upsampled before it is their turn: each holds a mask of the image's size."""
LAST_INSIDE = np.array([0.0, 0.0, 1.0, 1.0])
"""Taken off half-open boxes before overlap counts: the reference's end on their last pixel."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Survivor:
    """A candidate that is kept.

    Attributes:
        candidate: What it was; `candidate.point` is an index into its crop's grid.
        rle: Its mask in the whole image.
        box: Half-open XYXY box in the whole image.
        stability_score: At full resolution.
    """

    candidate: Candidate
    rle: Rle
    box: CropBox
    stability_score: float


def survivors(
    candidates: list[Candidate],
    upsampling: Upsampling,
    *,
    crop_box: CropBox,
    original_size: tuple[int, int],
    config: SettledAutomaskConfig,
    pool: Executor | None = None,
) -> list[Survivor]:
    """Choose among one crop's candidates as the reference does.

    Args:
        candidates: In the order of their points, which breaks ties.
        upsampling: To the full resolution of the crop.
        crop_box: The crop, in the image's frame.
        original_size: (H, W) of the whole image, pixels.
        config: Thresholds.
        pool: Upsamples some candidates ahead; None to work in this thread. The answer is the same.

    Returns:
        Survivors, best predicted IoU first; none for no candidates.
    """
    kept: list[Survivor] = []
    boxes = np.empty((0, 4))
    inner, outer = upsampling.box_bounds([candidate.patch for candidate in candidates])
    suppressed = np.zeros(len(candidates), bool)
    best_first = np.argsort([-candidate.predicted_iou for candidate in candidates], kind="stable")

    def look(i: int) -> tuple[int, CropBox, FullMask] | None:
        """Upsample a candidate, unless a survivor so far suppresses it; none ever ceases to."""
        patch = candidates[i].patch
        box = upsampling.box(patch)
        if box is None or _overlaps(boxes, box, config):
            return None
        return i, box, upsampling.full_mask(patch, config.stability_score_offset)

    waiting = (i for i in best_first.tolist() if not suppressed[i])
    for looked in in_order(pool, look, waiting, ahead=AHEAD):
        # Others may have survived since it was looked at.
        if looked is None or _overlaps(boxes, looked[1], config) or _unstable(looked[2], config):
            continue
        i, box, mask = looked
        in_image = boxes_from_crop(np.array([box]), crop_box)
        if touches_crop_edge(in_image, crop_box, original_size)[0]:
            continue
        boxes = np.vstack([boxes, box])
        suppressed |= least_overlap(np.array(box), inner, outer) > config.box_nms_thresh
        left, top, right, bottom = in_image[0].tolist()
        # At once: hundreds of full-resolution masks would not fit beside each other.
        rle = encode(_in_image(mask, crop_box, original_size))
        kept.append(
            Survivor(
                candidate=candidates[i],
                rle=rle,
                box=(left, top, right, bottom),
                stability_score=mask.stability_score,
            )
        )
    return kept


def _overlaps(boxes: Float[np.ndarray, "n 4"], box: CropBox, config: SettledAutomaskConfig) -> bool:
    overlap = last_pixel_iou(boxes, np.array([box], float))
    return bool((overlap > config.box_nms_thresh).any())


def _unstable(mask: FullMask, config: SettledAutomaskConfig) -> bool:
    threshold = config.stability_score_thresh
    return threshold > 0 and not mask.stability_score >= threshold


def _in_image(
    mask: FullMask, crop_box: CropBox, original_size: tuple[int, int]
) -> Bool[np.ndarray, "h w"]:
    full = np.zeros(original_size, bool)
    left, top = crop_box[:2]
    rows = slice(top + mask.rows[0], top + mask.rows[1])
    full[rows, left + mask.columns[0] : left + mask.columns[1]] = mask.region
    return full


def last_pixel_iou(
    a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Return the IoU of half-open boxes as the reference counts it, from first to last pixel."""
    return box_iou(a - LAST_INSIDE, b - LAST_INSIDE)


def least_overlap(
    box: Int[np.ndarray, " 4"], inner: Int[np.ndarray, "n 4"], outer: Int[np.ndarray, "n 4"]
) -> Float[np.ndarray, " n"]:
    """Bound from below the IoU of a box with others, each of which lies between two.

    Args:
        box: Half-open XYXY.
        inner: What each of the others contains; may be inside out, then it bounds nothing.
        outer: What contains each of the others.

    Returns:
        The least IoU possible with each, [0, 1].
    """
    known, inside, around = (
        np.asarray(b, float).reshape(-1, 4) - LAST_INSIDE for b in (box, inner, outer)
    )
    shared = _shared(inside, known)
    return _ratio(shared, _areas(known) + _areas(around) - shared)


def _areas(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    areas: Float[np.ndarray, " n"] = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    return areas


def _shared(
    boxes: Float[np.ndarray, "n 4"], box: Float[np.ndarray, "1 4"]
) -> Float[np.ndarray, " n"]:
    low, high = np.maximum(boxes[:, :2], box[:, :2]), np.minimum(boxes[:, 2:], box[:, 2:])
    return _areas(np.hstack([low, high]))


def _ratio(
    part: Float[np.ndarray, " n"], whole: Float[np.ndarray, " _n"]
) -> Float[np.ndarray, " n"]:
    ratio: Float[np.ndarray, " n"] = np.zeros_like(part)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio

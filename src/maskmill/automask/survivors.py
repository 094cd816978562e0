"""Which candidates survive: stability, crop edges and duplicates, decided late and exactly.

The reference upsamples every candidate, drops the unstable and those cut off by a crop's edge, then
removes duplicates by box. Walking candidates from the best predicted IoU down gives the same
survivors for less: one that a survivor surely suppresses need not be looked at, whatever its
stability, and only a survivor suppresses. Boxes known from low resolution within bounds decide most
pairs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from maskmill.automask.candidates import Candidate
from maskmill.automask.upsampling import FullMask, Upsampling
from maskmill.config import SettledAutomaskConfig
from maskmill.geometry import CropBox, box_iou, boxes_from_crop, touches_crop_edge
from maskmill.masks import mask_to_box
from maskmill.rle import Rle, encode

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
) -> list[Survivor]:
    """Choose among one crop's candidates as the reference does.

    Args:
        candidates: In the order of their points, which breaks ties.
        upsampling: To the full resolution of the crop.
        crop_box: The crop, in the image's frame.
        original_size: (H, W) of the whole image, pixels.
        config: Thresholds.

    Returns:
        Survivors, best predicted IoU first; none for no candidates.
    """
    kept: list[Survivor] = []
    boxes = np.empty((0, 4))
    for candidate in sorted(candidates, key=lambda c: -c.predicted_iou):
        for bounds in (upsampling.rough_box_bounds, upsampling.box_bounds):
            surely, possibly = overlap_bounds(boxes, *bounds(candidate.patch))
            suppressed = (surely > config.box_nms_thresh).any()
            if suppressed:
                break
        if suppressed:
            continue
        mask = upsampling.full_mask(candidate.patch, config.stability_score_offset)
        box = _box(mask)
        if box is None or _unstable(mask, config):
            continue
        near = boxes[possibly > config.box_nms_thresh]
        if (last_pixel_iou(near, np.array([box], float)) > config.box_nms_thresh).any():
            continue
        in_image = boxes_from_crop(np.array([box]), crop_box)
        if touches_crop_edge(in_image, crop_box, original_size)[0]:
            continue
        boxes = np.vstack([boxes, box])
        left, top, right, bottom = in_image[0]
        kept.append(
            Survivor(
                candidate=candidate,
                # At once: hundreds of full-resolution masks would not fit beside each other.
                rle=encode(_in_image(mask, crop_box, original_size)),
                box=(int(left), int(top), int(right), int(bottom)),
                stability_score=mask.stability_score,
            )
        )
    return kept


def _unstable(mask: FullMask, config: SettledAutomaskConfig) -> bool:
    threshold = config.stability_score_thresh
    return threshold > 0 and not mask.stability_score >= threshold


def _box(mask: FullMask) -> CropBox | None:
    """Return a mask's half-open XYXY box in the frame of its crop; None if it is empty."""
    x0, y0, x1, y1 = mask_to_box(mask.region).tolist()
    if x1 == 0:
        return None
    left, top = mask.columns[0], mask.rows[0]
    return x0 + left, y0 + top, x1 + left, y1 + top


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


def overlap_bounds(
    boxes: Float[np.ndarray, "n 4"], inner: CropBox, outer: CropBox
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Bound the IoU of known boxes with one that lies between two others.

    Args:
        boxes: Half-open XYXY boxes.
        inner: What the unknown box contains; may be inside out, then it bounds nothing.
        outer: What contains the unknown box.

    Returns:
        The least and the greatest IoU possible with each box, [0, 1].
    """
    known, inside, around = (
        np.asarray(b, float).reshape(-1, 4) - LAST_INSIDE for b in (boxes, inner, outer)
    )
    area, least, most = _areas(known), _areas(inside), _areas(around)
    shared_least, shared_most = _shared(known, inside), _shared(known, around)
    lower = _ratio(shared_least, area + most - shared_least)
    upper = _ratio(shared_most, area + np.maximum(least, shared_most) - shared_most)
    return lower, upper


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

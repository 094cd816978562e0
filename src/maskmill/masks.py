"""What can be said of masks and done to them without a model.

How stable a mask is, the box around it, its specks and holes, and which of many are duplicates.
Masks are boolean `h w`, mask logits are un-thresholded floats, boxes are half-open XYXY; all in
whatever frame the caller works in. Run lengths are the business of `rle`.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from maskmill.geometry import box_area


def stability_score(
    mask_logits: Float[np.ndarray, "n h w"], *, threshold: float = 0.0, offset: float = 1.0
) -> Float[np.ndarray, " n"]:
    """Measure how little each mask changes when its cut-off moves.

    Each mask is cut twice, at `threshold + offset` and `threshold - offset`. The tighter mask lies
    inside the looser one, so their IoU is a ratio of two pixel counts.

    Args:
        mask_logits: Un-thresholded masks, at any resolution.
        threshold: Cut-off that separates object from background, in logits.
        offset: Distance of the two cuts from `threshold`, in logits; above zero.

    Returns:
        One float64 score per mask in [0, 1]; 1 never changes. A mask that is empty at both cuts
        scores 0, where the reference divides 0 by 0.

    Raises:
        ValueError: If `offset` is not above zero.

    Example:
        >>> stability_score(np.array([[[3.0, 0.5], [-0.5, -3.0]]])).round(4).tolist()
        [0.3333]

    Source:
        Kirillov et al., "Segment Anything", arXiv 2304.02643, the data engine's automatic stage;
        `calculate_stability_score` of segment-anything.
    """
    if offset <= 0:
        raise ValueError(f"offset is {offset}; it must be above zero")
    scores = np.zeros(len(mask_logits))
    # Mask by mask, so that the comparison's result stays in the cache instead of n h w of memory.
    for i, logits in enumerate(mask_logits):
        loose = np.count_nonzero(logits > threshold - offset)
        if loose:
            scores[i] = np.count_nonzero(logits > threshold + offset) / loose
    return scores


def mask_to_box(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "4"]:
    """Return the smallest half-open XYXY box around a mask; zeros if the mask is empty.

    Example:
        >>> mask_to_box(np.array([[False, False, False], [False, True, True]])).tolist()
        [1, 1, 3, 2]
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return np.zeros(4, np.int64)
    y0, y1 = rows[0], rows[-1] + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    return np.array([columns[0], y0, columns[-1] + 1, y1], np.int64)


def masks_to_boxes(masks: Bool[np.ndarray, "n h w"]) -> Int[np.ndarray, "n 4"]:
    """Return the smallest half-open XYXY box around each mask; zeros where a mask is empty."""
    boxes = np.zeros((len(masks), 4), np.int64)
    for i, mask in enumerate(masks):
        boxes[i] = mask_to_box(mask)
    return boxes


def remove_small_regions(
    mask: Bool[np.ndarray, "h w"], area: int, mode: Literal["holes", "islands"]
) -> tuple[Bool[np.ndarray, "h w"], bool]:
    """Fill a mask's small holes or drop its small islands.

    Pixels that touch at a corner are of one region (8-connectivity). A hole is any region of
    background, also one at the image's edge. If every island is small, the largest one stays.

    Args:
        mask: The mask; it is not changed.
        area: Regions of fewer pixels are removed.
        mode: `holes` or `islands`.

    Returns:
        The new mask, and whether it differs; the very same mask if it does not.

    Raises:
        ValueError: If `mode` is another word.

    Example:
        >>> mask = np.array([[True, False, True, True]])
        >>> remove_small_regions(mask, 2, "islands")[0].tolist()
        [[False, False, True, True]]

    Source:
        `remove_small_regions` of segment-anything.
    """
    if mode not in ("holes", "islands"):
        raise ValueError(f"mode is {mode!r}; it must be 'holes' or 'islands'")
    import cv2

    regions = ~mask if mode == "holes" else mask
    labels = np.empty(mask.shape, np.int32)
    cv2.connectedComponents(regions.astype(np.uint8), labels, connectivity=8)
    # Counting here takes half the time of connectedComponentsWithStats. Label 0 lies outside.
    sizes = np.bincount(labels.ravel())[1:]
    small = sizes < area
    if mode == "islands" and small.all() and len(small):
        small[np.argmax(sizes)] = False
    if not small.any():
        return mask, False
    kept = np.concatenate([[False], ~small]).take(labels)
    return (~kept if mode == "holes" else kept), True


def nms(
    boxes: Real[np.ndarray, "n 4"], scores: Real[np.ndarray, " n"], iou_threshold: float
) -> Int[np.ndarray, " kept"]:
    """Drop every box that overlaps a better one too much (greedy non-maximum suppression).

    Args:
        boxes: Half-open XYXY boxes.
        scores: One per box; higher is better. Of equal scores the lower index is better.
        iou_threshold: A box goes if its IoU with a kept, better one is above this, [0, 1].

    Returns:
        Indices of the kept boxes, best first; empty for no boxes.

    Example:
        >>> boxes = np.array([[0, 0, 4, 2], [0, 0, 4, 3], [8, 8, 9, 9]])
        >>> nms(boxes, np.array([0.5, 0.9, 0.1]), 0.6).tolist()
        [1, 2]
    """
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    ranked = boxes[order].astype(np.float64)
    x0, y0, x1, y1 = np.ascontiguousarray(ranked.T)
    areas = box_area(ranked)
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if not alive[i]:
            continue
        rest = slice(i + 1, None)
        width = np.minimum(x1[rest], x1[i]) - np.maximum(x0[rest], x0[i])
        height = np.minimum(y1[rest], y1[i]) - np.maximum(y0[rest], y0[i])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        union = areas[rest] + areas[i] - shared
        # Divided, not multiplied out: an IoU of exactly the threshold must stay.
        iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        alive[rest] &= iou <= iou_threshold
    kept: Int[np.ndarray, " kept"] = order[alive]
    return kept


def boundary_iou(
    a: Bool[np.ndarray, "h w"], b: Bool[np.ndarray, "h w"], *, share: float = 0.02
) -> float:
    """Measure how well two masks' outlines agree, [0, 1]; 0 if both are empty.

    Only the inner rims of the masks are compared, as thick as a share of the image's diagonal; what
    the middle of a large object adds to plain IoU is left out.

    Args:
        a: A mask.
        b: Another, of the same size.
        share: Thickness of the rims over the diagonal.

    Source:
        Cheng et al., "Boundary IoU", arXiv 2103.16562, section 4.
    """
    pixels = max(1, round(share * float(np.hypot(*a.shape))))
    rim_a, rim_b = _rim(a, pixels), _rim(b, pixels)
    union = np.count_nonzero(rim_a | rim_b)
    return np.count_nonzero(rim_a & rim_b) / union if union else 0.0


def _rim(mask: Bool[np.ndarray, "h w"], pixels: int) -> Bool[np.ndarray, "h w"]:
    """Return the pixels of a mask within a distance of its outline; the image's edge is one."""
    import cv2

    padded = np.pad(mask, 1).astype(np.uint8)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=pixels)[1:-1, 1:-1]
    rim: Bool[np.ndarray, "h w"] = mask & (inner == 0)
    return rim

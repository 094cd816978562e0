import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskmill.geometry import box_iou
from maskmill.masks import (
    boundary_iou,
    mask_to_box,
    masks_to_boxes,
    nms,
    remove_small_regions,
    stability_score,
)

SHAPES = st.tuples(st.integers(1, 13), st.integers(1, 17))
MASKS = SHAPES.flatmap(lambda shape: hnp.arrays(bool, shape))


@st.composite
def scored_boxes(draw):
    """Boxes on a coarse raster with few distinct scores, so that ties and exact IoUs are common."""
    n = draw(st.integers(0, 25))
    corners = draw(hnp.arrays(np.int64, (n, 2), elements=st.integers(0, 6)))
    sides = draw(hnp.arrays(np.int64, (n, 2), elements=st.integers(0, 5)))
    scores = draw(hnp.arrays(np.float32, n, elements=st.sampled_from([0.1, 0.5, 0.5, 0.9])))
    return np.hstack([corners, corners + sides]), scores


def nms_by_definition(boxes, scores, threshold):
    iou, kept = box_iou(boxes, boxes), []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(iou[i, j] <= threshold for j in kept):
            kept.append(i)
    return kept


@given(scored_boxes(), st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]))
def test_nms_keeps_what_its_definition_keeps(case, threshold):
    boxes, scores = case
    assert nms(boxes, scores, threshold).tolist() == nms_by_definition(boxes, scores, threshold)


def test_nms_of_thousands_of_boxes_is_the_definition_too():
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, (280, 210), (1500, 2))
    boxes = np.hstack([corners, corners + rng.uniform(1, (90, 70), (1500, 2))])
    scores = rng.random(1500)
    kept = nms(boxes, scores, 0.5)
    iou = box_iou(boxes, boxes)
    assert 100 < len(kept) < 1400
    assert (np.diff(scores[kept]) < 0).all()
    among_kept = iou[np.ix_(kept, kept)] - np.eye(len(kept))
    assert among_kept.max() <= 0.5
    better = scores[:, None] < scores[None, kept]
    dropped = np.setdiff1d(np.arange(1500), kept)
    assert ((iou[:, kept] > 0.5) & better)[dropped].any(axis=1).all()


def test_nms_keeps_a_box_at_exactly_the_threshold():
    boxes = np.array([[0, 0, 10, 1], [0, 0, 7, 1]])
    assert nms(boxes, np.array([2.0, 1.0]), 0.7).tolist() == [0, 1]
    assert nms(boxes, np.array([2.0, 1.0]), 0.69).tolist() == [0]


def test_nms_of_nothing_is_nothing():
    assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


@pytest.mark.reference
@given(mask=MASKS, area=st.integers(0, 12), mode=st.sampled_from(["holes", "islands"]))
def test_small_regions_go_as_in_the_reference(reference, mask, area, mode):
    before = mask.copy()
    cleaned, changed = remove_small_regions(mask, area, mode)
    expected, _ = reference.utils.amg.remove_small_regions(mask, area, mode)
    assert cleaned.dtype == bool
    assert np.array_equal(cleaned, expected)
    # The reference calls a lone small island changed though it stays; here it means what it says.
    assert changed == (not np.array_equal(cleaned, mask))
    assert np.array_equal(mask, before)


def test_regions_join_at_corners_and_the_largest_small_island_stays():
    mask = np.zeros((4, 9), bool)
    mask[0, 0] = mask[1, 1] = mask[2, 2] = True  # one diagonal island of three pixels
    mask[0, 5:7] = True
    cleaned, changed = remove_small_regions(mask, 100, "islands")
    assert changed
    assert cleaned.sum() == 3
    assert cleaned[2, 2]


def test_an_unknown_mode_is_refused():
    unchecked = inspect.unwrap(remove_small_regions)  # the shape checker would refuse it first
    with pytest.raises(ValueError, match="'holes' or 'islands'"):
        unchecked(np.zeros((2, 3), bool), 1, "specks")


@given(MASKS)
def test_the_box_is_tight_and_half_open(mask):
    x0, y0, x1, y1 = box = mask_to_box(mask).tolist()
    if not mask.any():
        assert box == [0, 0, 0, 0]
        return
    inside = mask[y0:y1, x0:x1]
    assert inside.sum() == mask.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@given(hnp.arrays(bool, st.tuples(st.integers(0, 4), st.integers(1, 7), st.integers(1, 9))))
def test_boxes_of_many_masks_are_the_boxes_of_each(masks):
    boxes = masks_to_boxes(masks)
    assert boxes.shape == (len(masks), 4)
    for mask, box in zip(masks, boxes, strict=True):
        assert mask_to_box(mask).tolist() == box.tolist()


@pytest.mark.reference
def test_stability_is_the_references(reference):
    import torch

    rng = np.random.default_rng(5)
    logits = rng.normal(0.3, 2, (6, 31, 47)).astype(np.float32)
    scores = stability_score(logits, threshold=0.2, offset=0.7)
    expected = reference.utils.amg.calculate_stability_score(torch.from_numpy(logits), 0.2, 0.7)
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-6)


def test_stability_counts_strictly_above_the_cuts_and_has_no_nan():
    logits = np.array([[[1.0, -1.0, 2.0]], [[-9.0, -9.0, -9.0]], [[9.0, 9.0, 9.0]]], np.float32)
    # First mask: 2 > 1 is the tight cut; 1 and 2 > -1 the loose one.
    assert stability_score(logits, offset=1.0).tolist() == [0.5, 0.0, 1.0]


def test_stability_needs_a_distance_between_its_cuts():
    with pytest.raises(ValueError, match="above zero"):
        stability_score(np.zeros((1, 2, 3), np.float32), offset=0.0)


def test_boundary_iou_looks_at_rims_only() -> None:
    size = (100, 200)  # rims of round(0.02 * 223.6) = 4 pixels
    a, b = np.zeros(size, bool), np.zeros(size, bool)
    a[20:60, 30:90] = True
    b[20:60, 32:92] = True
    rim = 40 * 60 - 32 * 52
    rims = [np.zeros(size, bool) for _ in range(2)]
    for mask, out, x in ((a, rims[0], 30), (b, rims[1], 32)):
        out[mask] = True
        out[24:56, x + 4 : x + 56] = False
        assert out.sum() == rim
    expected = (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum()
    assert boundary_iou(a, b) == pytest.approx(expected)
    assert boundary_iou(a, b) < (a & b).sum() / (a | b).sum()
    assert boundary_iou(a, a) == 1
    assert boundary_iou(a, np.zeros(size, bool)) == 0
    assert boundary_iou(np.zeros(size, bool), np.zeros(size, bool)) == 0


def test_the_edge_of_the_image_is_an_outline_too() -> None:
    full, hole = np.ones((50, 50), bool), np.ones((50, 50), bool)
    hole[10:40, 10:40] = False
    # The rim is one pixel thick: all round the image in one, round the hole as well in the other.
    outer, inner = 4 * 49, 32 * 32 - 30 * 30
    assert boundary_iou(full, hole) == pytest.approx(outer / (outer + inner))

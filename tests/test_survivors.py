"""Bounds of overlap hold for every box between two others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maskmill.automask.survivors import last_pixel_iou, overlap_bounds

corner = st.integers(0, 30)
size = st.integers(1, 30)
slack = st.integers(0, 6)


@given(
    known=st.tuples(corner, corner, size, size),
    true=st.tuples(corner, corner, size, size),
    out=st.tuples(slack, slack, slack, slack),
    into=st.tuples(slack, slack, slack, slack),
)
def test_bounds_of_overlap_hold(
    known: tuple[int, ...], true: tuple[int, ...], out: tuple[int, ...], into: tuple[int, ...]
) -> None:
    x, y, w, h = known
    boxes = np.array([[x, y, x + w, y + h]], float)
    x, y, w, h = true
    box = (x, y, x + w, y + h)
    outer = (x - out[0], y - out[1], x + w + out[2], y + h + out[3])
    inner = (x + into[0], y + into[1], x + w - into[2], y + h - into[3])
    if inner[2] <= inner[0] or inner[3] <= inner[1]:
        inner = (x, y, x, y)  # as `box_bounds` says that it met nothing
    least, most = overlap_bounds(boxes, inner, outer)
    exact = last_pixel_iou(boxes, np.array([box], float))[:, 0]
    assert least[0] <= exact[0] + 1e-9
    assert exact[0] <= most[0] + 1e-9


def test_bounds_meet_where_the_box_is_known() -> None:
    boxes = np.array([[0, 0, 11, 21], [40, 40, 50, 50]], float)
    least, most = overlap_bounds(boxes, (5, 0, 16, 21), (5, 0, 16, 21))
    assert least.tolist() == most.tolist() == [5 / 15, 0.0]


def test_no_boxes_have_no_bounds() -> None:
    least, most = overlap_bounds(np.empty((0, 4)), (0, 0, 3, 4), (0, 0, 5, 6))
    assert len(least) == len(most) == 0

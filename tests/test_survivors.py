"""The bound of overlap holds for every box between two others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maskmill.automask.survivors import last_pixel_iou, least_overlap

corner = st.integers(0, 30)
size = st.integers(1, 30)
slack = st.integers(0, 6)
NONE = np.empty((0, 4), int)


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
    other = np.array([x, y, x + w, y + h])
    x, y, w, h = true
    box = (x, y, x + w, y + h)
    outer = (x - out[0], y - out[1], x + w + out[2], y + h + out[3])
    inner = (x + into[0], y + into[1], x + w - into[2], y + h - into[3])
    if inner[2] <= inner[0] or inner[3] <= inner[1]:
        inner = (x, y, x, y)  # as `box_bounds` says that it met nothing
    least = least_overlap(other, np.array([inner]), np.array([outer]))
    exact = last_pixel_iou(other[None].astype(float), np.array([box], float))[:, 0]
    assert least[0] <= exact[0] + 1e-9


def test_the_bound_is_exact_where_the_box_is_known() -> None:
    boxes = np.array([[0, 0, 11, 21], [40, 40, 50, 50]])
    assert least_overlap(np.array([5, 0, 16, 21]), boxes, boxes).tolist() == [5 / 15, 0.0]


def test_no_boxes_have_no_bounds() -> None:
    assert len(least_overlap(np.array([0, 0, 3, 4]), NONE, NONE)) == 0

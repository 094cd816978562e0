"""Label maps: all masks in one pass."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskmill import rle
from maskmill.formats.label_maps import majority, masks_of_map


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9)),
                  elements=st.sampled_from([0, 1, 2, 255, 70_000])))  # fmt: skip
def test_the_masks_are_those_of_each_number(labels: np.ndarray) -> None:
    found = masks_of_map(labels, (0, 255))
    assert list(found) == sorted(set(labels.ravel().tolist()) - {0, 255})
    for number, mask in found.items():
        assert mask == rle.encode(labels == number)


def test_the_class_of_an_object_is_that_of_most_of_its_pixels() -> None:
    classes = np.array([[3, 3, 5], [0, 5, 5]])
    assert majority(classes, rle.encode(np.ones((2, 3), bool))) == 5
    assert majority(classes, rle.encode(np.array([[True, True, True], [False] * 3]))) == 3
    assert majority(classes, rle.encode(np.zeros((2, 3), bool))) == 0

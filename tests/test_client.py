"""The client reads masks without NumPy as the library reads them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from maskmill import rle
from maskmill.client import ask, mask_pixels


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 40))))
def test_masks_are_read_as_they_were(mask: np.ndarray):
    encoded = rle.encode(mask)
    segmentation = {"size": list(encoded.size), "counts": encoded.counts.decode()}
    assert mask_pixels(segmentation) == mask.astype(int).tolist()


def test_a_server_that_is_not_there_is_an_error():
    with pytest.raises(OSError, match="refused"):
        ask("http://127.0.0.1:9", b"image", timeout=5)

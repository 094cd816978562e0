"""Images and their masks must move together, whatever the scale, place and mirror."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskmill.config import TrainConfig
from maskmill.train.augment import (
    Placement,
    draw_placement,
    image_window,
    jitter_colour,
    place,
    place_mask,
)


def square(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A white block on black, off-centre, and its mask."""
    mask = np.zeros(size, bool)
    mask[size[0] // 5 : size[0] // 2, size[1] // 8 : size[1] // 3] = True
    image = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)
    return image, mask


@given(st.integers(0, 2**31), st.sampled_from([(40, 64), (90, 30), (64, 64)]))
def test_mask_stays_on_its_object(seed: int, size: tuple[int, int]) -> None:
    image, mask = square(size)
    placement = draw_placement(size, 48, TrainConfig(), np.random.default_rng(seed))
    pixels, placed = place(image, 48, placement)[..., 0], place_mask(mask, 48, placement)
    np.testing.assert_array_equal(pixels > 127, placed)
    assert not (placed & ~image_window(48, placement)).any()


@given(st.integers(0, 2**31))
def test_some_of_the_image_is_always_in_the_frame(seed: int) -> None:
    config = TrainConfig(scale_jitter=(0.1, 3.0))
    placement = draw_placement((50, 80), 64, config, np.random.default_rng(seed))
    assert image_window(64, placement).any()
    (h, w), (y, x), _ = placement
    # Larger than the frame: it covers it wholly. Smaller: it lies wholly inside.
    for extent, offset in ((h, y), (w, x)):
        assert (offset <= 0 and offset + extent >= 64) or (offset >= 0 and offset + extent <= 64)


def test_mirror_swaps_left_and_right_only() -> None:
    _, mask = square((40, 64))
    plain = place_mask(mask, 64, Placement((40, 64), (0, 0), False))
    mirrored = place_mask(mask, 64, Placement((40, 64), (0, 0), True))
    np.testing.assert_array_equal(plain[:40], mask)
    np.testing.assert_array_equal(mirrored[:40], mask[:, ::-1])


def test_colour_keeps_shape_and_range_and_does_nothing_at_strength_zero() -> None:
    rng = np.random.default_rng(1)  # its first draw keeps the colours
    image = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    np.testing.assert_allclose(jitter_colour(image, 0.0, rng), image, atol=1e-3)
    changed = jitter_colour(image, 0.5, np.random.default_rng(3))
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert np.abs(changed - image).mean() > 1


def test_scale_jitter_covers_its_range() -> None:
    config = TrainConfig(scale_jitter=(0.5, 2.0))
    longest = [
        max(draw_placement((40, 64), 64, config, np.random.default_rng(i)).size) for i in range(300)
    ]
    assert min(longest) == pytest.approx(32, abs=4)
    assert max(longest) == pytest.approx(128, abs=8)

"""Upsampling a patch gives the pixels of upsampling the whole, and bounds that hold."""

import numpy as np
import pytest

from maskmill.automask.candidates import cut_patch
from maskmill.automask.upsampling import Upsampling
from maskmill.config import SettledAutomaskConfig
from maskmill.geometry import low_res_to_original, preprocess_size
from maskmill.masks import mask_to_box, stability_score
from maskmill.values import Embedding

CONFIG = SettledAutomaskConfig(stability_score_thresh=0.0)
SIZES = [(70, 90), (64, 64), (33, 128), (300, 181), (20, 9), (1, 50)]


def embedding(original_size: tuple[int, int], input_side: int = 128) -> Embedding:
    return Embedding(
        array=np.zeros((1, 2, 2), np.float32),
        original_size=original_size,
        input_size=preprocess_size(original_size, input_side),
        input_side=input_side,
        model_id="none",
    )


def blobs(seed: int, side: int = 32) -> np.ndarray:
    """A few smooth bumps, some cut by the frame's edge, some finer than a pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    logits = np.full((side, side), -6.0)
    for _ in range(rng.integers(1, 4)):
        cy, cx, width = *rng.uniform(-2, side, 2), rng.uniform(0.4, 7)
        bump = 14 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2)) - 6
        logits = np.maximum(logits, bump)
    return (logits + rng.normal(0, 0.3, logits.shape)).astype(np.float32)


def whole(logits: np.ndarray, source: Embedding) -> np.ndarray:
    return low_res_to_original(
        logits,
        input_side=source.input_side,
        input_size=source.input_size,
        original_size=source.original_size,
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(6))
def test_a_patch_upsamples_to_the_same_mask_as_the_whole(size: tuple[int, int], seed: int) -> None:
    source, logits = embedding(size), blobs(seed)
    upsampling = Upsampling(source, 32, 0.25)
    expected = whole(logits, source)
    patch = cut_patch(logits, upsampling, CONFIG)
    if patch is None:
        assert not (expected > 0.25).any()
        return
    got = upsampling.full_mask(patch, 1.0)
    mask = np.zeros(size, bool)
    mask[slice(*got.rows), slice(*got.columns)] = got.region
    borderline = np.abs(expected - 0.25) < 1e-4
    assert (mask == (expected > 0.25))[~borderline].all()
    score = stability_score(expected[None], threshold=0.25, offset=1.0)[0]
    assert got.stability_score == pytest.approx(score, abs=1e-3)

    (inner,), (outer,) = upsampling.box_bounds([patch])
    found = upsampling.box(patch)
    assert (found is None) == (not mask.any())
    if mask.any():
        box = mask_to_box(mask)
        assert found == tuple(box)
        assert (outer[:2] <= box[:2]).all()
        assert (outer[2:] >= box[2:]).all()
        if (inner[2:] > inner[:2]).all():
            assert (inner[:2] >= box[:2]).all()
            assert (inner[2:] <= box[2:]).all()


def test_bounds_are_tight_where_a_mask_is_smooth() -> None:
    source = embedding((300, 400))
    y, x = np.mgrid[:32, :32]
    logits = (9 - np.hypot((y - 11.3), (x - 15.8))).astype(np.float32)
    upsampling = Upsampling(source, 32, 0.0)
    patch = cut_patch(logits, upsampling, CONFIG)
    assert patch is not None
    (inner,), (outer,) = upsampling.box_bounds([patch])
    assert np.abs(inner - outer).max() <= 3 * 12.5  # one low-res pixel is 12.5 pixels here
    assert (inner[2:] - inner[:2] > 100).all()


def test_many_boxes_are_bounded_at_once() -> None:
    upsampling = Upsampling(embedding((70, 90)), 32, 0.25)
    patches = [cut_patch(blobs(seed), upsampling, CONFIG) for seed in range(6)]
    some = [patch for patch in patches if patch is not None]
    assert len(some) > 1
    for together, alone in zip(
        upsampling.box_bounds(some), zip(*map(upsampling.box_bounds, zip(some)), strict=True),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(together, np.concatenate(alone))
    assert [len(bounds) for bounds in upsampling.box_bounds([])] == [0, 0]


def test_an_edge_is_found_strips_away_from_where_it_may_begin() -> None:
    # A slope so gentle that the mask ends far within what its low-res pixels are seen by.
    source = embedding((900, 1000))
    logits = np.full((32, 32), -9, np.float32)
    logits[10, 7:20], logits[11, 12] = 0.01, 9
    upsampling = Upsampling(source, 32, 0.0)
    patch = cut_patch(logits, upsampling, CONFIG)
    assert patch is not None
    expected = mask_to_box(whole(logits, source) > 0)
    assert upsampling.box(patch) == tuple(expected)


def test_what_lies_in_the_padding_is_no_mask() -> None:
    source = embedding((64, 128))  # fills the upper half of the frame
    logits = np.full((32, 32), -9, np.float32)
    logits[18:30] = 9
    assert cut_patch(logits, Upsampling(source, 32, 0.0), CONFIG) is None


def test_a_clearly_unstable_mask_is_dropped_and_a_doubtful_one_is_not() -> None:
    upsampling = Upsampling(embedding((128, 128)), 32, 0.0)
    y, x = np.mgrid[:32, :32]
    soft = (8 - np.hypot(y - 16, x - 16)).astype(np.float32)  # IoU of its cuts about 0.6
    config = SettledAutomaskConfig(stability_score_thresh=0.95)
    assert cut_patch(soft, upsampling, config) is None
    assert cut_patch(soft * 7, upsampling, config) is not None

"""Features: small on disk, whole or refused, and right where the answer is known."""

from pathlib import Path

import numpy as np
import pytest
from scribble_scene import scene

from maskmill.errors import ImageError
from maskmill.predict import Predictor
from maskmill.scribble.features import (
    FeatureCache,
    classical,
    differences,
    extract,
    from_bytes,
    grid_size,
    quantise,
    relative,
    to_bytes,
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("tiny", backend="onnx", threads=1)


def test_flat_image_has_no_texture_and_keeps_its_colour():
    responses = classical(np.full((40, 50, 3), 128, np.uint8))
    assert responses.shape == (43, 40, 50)
    colours = np.isin(
        np.arange(43), [0, 1, 2, *(3 + 10 * i + j for i in range(4) for j in range(3))]
    )
    # Rounding of squares to 32 bits is what is left of a contrast of nothing.
    assert np.abs(responses[~colours]).max() < 2e-3
    assert responses[colours].std(axis=(1, 2)).max() < 1e-5


def test_bright_line_has_a_negative_curvature_across_it_at_its_own_scale():
    image = np.zeros((60, 60, 3), np.uint8)
    image[29:32] = 255
    responses = classical(image)
    greater, lesser = responses[3 + 5], responses[3 + 6]  # Hessian at sigma 1
    assert lesser[30, 30] < -0.2
    assert abs(greater[30, 30]) < 0.02


def test_relative_survives_another_exposure():
    image, _ = scene(0)
    dark = (image * 0.5).astype(np.uint8)
    plain, shaded = classical(image)[:1], classical(dark)[:1]
    assert np.abs(plain - shaded).mean() > 0.4
    assert np.abs(relative(plain, plain) - relative(shaded, shaded)).mean() < 0.2


def test_differences_are_nothing_on_a_flat_image():
    responses = classical(np.full((40, 50, 3), 128, np.uint8))
    found = differences(responses, 1.0)
    assert found.shape == (21, 40, 50)
    assert np.abs(found[:15]).max() < 1e-4


def test_a_512_pixel_image_takes_less_than_two_megabytes(predictor: Predictor):
    image, _ = scene(1, (512, 512))
    features = extract(image, predictor.embed(image))
    assert len(to_bytes(features)) < 2_000_000
    assert features.classical.levels.shape == (43, 128, 128)
    assert features.descriptors.levels.shape == (24, 128, 128)
    assert [m.levels.shape for m in features.maps] == [(128, 24, 24), (32, 48, 48), (16, 96, 96)]


def test_padding_of_the_input_frame_is_left_out(predictor: Predictor):
    image, _ = scene(1, (100, 200))
    features = extract(image, predictor.embed(image))
    assert [m.levels.shape[1:] for m in features.maps] == [(12, 24), (24, 48), (48, 96)]
    assert features.spans == ((12, 24), (24, 48), (48, 96))


def test_eight_bits_are_off_by_half_a_step():
    values = np.random.default_rng(0).normal(size=(3, 20, 30)).astype(np.float32)
    kept = quantise(values)
    assert (np.abs(kept.values() - values) <= kept.step[:, None, None] * 0.501).all()


def test_bytes_round_trip_and_damage_is_refused(predictor: Predictor):
    image, _ = scene(2)
    features = extract(image, predictor.embed(image))
    content = to_bytes(features)
    again = from_bytes(content)
    assert again.size == features.size == (200, 260)
    assert again.model_id == predictor.model_id
    assert np.array_equal(again.maps[1].values(), features.maps[1].values())
    assert np.array_equal(again.descriptors.values(), features.descriptors.values())
    for damaged in (b"", content[:5000], content[:-200] + bytes(200)):
        with pytest.raises(ImageError, match="damaged"):
            from_bytes(damaged)


def test_cache_forgets_what_is_damaged(tmp_path: Path):
    image, _ = scene(3)
    cache = FeatureCache(tmp_path / "features")
    assert cache.get("abc", "") is None
    cache.put("abc", extract(image, None))
    found = cache.get("abc", "")
    assert found is not None
    assert found.maps == ()
    cache.path("abc", "").write_bytes(b"cut short")
    assert cache.get("abc", "") is None


def test_grid_is_stride_four_at_512_and_every_pixel_when_small():
    assert grid_size((512, 512)) == (128, 128)
    assert grid_size((30, 128)) == (30, 128)
    assert grid_size((1, 5000)) == (1, 125)

"""Perceptual hashes: alike for what looks alike, whatever the file."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maskmill import perceptual
from maskmill.images import ImageLimits
from maskmill.perceptual import BANDS, near_pairs, perceptual_hash


def picture(seed: int, size: tuple[int, int] = (200, 280)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)


def stored(image: Image.Image, form: str = "PNG", **more: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **more)  # type: ignore[arg-type]
    return file.getvalue()


def hashed(image: Image.Image, form: str = "PNG", **more: object) -> int:
    found = perceptual_hash(stored(image, form, **more))
    assert found is not None
    return found


def apart(a: int, b: int) -> int:
    return ((a ^ b) & (2**64 - 1)).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_the_same_picture_in_other_files_is_near_and_another_is_far(seed: int) -> None:
    one = picture(seed)
    first = hashed(one)
    assert -(2**63) <= first < 2**63
    assert first == hashed(one)
    smaller = one.resize((140, 100), Image.Resampling.LANCZOS)
    for other in (hashed(one, "JPEG", quality=60), hashed(one, "WEBP"), hashed(smaller)):
        assert apart(first, other) <= 8
    assert apart(first, hashed(picture(seed + 50))) > 15


def test_a_turned_file_is_hashed_as_it_is_seen() -> None:
    one = picture(3)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn to the left of how it is seen
    turned = one.transpose(Image.Transpose.ROTATE_90)
    assert apart(hashed(turned, "JPEG", exif=exif, quality=95), hashed(one)) <= 8
    assert apart(hashed(turned), hashed(one)) > 15


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1", "I;16"])
def test_every_kind_of_pixel_has_a_hash(mode: str) -> None:
    image = picture(1).convert("L") if mode == "I;16" else picture(1)
    form = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    assert isinstance(perceptual_hash(stored(image.convert(mode), form)), int)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(255, 400), (256, 256), (301, 517)])
def test_the_short_way_shows_what_the_long_one_does(
    mode: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for options in ({}, {"progressive": True}, {"quality": 30}, {"subsampling": 0}):
        content = stored(picture(9, size).convert(mode), "JPEG", **options)
        quickly = perceptual_hash(content)
        with monkeypatch.context() as patch:
            patch.setattr(perceptual, "_at_an_eighth", lambda *_: None)
            assert perceptual_hash(content) == quickly
    assert quickly is not None
    assert perceptual_hash(content[:-50]) is None
    assert perceptual_hash(content, ImageLimits(max_pixels=1000)) is None


def test_what_is_no_image_or_too_large_has_none() -> None:
    assert perceptual_hash(b"") is None
    assert perceptual_hash(b"<svg/>") is None
    assert perceptual_hash(stored(picture(1))[:300]) is None
    assert perceptual_hash(stored(picture(1)), ImageLimits(max_pixels=1000)) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, BANDS - 1))
def test_near_pairs_are_those_of_comparing_all(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    stock = rng.integers(-(2**63), 2**63, 6).tolist()
    hashes = []
    for value in rng.choice(stock, 25).tolist():
        for bit in rng.integers(0, 64, rng.integers(0, 4)).tolist():
            value ^= 1 << bit if bit < 63 else -(2**63)
        hashes.append(value)
    unlike = list(dict.fromkeys(hashes))
    expected = {
        (i, j)
        for i in range(len(unlike))
        for j in range(i + 1, len(unlike))
        if apart(unlike[i], unlike[j]) <= bits
    }
    assert set(near_pairs(unlike, bits)) == expected
    found = list(near_pairs(hashes, bits))
    assert len(found) == len(set(found)) == len(expected) + len(hashes) - len(unlike)
    assert all(apart(hashes[i], hashes[j]) <= bits for i, j in found)


def test_more_bits_than_bands_can_find_are_refused() -> None:
    with pytest.raises(ValueError, match="bits is 4; it must be from 0 to 3"):
        next(near_pairs([1, 2], 4))
    assert list(near_pairs([])) == []

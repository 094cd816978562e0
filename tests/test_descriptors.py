"""Descriptors: what a mask covers, told the same wherever it lies."""

import numpy as np
import pytest

from maskmill import rle
from maskmill.descriptors import OUTER, SHAPE, describe, descriptor_size
from maskmill.predict import Predictor

SIDE = 96


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("tiny", threads=1)


def square(x: int, y: int, width: int = 20, height: int = 20) -> rle.Rle:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y : y + height, x : x + width] = True
    return rle.encode(mask)


def scene() -> np.ndarray:
    image = np.full((SIDE, SIDE, 3), 60, np.uint8)
    image[10:30, 10:30] = (200, 40, 40)
    image[10:30, 60:80] = (40, 40, 200)
    return image


def test_looks_and_shape_are_said(predictor: Predictor) -> None:
    image = scene()
    embedding = predictor.embed(image)
    red, blue, ground = describe(image, embedding, [square(10, 10), square(60, 10), square(30, 60)])
    assert len(red) == descriptor_size(embedding)
    looks = slice(-OUTER - SHAPE, -SHAPE)
    assert red[looks][2] - blue[looks][2] > 20, "b*: red against blue"
    assert np.abs(red[looks][3:6]).max() == 0, "one colour within"
    assert np.allclose(ground[looks][:3], ground[looks][6:9]), "the ground lies in the ground"
    assert not np.allclose(red[looks][:3], red[looks][6:9])
    long = describe(image, embedding, [square(10, 40, 40, 10)])[0]
    assert long[-1] == pytest.approx(np.log(4))
    middle = 20 / SIDE
    expected = [middle, middle, np.log(20 / SIDE), 1.0, 0.0]
    assert red[-SHAPE:].tolist() == pytest.approx(expected, abs=1e-5)


def test_maps_are_those_under_the_mask(predictor: Predictor) -> None:
    image = scene()
    embedding = predictor.embed(image)
    channels = len(embedding.array)
    rows = describe(
        image, embedding, [square(60, 10), square(5, 70, 12, 12), square(75, 70, 12, 12)]
    )
    blue, one, other = rows[:, :channels]
    assert np.linalg.norm(one - other) < np.linalg.norm(one - blue)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1)])
def test_thin_and_tiny_masks_are_described(predictor: Predictor, size: tuple[int, int]) -> None:
    image = scene()
    (row,) = describe(image, predictor.embed(image), [square(3, 3, *size)])
    assert np.isfinite(row).all()
    assert row.any()


def test_an_empty_mask_is_all_zeros(predictor: Predictor) -> None:
    image = scene()
    embedding = predictor.embed(image)
    rows = describe(image, embedding, [rle.encode(np.zeros((SIDE, SIDE), bool))])
    assert rows.shape == (1, descriptor_size(embedding))
    assert not rows.any()
    assert describe(image, embedding, []).shape == (0, descriptor_size(embedding))

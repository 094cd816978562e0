"""The promptable model draws regions again where it agrees, and takes nothing from a neighbour."""

import cv2
import numpy as np

from maskmill.predict import Predictor
from maskmill.scribble.refining import refine


def test_a_ragged_region_becomes_the_object_and_numbers_stay():
    predictor = Predictor.load("tiny", backend="onnx", threads=1)
    image = np.full((200, 260, 3), (60, 90, 60), np.uint8)
    truth = cv2.circle(np.zeros((200, 260), np.uint8), (120, 100), 50, 1, -1) > 0
    image[truth] = (210, 190, 160)
    ragged = truth.copy()
    ragged[::6, 60:110] = False
    regions = np.where(ragged, 7, 0).astype(np.int32)
    refined, drawn = refine(predictor, predictor.embed(image), regions)
    assert drawn == 1
    assert set(np.unique(refined)) == {0, 7}

    def iou(mask: np.ndarray) -> float:
        return float((mask & truth).sum() / (mask | truth).sum())

    assert iou(refined == 7) > max(iou(ragged), 0.93)


def test_a_region_that_is_no_object_stays_and_nothing_makes_nothing():
    predictor = Predictor.load("tiny", backend="onnx", threads=1)
    image = np.random.default_rng(0).integers(0, 255, (120, 120, 3), dtype=np.uint8)
    embedding = predictor.embed(image)
    regions = np.zeros((120, 120), np.int32)
    assert refine(predictor, embedding, regions)[1] == 0
    regions[::12] = 1  # stripes all over are not what any box means
    refined, drawn = refine(predictor, embedding, regions)
    assert drawn == 0
    assert np.array_equal(refined, regions)

"""What passes at low resolution, and what is never drawn."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from maskmill.automask.candidates import find_candidates
from maskmill.automask.decoding import point_decoder
from maskmill.automask.upsampling import Upsampling
from maskmill.config import TINY, SettledAutomaskConfig
from maskmill.predict import Predictor
from maskmill.values import Embedding

LOW = TINY.low_res_side
EMBEDDING = Embedding(
    array=np.zeros((1, 2, 2), np.float32),
    original_size=(90, 180),
    input_size=(192, 384),
    input_side=384,
    model_id="none",
)
GRID = np.stack(np.meshgrid([30.0, 90.0, 150.0], [15.0, 45.0, 75.0]), -1).reshape(-1, 2)


class Sloped:
    """A backend whose k-th candidate of the i-th point promises an IoU of 0.5 + 0.05 i - 0.1 k.

    Once drawn, it is worth so much less, or as much.
    """

    most_at_once = 5

    def __init__(self, less: float = 0.0) -> None:
        self.less = np.float32(less)
        self.asked: list[int] = []
        self.drawn: list[int] = []

    def encode(self, image: np.ndarray) -> Any:
        raise NotImplementedError

    def decode(self, *arguments: Any) -> Any:
        raise NotImplementedError

    def point_decoder(self, embedding: np.ndarray, high_res: Any) -> "Sloped":
        return self

    def attend(self, points: np.ndarray) -> Any:
        scaled = GRID * (384 / 180)
        index = np.abs(scaled[None] - points[:, None]).sum(-1).argmin(1)
        self.asked += index.tolist()
        promise = (0.5 + 0.05 * index[:, None] - 0.1 * np.arange(3)).astype(np.float32)
        return (index, promise), promise

    def draw(self, seen: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index, promise = seen
        self.drawn += index[rows].tolist()
        logits = np.full((len(rows), 3, LOW, LOW), -9, np.float32)
        logits[:, :, 10:30, 20:50] = 9
        return logits, promise[rows] - self.less

    def threads(self) -> Any:
        return nullcontext()


def found(
    threshold: float, *, less: float = 0.0, **settings: Any
) -> tuple[Sloped, list[tuple[int, float]]]:
    backend = Sloped(less)
    predictor = Predictor(backend, TINY, model_id="none", backend_name="none")
    config = SettledAutomaskConfig(
        points_per_side=3, pred_iou_thresh=threshold, points_per_batch=2, **settings
    )
    candidates = find_candidates(
        point_decoder(predictor, EMBEDDING),
        EMBEDDING,
        GRID,
        Upsampling(EMBEDDING, LOW, 0.0),
        config,
    )
    return backend, [(c.point, round(c.predicted_iou, 3)) for c in candidates]


def test_only_points_with_a_mask_that_passes_are_drawn() -> None:
    backend, candidates = found(0.78)
    assert backend.asked == list(range(9))
    assert backend.drawn == [6, 7, 8]
    assert candidates == [(6, 0.8), (7, 0.85), (8, 0.9), (8, 0.8)]


def test_what_promised_much_and_is_worth_little_is_dropped_once_drawn() -> None:
    backend, candidates = found(0.78, less=0.06)
    assert backend.drawn == [6, 7, 8]
    assert candidates == [(7, 0.79), (8, 0.84)]


def test_predicted_iou_equal_to_its_threshold_does_not_pass() -> None:
    exactly = float(np.float32(0.5) + np.float32(0.05 * 8))
    assert found(exactly)[1] == []
    assert len(found(float(np.nextafter(np.float32(exactly), np.float32(0))))[1]) == 1


@pytest.mark.parametrize("threshold", [0.0, -1.0])
def test_a_threshold_of_nothing_drops_nothing(threshold: float) -> None:
    assert len(found(threshold)[1]) == 27


def test_the_fast_mode_gives_the_order_of_the_grid_all_the_same() -> None:
    backend, candidates = found(0.6, fast=True)
    assert backend.asked != sorted(backend.asked)
    assert [point for point, _ in candidates] == sorted(point for point, _ in candidates)

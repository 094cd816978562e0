"""A backend that knows the true masks: what it answers is decided by the test, not by weights.

It stands below the real `Predictor`, so that frames, batches and mask inputs are the real ones. The
scene is 64 x 96 pixels, which `tiny`'s low-res frame holds pixel for pixel.
"""

from collections.abc import Callable

import numpy as np

from maskmill.config import TINY
from maskmill.predict import Predictor

SIZE = (64, 96)
SCALE = TINY.input_side // SIZE[1]

Answer = Callable[[np.ndarray, int], np.ndarray]
"""(true mask, number of clicks; 0 for a box) -> the mask to answer."""


class Oracle:
    """Answers every prompt with what `answer` makes of the object under its first point or box."""

    def __init__(self, targets: list[np.ndarray], answer: Answer) -> None:
        self.targets = targets
        self.answer = answer
        self.best_candidate = 1
        self.calls: list[tuple[np.ndarray, np.ndarray, np.ndarray | None, bool]] = []

    def encode(self, image):  # type: ignore[no-untyped-def]
        return np.zeros((1, 128, 24, 24), np.float32), ()

    def decode(self, embedding, high_res, point_coords, point_labels, mask_input, multimask_output):  # type: ignore[no-untyped-def]
        self.calls.append((point_coords, point_labels, mask_input, multimask_output))
        k = 3 if multimask_output else 1
        logits = np.full((len(point_coords), k, 96, 96), -10, np.float32)
        iou = np.tile(np.linspace(0.1, 0.3, k, dtype=np.float32), (len(point_coords), 1))
        for i, (points, labels) in enumerate(zip(point_coords / SCALE, point_labels, strict=True)):
            mask = self.answer(
                self.target_under(points, labels), int(np.isin(labels, (0, 1)).sum())
            )
            best = self.best_candidate if k == 3 else 0
            logits[i, best, : SIZE[0], : SIZE[1]][mask] = 10
            iou[i, best] = 0.9
        return logits, iou

    def target_under(self, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        x, y = points[0].astype(int)
        if labels[0] == 2:  # a box; its centre tells whose
            x, y = points[:2].mean(axis=0).astype(int)
        for target in self.targets:
            if target[y, x]:
                return target
        return np.zeros(SIZE, bool)

    def predictor(self) -> Predictor:
        return Predictor(self, TINY, model_id="oracle", backend_name="oracle")


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def perfect(target: np.ndarray, clicks: int) -> np.ndarray:
    return target


def nothing(target: np.ndarray, clicks: int) -> np.ndarray:
    return np.zeros_like(target)

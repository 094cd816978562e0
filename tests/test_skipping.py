"""The fast mode's order covers the grid, and only sure and small masks answer for points."""

import numpy as np
import pytest

from maskmill.automask import skipping
from maskmill.automask.skipping import Covered, coarse_to_fine
from maskmill.automask.upsampling import Patch
from maskmill.config import SettledAutomaskConfig
from maskmill.values import Embedding


@pytest.mark.parametrize("side", [1, 2, 3, 7, 32])
def test_the_order_holds_every_point_once(side: int) -> None:
    parts = coarse_to_fine(side * side)
    assert sorted(np.concatenate(parts).tolist()) == list(range(side * side))


def patch(box: tuple[int, int, int, int], stability_score: float = 0.99) -> Patch:
    y0, y1, x0, x1 = box
    return Patch(
        logits=np.ones((y1 - y0, x1 - x0), np.float32),
        corner=(y0, x0),
        tight=box,
        mask=np.ones((y1 - y0, x1 - x0), bool),
        mask_extent=box,
        solid_extent=box,
        stability_score=stability_score,
    )


def test_points_in_sure_small_masks_are_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skipping, "LARGEST_SHARE", 0.05)
    monkeypatch.setattr(skipping, "ENOUGH", 2)
    # 200 x 100 pixels, 64 x 32 in the input frame, 16 x 8 in the low-res frame.
    source = Embedding(
        array=np.zeros((1, 2, 2), np.float32),
        original_size=(100, 200),
        input_size=(32, 64),
        input_side=64,
        model_id="none",
    )
    covered = Covered(source, 16)
    small, large = patch((2, 4, 5, 8)), patch((0, 8, 12, 16))
    unstable = patch((6, 8, 0, 2), stability_score=0.94)
    points = np.array([[70.0, 30.0], [70.0, 60.0], [10.0, 80.0], [180.0, 50.0], [199.9, 99.9]])
    for expected in ([False] * 5, [True] + [False] * 4):
        for patches in ([small, patch((0, 5, 3, 9))], [unstable], [large]):
            covered.add(patches, SettledAutomaskConfig(stability_score_thresh=0.95))
        assert covered.at(points).tolist() == expected

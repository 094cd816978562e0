"""Average recall: hand-computed, against COCO's own evaluation, and from everything mode."""

import contextlib
import io

import numpy as np
import pytest
from clicking_oracle import SIZE, Oracle, block, nothing, perfect
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskmill import rle
from maskmill.config import AutomaskConfig
from maskmill.train.recall import average_recall, loosened, mean_recall


@pytest.mark.parametrize(
    ("iou", "expected"),
    [
        ([[1.0]], 1.0),
        ([[0.5]], 0.1),  # reaches the first of ten thresholds, and exactly counts
        ([[0.49]], 0.0),
        ([[0.75, 0.0]], 0.3),  # six of ten thresholds, one of two objects
        ([[0.95, 0.94], [0.94, 0.0]], 0.5),  # one mask finds one object only
        ([[0.95, 0.6], [0.6, 0.95]], 1.0),
    ],
)
def test_recall_by_hand(iou: list[list[float]], expected: float) -> None:
    assert mean_recall(np.array(iou)) == pytest.approx(expected)


def test_nothing_found_is_no_recall() -> None:
    assert mean_recall(np.zeros((0, 3))) == 0


def random_block(rng: np.random.Generator) -> np.ndarray:
    top, left = rng.integers(0, 30), rng.integers(0, 50)
    return block(top, left, rng.integers(5, 30), rng.integers(5, 40))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pycocotools
@pytest.mark.parametrize("seed", range(3))
def test_matching_is_cocos(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labelled = [rle.encode(random_block(rng)) for _ in range(12)]
    found = [rle.encode(random_block(rng)) for _ in range(150)]
    annotations = [
        {"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": rle.area(mask),
         "segmentation": mask.to_json(), "bbox": [0, 0, 1, 1]}
        for i, mask in enumerate(labelled)
    ]  # fmt: skip
    results = [
        {"image_id": 1, "category_id": 1, "score": 1 - i / 1000, "segmentation": mask.to_json()}
        for i, mask in enumerate(found)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": 1, "height": SIZE[0], "width": SIZE[1]}], "info": {},
            "categories": [{"id": 1, "name": "object"}], "annotations": annotations,
        }  # fmt: skip
        coco.createIndex()
        theirs = COCOeval(coco, coco.loadRes(results), "segm")
        theirs.params.maxDets = [10, 100, 1000]
        theirs.params.useCats = 0
        theirs.evaluate()
        theirs.accumulate()
    iou = rle.iou(found, labelled)
    for m, budget in enumerate((10, 100, 1000)):
        expected = theirs.eval["recall"][:, 0, 0, m].mean()
        assert mean_recall(iou[:budget]) == pytest.approx(expected)
    assert 0 < expected < 1


def test_everything_mode_finds_what_the_grid_hits() -> None:
    targets = [block(4, 6, 20, 30), block(34, 50, 20, 30), block(60, 90, 1, 1)]
    masks = [rle.encode(target) for target in targets]
    image = np.zeros((*SIZE, 3), np.uint8)
    config = loosened(AutomaskConfig(points_per_side=4))
    # The grid of 4 x 4 points misses the single pixel.
    found = average_recall(Oracle(targets, perfect).predictor(), image, masks, config)
    assert found == {100: pytest.approx(2 / 3), 1000: pytest.approx(2 / 3)}
    missed = average_recall(Oracle(targets, nothing).predictor(), image, masks, config)
    assert missed == {100: 0, 1000: 0}

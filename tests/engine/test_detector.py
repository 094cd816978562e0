"""The box detector: what it is taught, that it learns, and what it does with what it learned."""

from pathlib import Path

import numpy as np
import pytest
import torch
from faint_cells import faint_cells

from maskmill import rle
from maskmill.engine.detecting import write_detector
from maskmill.engine.detector import Boxes, Detector, boxes_of, detect
from maskmill.errors import CheckpointError, DatasetError, NotFound
from maskmill.formats import LabelledImage, read_pixels
from maskmill.geometry import box_iou
from maskmill.model.box_head import BoxHead
from maskmill.predict import Predictor
from maskmill.train.detector import (
    DetectorConfig,
    detector_loss,
    make_targets,
    random_view,
    train_detector,
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("tiny", threads=1)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledImage]:
    folder = tmp_path_factory.mktemp("cells")
    return [faint_cells(folder, f"{i:02d}", i) for i in range(10)]


@pytest.fixture(scope="module")
def trained(
    predictor: Predictor, images: list[LabelledImage], tmp_path_factory: pytest.TempPathFactory
) -> Detector:
    config = DetectorConfig(steps=60, batch_images=3, views=2, learning_rate=1e-2)
    head = train_detector(predictor, images[:8], config)
    out = tmp_path_factory.mktemp("detectors") / "tiny"
    card = {"model": predictor.model_id, "round": 1}
    return Detector(write_detector(head, predictor, out, card))


def test_it_finds_objects_that_it_was_not_shown(
    trained: Detector, predictor: Predictor, images: list[LabelledImage]
) -> None:
    found = []
    for image in images[8:]:
        boxes = trained.boxes(predictor.embed(read_pixels(image)))
        truths = np.array([rle.box(m.rle) for m in image.annotations], float)
        best = boxes.boxes[:4].astype(float)
        assert (np.diff(boxes.scores) <= 0).all(), "the likeliest come first"
        found += box_iou(truths, best).max(1).tolist() if len(best) else [0.0] * len(truths)
    assert np.mean(np.array(found) > 0.5) > 0.7, found


def test_the_decoder_makes_one_mask_of_each_object(
    trained: Detector, predictor: Predictor, images: list[LabelledImage]
) -> None:
    embedding = predictor.embed(read_pixels(images[8]))
    boxes = trained.boxes(embedding)
    twice = Boxes(np.repeat(boxes.boxes, 2, 0), np.repeat(boxes.scores, 2))
    found = detect(predictor, embedding, twice)
    assert 0 < len(found) <= len(boxes.boxes)
    for one in found:
        mask = rle.decode(one.mask.rle)
        assert one.mask.area == mask.sum() > 0
        assert tuple(rle.box(one.mask.rle)) == one.mask.box
        assert 0 <= one.mask.stability_score <= 1
        assert 0 <= one.agreement <= 1
    scores = [one.box_score * one.mask.predicted_iou for one in found]
    assert scores == sorted(scores, reverse=True)


def test_an_embedding_of_another_model_is_refused(trained: Detector, predictor: Predictor) -> None:
    from dataclasses import replace

    embedding = predictor.embed(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(ValueError, match="embed the image with that model"):
        trained.boxes(replace(embedding, model_id="other-123"))


def test_what_is_missing_or_damaged_is_said(trained: Detector, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="a round trains one"):
        Detector(tmp_path)
    (tmp_path / "detector.json").write_text("{", "utf-8")
    with pytest.raises(CheckpointError, match="damaged"):
        Detector(tmp_path)
    (tmp_path / "detector.json").write_bytes((trained.folder / "detector.json").read_bytes())
    (tmp_path / "detector.onnx").write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match="not a usable ONNX file"):
        Detector(tmp_path)


def test_targets_lie_where_the_boxes_do() -> None:
    boxes = np.array([[8, 4, 24, 12], [40, 20, 60, 50]], np.float32)
    heat, sides, weight = make_targets(boxes, (16, 24), 4)
    assert heat.max() == 1.0
    assert (heat[2, 4], heat[8, 12]) == (1.0, 1.0)
    assert heat[15, 0] < 0.01
    # The cell at row 2, column 4 has its middle at (18, 10): 10 from the left, 6 from the top.
    assert sides[:, 2, 4].tolist() == [10, 6, 6, 2]
    assert weight[2, 4] > 0
    assert weight[15, 0] == 0
    assert weight.sum() == pytest.approx(2), "each box counts alike"


def test_a_head_that_is_right_loses_less() -> None:
    boxes = [np.array([[8, 4, 24, 12]], np.float32)]
    heat, sides, _ = make_targets(boxes[0], (16, 24), 4)

    class Says(BoxHead):
        def __init__(self, at: int) -> None:
            super().__init__((4, 4, 4))
            self.at = at

        def forward(
            self, embedding: torch.Tensor, *finer: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            moved = np.roll(heat, self.at, 1).clip(1e-3, 1 - 1e-3)
            logits = torch.from_numpy(np.log(moved / (1 - moved)))[None, None]
            return logits, torch.from_numpy(sides)[None] * (1 + self.at)

    maps = [torch.zeros(1, 4, 4, 6)]
    assert detector_loss(Says(0), maps, boxes, 1.0) < detector_loss(Says(5), maps, boxes, 1.0)


def test_boxes_move_with_their_view() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:20, 30:45] = 255
    boxes = np.array([[30, 10, 45, 20]], np.float32)
    shown = 0
    for seed in range(20):
        cut, moved = random_view(pixels, boxes, np.random.default_rng(seed))
        for x0, y0, x1, y1 in moved.astype(int):
            assert (cut[y0:y1, x0:x1] == 255).all(), seed
            shown += 1
        assert (cut == 255).any(-1).sum() == sum(
            (x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in moved.astype(int)
        ) or not len(moved)
    assert shown > 5


def test_boxes_are_said_in_pixels_of_the_image(predictor: Predictor) -> None:
    embedding = predictor.embed(np.zeros((192, 96, 3), np.uint8))  # twice as large in the frame
    logits = np.full((96, 96), -10.0)
    logits[10, 20] = 5.0
    reach = np.full((4, 96, 96), 8.0)
    found = boxes_of(logits, reach, embedding, 4)
    assert found.boxes.tolist() == [[37.0, 17.0, 45.0, 25.0]]
    assert found.scores[0] > 0.99


def test_nothing_to_learn_from_is_refused(predictor: Predictor) -> None:
    with pytest.raises(DatasetError, match="label some"):
        train_detector(predictor, [])

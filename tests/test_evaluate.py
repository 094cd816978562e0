"""Evaluation from a folder to numbers: which images and masks count, faults, and processes."""

import json
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np
import pytest
from clicking_oracle import SIZE, Answer, Oracle, block, nothing, perfect
from PIL import Image

from maskmill import rle
from maskmill.config import EvaluateConfig
from maskmill.errors import DatasetError
from maskmill.train import evaluate as module
from maskmill.train.evaluate import (
    counted_masks,
    evaluate,
    evaluate_in_processes,
    evaluation_images,
)

TARGETS = [block(4, 6, 20, 30), block(34, 50, 20, 30), block(40, 4, 12, 14)]
WITHOUT_EVERYTHING = EvaluateConfig(everything_images=0)


def write_dataset(root: Path, images: dict[str, list[np.ndarray]], **extra: object) -> Path:
    """Write one image per name `source/id`, with these masks."""
    for name, masks in images.items():
        path = root / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE[::-1]).save(path)
        info = {"image_id": path.stem, "file_name": path.name, "width": 96, "height": 64} | extra
        annotations = [
            {"id": i, "segmentation": rle.encode(mask).to_json()} for i, mask in enumerate(masks)
        ]
        path.with_suffix(".json").write_text(
            json.dumps({"image": info, "annotations": annotations})
        )
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path, {"a/0": TARGETS[:1], "a/1": TARGETS[1:], "b/2": TARGETS})


def oracle(answer: Answer) -> Oracle:
    return Oracle(TARGETS, answer)


def test_a_perfect_and_a_useless_model(folder: Path) -> None:
    config = EvaluateConfig(points_per_side=6)
    images = evaluation_images(folder, config).images
    best = evaluate(oracle(perfect).predictor(), images, config).overall
    assert set(best.iou_at_click.values()) == {1.0}
    assert (best.best_of_three, best.iou_from_box) == (1, 1)
    assert set(best.clicks_to.values()) == {1.0}
    assert best.average_recall == {"100": 1, "1000": 1}
    assert (best.images, best.masks, best.average_recall_images) == (3, 6, 3)
    worst = evaluate(oracle(nothing).predictor(), images, config).overall
    assert set(worst.iou_at_click.values()) == {0.0}
    assert set(worst.clicks_to.values()) == {20.0}
    assert worst.average_recall == {"100": 0, "1000": 0}
    assert worst.iou_rank_correlation is None


def test_predicted_iou_that_ranks_well_correlates(folder: Path) -> None:
    images = evaluation_images(folder, WITHOUT_EVERYTHING).images
    scores = evaluate(oracle(perfect).predictor(), images, WITHOUT_EVERYTHING).overall
    # Two of three candidates are empty and tie in truth only, so it stays below 1.
    assert scores.iou_rank_correlation == pytest.approx(0.866, abs=0.01)


def test_crowds_and_masks_too_large_or_too_small_do_not_count(tmp_path: Path) -> None:
    almost_all = np.ones(SIZE, bool)
    almost_all[:, :4] = False  # 95.8 %
    just_below = np.ones(SIZE, bool)
    just_below[:, :5] = False  # 94.8 %
    write_dataset(tmp_path, {"a/0": [almost_all, just_below, block(1, 2, 2, 3), TARGETS[0]]})
    (image,) = evaluation_images(tmp_path, EvaluateConfig())
    masks = [mask.rle for mask in image.annotations]
    assert counted_masks(image, EvaluateConfig()) == masks[1:]
    assert counted_masks(image, EvaluateConfig(min_mask_share=0.002)) == [masks[1], masks[3]]
    path = tmp_path / "a" / "0.json"
    record = json.loads(path.read_text())
    record["annotations"][3]["iscrowd"] = 1
    path.write_text(json.dumps(record))
    (image,) = evaluation_images(tmp_path, EvaluateConfig())
    assert counted_masks(image, EvaluateConfig()) == masks[1:3]


def test_split_sources_and_limit_choose_images(tmp_path: Path) -> None:
    write_dataset(tmp_path, {f"a/{i}": TARGETS for i in range(6)}, split="val")
    write_dataset(tmp_path, {"b/6": TARGETS}, split="val")
    write_dataset(tmp_path, {"b/7": TARGETS}, split="train")
    write_dataset(tmp_path, {"b/8": [np.ones(SIZE, bool)]}, split="val")

    def ids(**settings: object) -> list[str]:
        config = EvaluateConfig(**settings)  # type: ignore[arg-type]
        return [image.image_id for image in evaluation_images(tmp_path, config)]

    assert ids(split="val") == ["0", "1", "2", "3", "4", "5", "6"]
    assert ids(split="train") == ["7"]
    assert ids(sources=("b",)) == ["6", "7"]
    # Image 8 holds nothing that counts, so it takes no place in the sample.
    assert ids(limit=4) == ["1", "4", "6", "7"]
    with pytest.raises(DatasetError, match=r"no mask between 0\.99"):
        ids(min_mask_share=0.99, max_mask_share=0.995)


def test_a_bad_photograph_is_reported_and_the_rest_measured(folder: Path) -> None:
    images = evaluation_images(folder, WITHOUT_EVERYTHING).images
    # After they were read, for reading refuses a photograph of another size itself.
    (folder / "a" / "0.jpg").write_bytes(b"not an image")
    Image.new("RGB", (96, 65)).save(folder / "a" / "1.jpg")
    ticks: list[int] = []
    evaluation = evaluate(
        oracle(perfect).predictor(), images, WITHOUT_EVERYTHING, on_image=lambda: ticks.append(1)
    )
    assert [refused.path.name for refused in evaluation.refused] == ["0.jpg", "1.jpg"]
    assert "96x65" in evaluation.refused[1].reason
    assert list(evaluation.sources) == ["b"]
    assert len(ticks) == 3
    with pytest.raises(DatasetError, match="no image could be measured, 2 were refused"):
        evaluate(oracle(perfect).predictor(), images[:2], WITHOUT_EVERYTHING)


def test_numbers_do_not_depend_on_the_order_of_images(folder: Path) -> None:
    def uneven(target: np.ndarray, clicks: int) -> np.ndarray:
        mask = target.copy()
        mask[:, : 12 - 2 * clicks if clicks else 8] = False
        return mask

    images = evaluation_images(folder, WITHOUT_EVERYTHING).images
    forward = evaluate(oracle(uneven).predictor(), images, WITHOUT_EVERYTHING).to_json()
    backward = evaluate(oracle(uneven).predictor(), images[::-1], WITHOUT_EVERYTHING).to_json()
    assert forward == backward
    assert forward["iou_at_click"]["1"] < forward["iou_at_click"]["3"] < 1


def test_everything_mode_can_be_limited_and_says_so(folder: Path) -> None:
    images = evaluation_images(folder, EvaluateConfig()).images
    one = EvaluateConfig(everything_images=1, points_per_side=6)
    scores = evaluate(oracle(perfect).predictor(), images, one).overall
    assert (scores.average_recall_images, scores.images) == (1, 3)
    assert scores.average_recall["100"] == 1


class InThisProcess(Executor):
    """Stands in for the process pool: same calls, arguments pickled, nothing spawned."""

    def __init__(self, workers, context, initializer, initargs) -> None:  # type: ignore[no-untyped-def]
        assert context.get_start_method() == "spawn"
        initializer(*initargs)

    def submit(self, work, /, *arguments, **named) -> Future:  # type: ignore[no-untyped-def, type-arg]
        import pickle

        work, arguments = pickle.loads(pickle.dumps((work, arguments)))
        future: Future[object] = Future()
        future.set_result(pickle.loads(pickle.dumps(work(*arguments, **named))))
        return future


def test_processes_give_the_same_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = oracle(perfect).predictor()
    monkeypatch.setattr(module, "ProcessPoolExecutor", InThisProcess)
    monkeypatch.setattr(module.Predictor, "load", lambda *_, **__: predictor)
    images = evaluation_images(folder, WITHOUT_EVERYTHING).images
    here = evaluate(predictor, images, WITHOUT_EVERYTHING)
    there = evaluate_in_processes("tiny", images, WITHOUT_EVERYTHING, workers=2)
    assert there.to_json() == here.to_json()

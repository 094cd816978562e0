"""A classifier is judged by what it has not seen, and what it takes for what is counted right."""

import numpy as np
import pytest
from scribble_scene import CATEGORIES, scene, strokes

from maskmill import rle
from maskmill.predict import Predictor
from maskmill.scribble.checking import Confusion, confuse, leave_out, truth_of
from maskmill.scribble.features import Features, extract
from maskmill.scribble.strokes import UNLABELLED, draw


@pytest.fixture(scope="module")
def features() -> dict[str, Features]:
    predictor = Predictor.load("tiny", backend="onnx", threads=1)
    scenes = {str(seed): scene(seed)[0] for seed in range(3)}
    return {name: extract(image, predictor.embed(image)) for name, image in scenes.items()}


def drawn_on(*seeds: int, without: str | None = None) -> dict[str, np.ndarray]:
    found = {}
    for seed in seeds:
        labels = scene(seed)[1]
        kept = [s for s in strokes(str(seed), labels) if s.category != without]
        found[str(seed)] = draw(kept, CATEGORIES, labels.shape)
    return found


def test_confusion_counts_what_was_taken_for_what() -> None:
    truth = np.array([0, 0, 1, 1, 1, UNLABELLED])
    found = np.array([0, 1, 1, 1, 255, 0])
    told = confuse(truth, found, ("ground", "leaf"))
    assert told.counts.tolist() == [[1, 1, 0], [0, 2, 1]]
    assert told.iou(0) == pytest.approx(1 / 2)
    assert told.iou(1) == pytest.approx(2 / 4), "what was not found at all is missed"


def test_background_and_absent_categories_are_not_in_the_mean() -> None:
    counts = np.array([[50, 0, 0, 0], [5, 5, 0, 0], [0, 0, 0, 0]])
    told = Confusion(categories=("background", "leaf", "stem"), counts=counts)
    assert told.iou(2) is None
    assert told.mean_iou() == pytest.approx(0.5)
    counts[0, 2] = 9
    strange = Confusion(categories=told.categories, counts=counts)
    assert strange.shown() == (1,)
    assert strange.mean_iou() == pytest.approx(0.5), "no stem is labelled, so none is judged"
    assert strange.mean_iou((1, 2)) == pytest.approx(0.25), "it is labelled elsewhere: it is wrong"
    empty = Confusion(categories=("background",), counts=np.zeros((1, 2), np.int64))
    assert empty.mean_iou() is None


def test_strokes_are_judged_by_classifiers_of_the_other_images(
    features: dict[str, Features],
) -> None:
    told, unjudged = leave_out(features, drawn_on(0, 1, 2), CATEGORIES)
    assert told is not None
    assert unjudged == ()
    assert all(told.counts[k].sum() > 3 for k in range(3)), "every stroke was asked for"
    assert np.trace(told.counts) / told.counts.sum() > 0.8


def test_wrong_strokes_are_seen(features: dict[str, Features]) -> None:
    labels = drawn_on(0, 1, 2)
    swapped = labels["2"].copy()
    swapped[labels["2"] == 1], swapped[labels["2"] == 2] = 2, 1
    told, _ = leave_out(features, {**labels, "2": swapped}, CATEGORIES)
    assert told is not None
    assert told.counts[1, 2] + told.counts[2, 1] > 0


def test_one_image_judges_nothing_and_a_category_on_one_image_is_named(
    features: dict[str, Features],
) -> None:
    assert leave_out(features, drawn_on(0), CATEGORIES) == (None, ())
    labels = drawn_on(0) | drawn_on(1, without="bar")
    told, unjudged = leave_out(features, labels, CATEGORIES)
    assert told is not None
    assert unjudged == ("bar",)
    assert told.counts[2].sum() == 0


def test_strokes_that_leave_one_category_judge_nothing(features: dict[str, Features]) -> None:
    """Each image marks another category: without it, one category is left to learn from."""
    zero, one = drawn_on(0)["0"], drawn_on(1)["1"]
    zero[zero != 0] = UNLABELLED
    one[one != 1] = UNLABELLED
    told, unjudged = leave_out(features, {"0": zero, "1": one}, CATEGORIES)
    assert told is not None
    assert told.counts.sum() == 0
    assert unjudged == ("background", "disc")


def test_truth_is_drawn_from_masks() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:3] = True
    masks = [("disc", rle.encode(mask)), ("tree", rle.encode(~mask)), (None, rle.encode(~mask))]
    drawn = truth_of(masks, CATEGORIES, (4, 5))
    assert np.array_equal(drawn, mask.astype(int))
    bare = truth_of(masks, ("disc", "bar"), (4, 5))
    assert np.array_equal(bare, np.where(mask, 0, UNLABELLED)), "no background, no judgement"

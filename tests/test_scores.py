"""Averages: over masks then images, over sources, and a rank correlation held to SciPy's."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from maskmill.formats import Refused
from maskmill.train.scores import ImageResult, rank_correlation, score, score_all
from maskmill.train.sessions import Sessions


def result(source: str, *ious: float, recall: float | None = None, seed: int = 0) -> ImageResult:
    """An image whose masks have these IoUs after every click."""
    rng = np.random.default_rng(seed)
    n = len(ious)
    sessions = Sessions(
        iou=np.tile(np.array(ious)[:, None], (1, 20)),
        predicted_iou=rng.random((n, 3)),
        true_iou=np.array(ious)[:, None] * [0.5, 1.0, 0.25],
        iou_from_box=np.array(ious) / 2,
        boundary_iou_from_box=np.array(ious) / 4,
    )
    recalls = None if recall is None else {100: recall / 2, 1000: recall}
    return ImageResult(source=source, sessions=sessions, average_recall=recalls)


def test_masks_are_averaged_before_images_and_images_before_sources() -> None:
    results = [
        result("nuts", *[0.5] * 98, 0.9, 0.9), result("dogs", 0.875), result("dogs", 0.625, 1.0),
    ]  # fmt: skip
    evaluation = score_all(results)
    image_means = [0.508, 0.875, 0.8125]
    assert evaluation.overall.iou_at_click["3"] == pytest.approx(np.mean(image_means))
    assert evaluation.sources["dogs"].iou_at_click["10"] == pytest.approx(np.mean(image_means[1:]))
    assert evaluation.over_sources.iou_at_click["1"] == pytest.approx((0.508 + 0.84375) / 2)
    assert evaluation.overall.best_of_three == pytest.approx(np.mean(image_means))
    assert evaluation.overall.iou_from_box == pytest.approx(np.mean(image_means) / 2)
    assert evaluation.overall.boundary_iou_from_box == pytest.approx(np.mean(image_means) / 4)
    # To 0.85: 98 masks at 20 clicks and 2 at 1; then 1; then 20 and 1.
    assert evaluation.overall.clicks_to["0.85"] == pytest.approx((19.62 + 1 + 10.5) / 3)
    assert (evaluation.overall.images, evaluation.overall.masks) == (3, 103)
    assert (evaluation.over_sources.images, evaluation.over_sources.masks) == (3, 103)


def test_recall_is_averaged_over_the_images_it_was_measured_on() -> None:
    results = [result("a", 0.5, recall=0.8), result("a", 0.5), result("b", 0.5, recall=0.2)]
    evaluation = score_all(results)
    assert evaluation.overall.average_recall == {"100": 0.25, "1000": 0.5}
    assert evaluation.overall.average_recall_images == 2
    assert evaluation.sources["a"].average_recall["1000"] == 0.8
    without = score([result("a", 0.5)])
    assert without.average_recall == {"100": None, "1000": None}
    assert without.average_recall_images == 0


def test_json_has_the_promised_keys() -> None:
    evaluation = score_all([result("a", 0.5, 0.7)], [Refused(Path(__file__), "why")])
    record = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert list(record["iou_at_click"]) == ["1", "2", "3", "5", "10"]
    assert list(record["clicks_to"]) == ["0.80", "0.85", "0.90"]
    assert list(record["average_recall"]) == ["100", "1000"]
    keys = {"best_of_three", "iou_from_box", "iou_rank_correlation", "images", "masks"}
    assert keys < record.keys()
    assert record["sources"]["a"].keys() == record["over_sources"].keys()
    assert record["refused"] == [{"path": "test_scores.py", "reason": "why"}]


def test_the_order_of_images_changes_no_digit() -> None:
    rng = np.random.default_rng(5)
    results = [
        result("ab"[i % 2], *rng.random(i % 4 + 1), recall=rng.random(), seed=i) for i in range(30)
    ]
    expected = score_all(results).to_json()
    for _ in range(5):
        shuffled = [results[i] for i in rng.permutation(30)]
        assert score_all(shuffled).to_json() == expected


pairs = st.lists(
    st.tuples(st.integers(0, 6), st.floats(0, 1).map(lambda x: round(x, 1))),
    min_size=2,
    max_size=40,
)


@given(pairs)
@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
def test_rank_correlation_is_scipys_ties_included(values: list[tuple[int, float]]) -> None:
    a, b = np.array(values, np.float64).T
    ours = rank_correlation(a, b)
    theirs = spearmanr(a, b).statistic
    assert (ours is None) == bool(np.isnan(theirs))
    if ours is not None:
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_a_correlation_of_one_pair_is_not_defined() -> None:
    assert rank_correlation(np.array([0.5]), np.array([0.5])) is None

"""Simulated sessions: hand-computed IoUs, the protocol's prompts, and when a session ends."""

import numpy as np
import pytest
from clicking_oracle import SCALE, SIZE, Oracle, block, nothing, perfect

from maskmill import rle
from maskmill.train import sessions as module
from maskmill.train.sessions import Sessions, mask_iou, run_sessions

LEFT, RIGHT = block(10, 4, 12, 20), block(30, 60, 15, 20)


def run(oracle: Oracle, targets: list[np.ndarray]) -> Sessions:
    predictor = oracle.predictor()
    embedding = predictor.embed(np.zeros((*SIZE, 3), np.uint8))
    return run_sessions(predictor, embedding, [rle.encode(target) for target in targets])


def columns_of(target: np.ndarray, share: float) -> np.ndarray:
    """The left part of a block that is 20 columns wide."""
    columns = np.flatnonzero(target.any(axis=0))
    mask = target.copy()
    mask[:, columns[round(share * 20) :]] = False
    return mask


def test_a_perfect_model_needs_one_click() -> None:
    oracle = Oracle([LEFT, RIGHT], perfect)
    sessions = run(oracle, [LEFT, RIGHT])
    np.testing.assert_array_equal(sessions.iou, np.ones((2, 20)))
    np.testing.assert_array_equal(sessions.iou_from_box, [1, 1])
    np.testing.assert_array_equal(sessions.true_iou, [[0, 1, 0]] * 2)
    np.testing.assert_allclose(sessions.predicted_iou, [[0.1, 0.9, 0.3]] * 2, rtol=1e-6)
    assert [sessions.clicks_to(goal).tolist() for goal in (0.8, 0.9)] == [[1, 1], [1, 1]]
    # With nothing wrong there is nothing to click on: one round of clicks and one of boxes.
    assert len(oracle.calls) == 2


def test_a_model_that_answers_nothing_never_gets_there() -> None:
    sessions = run(Oracle([LEFT], nothing), [LEFT])
    np.testing.assert_array_equal(sessions.iou, np.zeros((1, 20)))
    assert sessions.clicks_to(0.8).tolist() == [20]


def test_iou_grows_as_the_answers_do() -> None:
    shares = {0: 0.25, 1: 0.5, 2: 0.85, 3: 1.0}
    sessions = run(Oracle([LEFT], lambda t, clicks: columns_of(t, shares[clicks])), [LEFT])
    assert sessions.iou[0, :4].tolist() == [0.5, 0.85, 1, 1]
    assert sessions.iou_from_box.tolist() == [0.25]
    assert [sessions.clicks_to(goal)[0] for goal in (0.8, 0.85, 0.9)] == [2, 2, 3]


def test_an_iou_that_is_lost_again_counts_from_when_it_was_reached() -> None:
    shares = {0: 1.0, 1: 0.95} | dict.fromkeys(range(2, 21), 0.5)
    sessions = run(Oracle([LEFT], lambda t, clicks: columns_of(t, shares[clicks])), [LEFT])
    assert sessions.iou[0, [0, 1, 9]].tolist() == [0.95, 0.5, 0.5]
    assert sessions.clicks_to(0.9).tolist() == [1]


def test_the_candidate_with_the_highest_predicted_iou_is_taken_not_the_best() -> None:
    oracle = Oracle([LEFT], perfect)
    oracle.best_candidate = 2
    decode = oracle.decode

    def boastful(*arguments):  # type: ignore[no-untyped-def]
        logits, iou = decode(*arguments)
        iou[:, 0] = 0.99
        return logits, iou

    oracle.decode = boastful  # type: ignore[method-assign]
    sessions = run(oracle, [LEFT])
    assert sessions.iou[0, :2].tolist() == [0, 1]
    assert sessions.true_iou.tolist() == [[0, 0, 1]]


def test_every_click_so_far_and_the_last_answer_are_fed_back() -> None:
    oracle = Oracle([LEFT], lambda t, clicks: columns_of(t, 0.5) if clicks < 3 else t)
    run(oracle, [LEFT])
    first, second, third, box = oracle.calls
    assert [call[3] for call in oracle.calls] == [True, False, False, False]
    assert first[2] is None
    assert second[2] is not None
    # The missing half is 10 wide and 12 high: rows 14 to 17 tie, and the first of them is taken.
    clicks = (third[0][0, :3] / SCALE).tolist()
    assert clicks == [[9, 15], [18, 14], [18, 14]]
    assert third[1].tolist() == [[1, 1, 1, -1]]
    fed_back = third[2][0, 0, : SIZE[0], : SIZE[1]] > 0
    np.testing.assert_array_equal(fed_back, columns_of(LEFT, 0.5))
    assert (box[0][0] / SCALE).tolist() == [[4, 10], [24, 22]]
    assert box[1].tolist() == [[2, 3]]


def test_surplus_is_clicked_as_background() -> None:
    wide = block(8, 2, 20, 40)
    oracle = Oracle([LEFT], lambda t, clicks: wide if clicks < 2 else t)
    run(oracle, [LEFT])
    assert oracle.calls[1][1].tolist() == [[1, 0, -1]]


def test_past_click_ten_only_those_go_on_that_are_not_there() -> None:
    def stubborn(target: np.ndarray, clicks: int) -> np.ndarray:
        return columns_of(target, 0.95 if target is LEFT and clicks >= 3 else 0.5)

    oracle = Oracle([LEFT, RIGHT], stubborn)
    sessions = run(oracle, [LEFT, RIGHT])
    assert [len(call[0]) for call in oracle.calls] == [2] * 10 + [1] * 10 + [2]
    assert sessions.clicks_to(0.9).tolist() == [3, 20]
    assert sessions.iou[0, 9:].tolist() == [0.95] * 11


def test_objects_do_not_feel_their_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [block(4 * i, 7 * i, 6, 20) for i in range(7)]

    def answer(target: np.ndarray, clicks: int) -> np.ndarray:
        return columns_of(target, min(1.0, 0.05 * (clicks + int(target.argmax()) % 7)))

    whole = run(Oracle(targets, answer), targets)
    monkeypatch.setattr(module, "OBJECTS_AT_ONCE", 3)
    parts = run(Oracle(targets, answer), targets)
    np.testing.assert_array_equal(whole.iou, parts.iou)
    np.testing.assert_array_equal(whole.true_iou, parts.true_iou)
    np.testing.assert_array_equal(whole.iou_from_box, parts.iou_from_box)
    assert len(np.unique(whole.iou, axis=0)) > 1


def test_mask_iou_by_hand() -> None:
    assert mask_iou(block(0, 0, 4, 6), block(0, 3, 4, 6)) == 12 / 36
    assert mask_iou(block(0, 0, 0, 0), block(0, 0, 0, 0)) == 0

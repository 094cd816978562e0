"""The gate: it promotes what is better, keeps what is not, and says why."""

import numpy as np
import pytest

from maskmill.engine.gate import MIN_IMAGES, TARGET, judge
from maskmill.errors import ConfigError
from maskmill.train.scores import ImageResult
from maskmill.train.sessions import MAX_CLICKS, Sessions


def result(quality: float, rng: np.random.Generator, masks: int = 3) -> ImageResult:
    """An image on which a model of that quality was measured; more clicks give more."""
    clicks = np.linspace(0, 0.3, MAX_CLICKS)
    iou = np.clip(quality + clicks + rng.normal(0, 0.02, (masks, 1)), 0, 1)
    true = np.clip(quality + rng.normal(0, 0.1, (masks, 3)), 0, 1)
    return ImageResult(
        source="scenes",
        sessions=Sessions(
            iou=iou,
            predicted_iou=true + rng.normal(0, 0.02, true.shape),
            true_iou=true,
            iou_from_box=iou[:, 0],
            boundary_iou_from_box=iou[:, 0],
        ),
        average_recall=None,
    )


def results(gains: np.ndarray, seed: int) -> list[ImageResult]:
    """Images of very different difficulty: only the pairs tell a small gain."""
    hardness = np.random.default_rng(0).uniform(0.2, 0.6, len(gains))
    rng = np.random.default_rng(seed)
    return [result(h + g, rng) for h, g in zip(hardness, gains, strict=True)]


def test_a_better_model_is_promoted() -> None:
    none = np.zeros(40)
    verdict = judge(results(none, 1), results(none + 0.05, 2))
    assert verdict.promoted is True
    assert "promoted" in verdict.reason
    assert all(c.outcome != "worse" for c in verdict.comparisons)


def test_a_worse_model_is_refused_and_the_reason_names_what_got_worse() -> None:
    none = np.zeros(40)
    verdict = judge(results(none, 1), results(none - 0.05, 2))
    assert verdict.promoted is False
    assert TARGET in verdict.reason
    assert "worse" in verdict.reason


def test_an_equal_model_is_refused_because_nothing_got_better() -> None:
    none = np.zeros(40)
    verdict = judge(results(none, 1), results(none, 2))
    assert verdict.promoted is False
    assert "interval" in verdict.reason


def test_a_gain_that_costs_another_number_is_refused() -> None:
    none = np.zeros(40)
    old, new = results(none, 1), results(none + 0.05, 2)
    for image in new:
        image.sessions.iou_from_box[:] -= 0.2
    verdict = judge(old, new)
    assert verdict.promoted is False
    assert "from a box" in verdict.reason


def test_a_category_that_is_lost_behind_the_mean_is_found() -> None:
    gains = np.tile([0.2, -0.05], 30)
    categories = [["cat"] * 3, ["dog"] * 3] * 30
    old, new = results(np.zeros(60), 1), results(gains, 2)
    assert judge(old, new).promoted is True
    verdict = judge(old, new, categories=categories)
    assert verdict.promoted is False
    assert "dog" in verdict.reason
    assert "cat," not in verdict.reason


def test_a_slower_encoder_is_refused() -> None:
    none = np.zeros(40)
    pair = results(none, 1), results(none + 0.05, 2)
    assert judge(*pair, encode_seconds=(0.1, 0.11)).promoted is True
    verdict = judge(*pair, encode_seconds=(0.1, 0.2))
    assert verdict.promoted is False
    assert "encode" in verdict.reason


def test_a_slower_encoder_that_was_chosen_is_told_and_vetoes_nothing() -> None:
    none = np.zeros(40)
    pair = results(none, 1), results(none + 0.05, 2)
    verdict = judge(*pair, encode_seconds=(0.1, 0.31), other_encoder=True)
    assert verdict.promoted is True
    assert verdict.comparisons[-1].outcome == "expected"
    told = "; encoding takes 3.1 times as long, as the encoder that was chosen does"
    assert verdict.reason.endswith(told)
    no_better = judge(pair[0], results(none, 2), encode_seconds=(0.1, 0.31), other_encoder=True)
    assert no_better.promoted is False, "what is asked of the masks stays as it was"
    assert no_better.reason.endswith(told)
    few = results(none[:5], 1), results(none[:5], 2)
    alone = judge(*few, encode_seconds=(0.1, 0.31), other_encoder=True)
    assert (alone.promoted, alone.reason.endswith(told)) == (None, True)
    for new in (0.02, 0.1, 0.119):
        quick = judge(*pair, encode_seconds=(0.1, new), other_encoder=True)
        assert quick == judge(*pair, encode_seconds=(0.1, new))
        assert quick.comparisons[-1].outcome == "same"


def test_with_few_hold_out_images_a_person_decides() -> None:
    few = np.zeros(MIN_IMAGES - 1)
    verdict = judge(results(few, 1), results(few + 0.3, 2))
    assert verdict.promoted is None
    assert "person" in verdict.reason


def test_frames_of_one_video_count_once() -> None:
    none = np.zeros(40)
    pair = results(none, 1), results(none + 0.05, 2)
    verdict = judge(*pair, groups=["film"] * 40)
    assert (verdict.promoted, verdict.images, verdict.groups) == (None, 40, 1)
    assert "only 1 hold-out images of different groups" in verdict.reason
    own = judge(*pair, groups=[f"image {i}" for i in range(40)])
    assert own == judge(*pair)
    assert own.promoted is True


def test_an_interval_is_as_wide_as_its_groups_are_few() -> None:
    """Each film has its own gain: its ten frames are no ten witnesses."""
    gains = np.repeat(np.random.default_rng(3).normal(0.03, 0.08, 24), 10)
    pair = results(np.zeros(240), 1), results(gains, 2)
    films = judge(*pair, groups=[f"film {i // 10}" for i in range(240)])
    frames = judge(*pair)
    assert frames.promoted is True
    assert films.promoted is False
    aim, naive = (next(c for c in v.comparisons if c.name == TARGET) for v in (films, frames))
    assert aim.high - aim.low > 2 * (naive.high - naive.low)


def test_a_category_on_fewer_images_is_drawn_afresh() -> None:
    """The wins stand on its last images: folding other draws over them would count those less."""
    gains = np.concatenate([np.full(17, 0.0), np.full(22, -0.06)])
    gains[17 + 17 :] = 0.3
    categories = [["cat"] * 3] * 17 + [["dog"] * 3] * 22
    verdict = judge(results(np.zeros(39), 1), results(gains, 2), categories=categories)
    dog = next(c for c in verdict.comparisons if c.name.startswith("dog"))
    middle = dog.candidate - dog.incumbent
    assert dog.low < middle < dog.high
    assert dog.high - middle == pytest.approx(middle - dog.low, rel=0.4)


def test_pairs_tell_what_two_means_cannot() -> None:
    """The gain is a tenth of the images' spread: unpaired intervals would overlap widely."""
    none = np.zeros(40)
    old, new = results(none, 1), results(none + 0.02, 2)
    aim = next(c for c in judge(old, new).comparisons if c.name == TARGET)
    spread = np.std([r.sessions.iou[:, 0].mean() for r in old]) / np.sqrt(40)
    assert aim.outcome == "better"
    assert aim.candidate - aim.incumbent < 1.96 * spread


@pytest.mark.parametrize("images", [0, 3])
def test_different_images_cannot_be_compared(images: int) -> None:
    with pytest.raises(ConfigError, match="hold-out"):
        judge(results(np.zeros(images), 1), results(np.zeros(5), 2))


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    none = np.zeros(5)
    with pytest.raises(ConfigError, match="IoU from a box"):
        judge(results(none, 1), results(none, 2), target="beauty")

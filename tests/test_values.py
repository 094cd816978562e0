import numpy as np
import pytest

from maskmill.errors import PromptError
from maskmill.values import Candidates, Embedding, Prompt, box_prompt, point_prompt


def points(*coordinates: tuple[float, float]) -> np.ndarray:
    return np.array(coordinates, np.float32).reshape(-1, 2)


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def candidates(logits: np.ndarray, predicted_iou: list[list[float]], **changes) -> Candidates:
    """Candidates over a 16-pixel input frame, of an image 8 high and 4 wide."""
    return Candidates(
        low_res_mask_logits=logits.astype(np.float32),
        predicted_iou=np.array(predicted_iou, np.float32),
        **{"original_size": (8, 4), "input_size": (16, 8), "input_side": 16, **changes},
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "is empty; give at least one point"),
        ({"point_coords": points(), "point_labels": labels()}, "is empty; give at least one point"),
        ({"point_coords": points((1, 2))}, "1 points and 0 labels"),
        ({"point_labels": labels(1, 0)}, "0 points and 2 labels"),
        ({"point_coords": points((1, 2)), "point_labels": labels(2)}, r"\[2\] are not allowed"),
        ({"point_coords": points((1, 2)), "point_labels": labels(-1)}, r"\[-1\] are not allowed"),
        ({"point_coords": points((np.nan, 2)), "point_labels": labels(1)}, "not finite"),
        ({"box": np.array([3, 1, 3, 5], np.float32)}, "is empty; give x0,y0,x1,y1"),
        ({"box": np.array([3, 5, 6, 1], np.float32)}, "is empty; give x0,y0,x1,y1"),
        ({"box": np.array([0, 0, np.inf, 9], np.float32)}, "give x0,y0,x1,y1"),
    ],
)
def test_a_prompt_that_makes_no_sense_is_refused(given, message):
    with pytest.raises(PromptError, match=message):
        Prompt(**given)


def test_a_mask_alone_is_a_prompt():
    assert Prompt(mask_input=np.zeros((4, 4), np.float32)).point_coords is None


def test_points_are_for_the_object_unless_they_say_otherwise():
    prompt = point_prompt((10, 20), (5, 6, 0), (7, 8, 1))
    assert prompt.point_coords.tolist() == [[10, 20], [5, 6], [7, 8]]
    assert prompt.point_labels.tolist() == [1, 0, 1]
    with pytest.raises(PromptError, match="empty"):
        point_prompt()
    with pytest.raises(PromptError, match="not allowed"):
        point_prompt((1, 2, 3))


def test_a_box_is_a_prompt():
    assert box_prompt(1, 2, 3, 4).box.tolist() == [1, 2, 3, 4]
    with pytest.raises(PromptError, match="empty"):
        box_prompt(3, 2, 1, 4)


def test_values_cannot_be_changed():
    with pytest.raises(AttributeError):
        box_prompt(1, 2, 3, 4).box = None
    embedding = Embedding(
        array=np.zeros((2, 3, 3), np.float32),
        original_size=(8, 4),
        input_size=(48, 24),
        input_side=48,
        model_id="tiny",
    )
    assert embedding.high_res == ()
    with pytest.raises(AttributeError):
        embedding.model_id = "other"


def test_the_best_candidate_is_the_one_the_model_rates_highest():
    logits = np.full((2, 3, 4, 4), -1.0)
    logits[0, 2] = logits[1, 0] = 1.0
    found = candidates(logits, [[0.1, 0.2, 0.9], [1.2, 0.3, 0.4]])
    assert len(found) == 2
    assert found.best().tolist() == [2, 0]
    assert found.best_masks().shape == (2, 8, 4)
    assert found.best_masks().all()
    masks = found.masks()
    assert masks.shape == (2, 3, 8, 4)
    assert masks.dtype == bool
    assert masks.all(axis=(2, 3)).tolist() == [[False, False, True], [True, False, False]]


def test_masks_lie_where_their_logits_do_and_padding_is_cut_off():
    logits = np.full((1, 1, 4, 4), -1.0)
    logits[0, 0, 2:, 0] = 1.0  # lower left; columns 2 and 3 are padding
    logits[0, 0, :, 2:] = 1.0
    mask = candidates(logits, [[0.5]]).masks()[0, 0]
    assert mask[6:, 0].all()
    assert not mask[:2, :2].any()
    assert not mask[:, 2].any()


def test_the_cut_off_is_the_models_and_strict():
    logits = np.full((1, 1, 4, 4), 0.25)
    assert candidates(logits, [[0.5]]).masks().all()
    assert not candidates(logits, [[0.5]], mask_threshold=0.25).masks().any()
    assert not candidates(logits, [[0.5]], mask_threshold=0.25).best_masks().any()
    assert candidates(logits, [[0.5]]).mask_logits(0, 0).tolist() == [[0.25] * 4] * 8


def test_no_prompts_give_no_masks():
    none = candidates(np.zeros((0, 3, 4, 4)), np.zeros((0, 3)).tolist() or np.zeros((0, 3)))
    assert len(none) == 0
    assert none.best_masks().shape == (0, 8, 4)
    assert none.masks().shape == (0, 3, 8, 4)

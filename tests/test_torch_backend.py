"""The PyTorch half of `predict`: arrays in and out, the same numbers as the model, no leaks."""

import numpy as np
import pytest
import torch
from labelled_scene import SMALL

from maskmill.automask.decoding import point_prompts
from maskmill.model.sam import Sam, build
from maskmill.model.torch_backend import TorchBackend, computes_bf16


@pytest.fixture(scope="module")
def sam() -> Sam:
    return build(SMALL, seed=3).eval()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)


COORDS = np.array([[[10, 20], [0, 0]], [[40.5, 7], [0, 0]], [[5, 5], [60, 50]]], np.float32)
LABELS = np.array([[1, -1], [1, -1], [2, 3]])


@pytest.mark.parametrize("multimask_output", [True, False])
def test_arrays_hold_the_models_own_numbers(
    sam: Sam, image: np.ndarray, multimask_output: bool
) -> None:
    backend = TorchBackend(sam)
    embedding, high_res = backend.encode(image)
    logits, iou = backend.decode(embedding, high_res, COORDS, LABELS, None, multimask_output)
    with torch.inference_mode():
        expected, expected_iou = sam.decode(
            *sam.encode(torch.from_numpy(image)),
            torch.from_numpy(COORDS),
            torch.from_numpy(LABELS),
            multimask_output=multimask_output,
        )
    np.testing.assert_allclose(logits, expected.numpy(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(iou, expected_iou.numpy(), rtol=0, atol=1e-6)


def test_low_res_logits_change_the_next_answer(sam: Sam, image: np.ndarray) -> None:
    backend = TorchBackend(sam)
    embedding, high_res = backend.encode(image)
    first, _ = backend.decode(embedding, high_res, COORDS, LABELS, None, False)
    fed_back, _ = backend.decode(embedding, high_res, COORDS, LABELS, first, False)
    assert np.abs(fed_back - first).max() > 1e-4


def test_the_point_decoder_gives_what_decode_gives(sam: Sam, image: np.ndarray) -> None:
    backend = TorchBackend(sam)
    embedding, high_res = backend.encode(image)
    decoder = backend.point_decoder(embedding, high_res)
    assert decoder is not None
    points = np.array([[30.5, 41.25], [7, 60]], np.float32)
    seen, promise = decoder.attend(points)
    expected, expected_iou = backend.decode(embedding, high_res, *point_prompts(points), None, True)
    np.testing.assert_allclose(promise, expected_iou, atol=1e-5)
    drawn, iou = decoder.draw(seen, np.array([1]))
    np.testing.assert_allclose(iou, expected_iou[1:], atol=1e-5)
    np.testing.assert_allclose(drawn, expected[1:], atol=1e-4)


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call sam\.eval\(\)"):
        TorchBackend(build(SMALL).train())


def test_threads_are_given_back_after_a_grid(sam: Sam, image: np.ndarray) -> None:
    backend, before = TorchBackend(sam), torch.get_num_threads()
    decoder = backend.point_decoder(*backend.encode(image))
    assert decoder is not None
    with decoder.threads() as pool:
        assert (pool is None) == (before == 1)
    assert torch.get_num_threads() == before


def test_bfloat16_is_used_only_where_the_processor_has_it(
    sam: Sam, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    import maskmill.model.torch_backend as module

    backend = TorchBackend(sam)
    assert isinstance(computes_bf16(), bool)
    monkeypatch.setattr(module, "computes_bf16", lambda: False)
    exact, _ = backend.encode(image)
    with backend.quick():
        same, _ = backend.encode(image)
    np.testing.assert_array_equal(same, exact)

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from random_model import SMALL_TINY, random_sam, shipped_or_exported

from maskmill import predict
from maskmill.config import TINY
from maskmill.errors import CheckpointError, ConfigError, NotFound, PromptError
from maskmill.geometry import to_input_frame
from maskmill.model.checkpoint import save_model
from maskmill.predict import Predictor, preprocess
from maskmill.values import Candidates, Embedding, Prompt, box_prompt, point_prompt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shipped_or_exported(tmp_path_factory)


@pytest.fixture(scope="module")
def onnx(folder: Path) -> Predictor:
    return Predictor.load(folder, backend="onnx", threads=1)


@pytest.fixture(scope="module")
def torch_twin(folder: Path) -> Predictor:
    return Predictor.load(folder, backend="torch")


@pytest.fixture(params=["onnx", "torch_twin"])
def predictor(request: pytest.FixtureRequest) -> Predictor:
    """The same model over either runtime."""
    loaded: Predictor = request.getfixturevalue(request.param)
    return loaded


@pytest.fixture(scope="module")
def image(photographs: dict[str, np.ndarray]) -> np.ndarray:
    return photographs["chelsea"][:, :400]  # 300 high, 400 wide


@pytest.fixture(scope="module")
def embedding(onnx: Predictor, image: np.ndarray) -> Embedding:
    return onnx.embed(image)


def mixed_prompts(predictor: Predictor, seed: int = 0) -> list[Prompt]:
    """Prompts of every structure, no two neighbours alike."""
    low = predictor.config.low_res_side
    mask = 4 * np.random.default_rng(seed).standard_normal((low, low)).astype(np.float32)
    return [
        point_prompt((200, 150)),
        box_prompt(40, 30, 380, 220),
        point_prompt((210, 80), (20, 280, 0)),
        replace(point_prompt((120, 90)), box=np.array([60, 40, 200, 290], np.float32)),
        replace(point_prompt((200, 150)), mask_input=mask),
        point_prompt((320, 10)),
        Prompt(mask_input=mask),
        replace(box_prompt(40, 30, 380, 220), mask_input=mask),
    ]


def masks_iou(a: Candidates, b: Candidates) -> np.ndarray:
    ours, theirs = a.masks(), b.masks()
    shared, either = (ours & theirs).sum((-2, -1)), (ours | theirs).sum((-2, -1))
    return np.where(either == 0, 1, shared / np.maximum(either, 1))


def test_both_runtimes_agree_on_a_photograph(
    onnx: Predictor, torch_twin: Predictor, image: np.ndarray
) -> None:
    prompts = mixed_prompts(onnx)
    ours = onnx.predict(onnx.embed(image), prompts)
    theirs = torch_twin.predict(torch_twin.embed(image), prompts)
    difference = abs(ours.low_res_mask_logits - theirs.low_res_mask_logits).max()
    assert difference < 1e-3
    assert abs(ours.predicted_iou - theirs.predicted_iou).max() < 1e-3
    assert masks_iou(ours, theirs).min() >= 0.995
    assert ours.low_res_mask_logits.std() > 100 * difference


def test_an_embedding_of_one_runtime_serves_the_other(
    onnx: Predictor, torch_twin: Predictor, embedding: Embedding
) -> None:
    prompts = mixed_prompts(onnx)
    ours, theirs = onnx.predict(embedding, prompts), torch_twin.predict(embedding, prompts)
    np.testing.assert_allclose(ours.low_res_mask_logits, theirs.low_res_mask_logits, atol=1e-3)


def test_the_embedding_is_a_value_that_knows_its_sizes(
    onnx: Predictor, embedding: Embedding
) -> None:
    side = onnx.config.input_side
    assert embedding.original_size == (300, 400)
    assert embedding.input_size == (side * 3 // 4, side)
    assert embedding.model_id == onnx.model_id
    assert embedding.array.shape[1:] == (side // 16, side // 16)


@pytest.mark.parametrize("multimask_output", [True, False])
def test_mixed_prompts_come_back_in_the_order_given(
    multimask_output: bool, predictor: Predictor, embedding: Embedding
) -> None:
    prompts = mixed_prompts(predictor)
    together = predictor.predict(
        embedding, prompts, multimask_output=multimask_output, prompts_per_batch=2
    )
    assert len(together) == len(prompts)
    assert together.predicted_iou.shape[1] == (3 if multimask_output else 1)
    for i, prompt in enumerate(prompts):
        alone = predictor.predict(embedding, [prompt], multimask_output=multimask_output)
        np.testing.assert_allclose(
            together.low_res_mask_logits[i], alone.low_res_mask_logits[0], atol=2e-4
        )
        np.testing.assert_allclose(together.predicted_iou[i], alone.predicted_iou[0], atol=2e-4)


def test_no_prompts_give_no_candidates(predictor: Predictor, embedding: Embedding) -> None:
    candidates = predictor.predict(embedding, [])
    assert len(candidates) == 0
    assert candidates.masks().shape == (0, 3, 300, 400)


def test_masks_have_the_size_of_the_image(onnx: Predictor, embedding: Embedding) -> None:
    candidates = onnx.predict(embedding, [point_prompt((10, 290))])
    assert candidates.masks().shape == (1, 3, 300, 400)


def test_low_res_logits_are_a_prompt(predictor: Predictor, embedding: Embedding) -> None:
    click = point_prompt((200, 150))
    first = predictor.predict(embedding, [click])
    best = int(first.best()[0])
    again = replace(click, mask_input=first.low_res_mask_logits[0, best])
    second = predictor.predict(embedding, [again], multimask_output=False)
    without = predictor.predict(embedding, [click], multimask_output=False)
    assert second.low_res_mask_logits.shape == without.low_res_mask_logits.shape
    assert abs(second.low_res_mask_logits - without.low_res_mask_logits).max() > 1e-2


def test_many_points_decode_as_single_prompts_do(
    predictor: Predictor, embedding: Embedding
) -> None:
    points = np.array([[0.0, 0.0], [399, 12], [200.5, 150.25]])
    logits, iou = predictor.predict_points(embedding, points)
    expected = predictor.predict(embedding, [point_prompt((x, y)) for x, y in points])
    np.testing.assert_allclose(logits, expected.low_res_mask_logits, atol=2e-4)
    np.testing.assert_allclose(iou, expected.predicted_iou, atol=2e-4)


def test_points_then_corners_then_padding_reach_the_model_in_its_frame() -> None:
    predictor = Predictor.from_sam(random_sam(SMALL_TINY))
    image = np.zeros((50, 80, 3), np.uint8)
    embedding = predictor.embed(image)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    decode = predictor.backend.decode

    def record(*args: object) -> object:
        seen.append((np.asarray(args[2]), np.asarray(args[3])))
        return decode(*args)  # type: ignore[arg-type]

    predictor.backend.decode = record  # type: ignore[assignment, method-assign]
    point = point_prompt((40, 10), (8, 45, 0))
    predictor.predict(embedding, [replace(point, box=np.array([4, 5, 79, 50], np.float32))])
    predictor.predict(embedding, [point])
    scaled = to_input_frame(np.array([[40, 10], [8, 45], [4, 5], [79, 50.0]]), (50, 80), (100, 160))
    np.testing.assert_allclose(seen[0][0][0], scaled)
    assert seen[0][1].tolist() == [[1, 0, 2, 3]]
    np.testing.assert_allclose(seen[1][0][0], [*scaled[:2], [0, 0]])
    assert seen[1][1].tolist() == [[1, 0, -1]]


def test_batches_are_as_large_as_allowed_and_no_larger() -> None:
    predictor = Predictor.from_sam(random_sam(SMALL_TINY))
    embedding = predictor.embed(np.zeros((50, 80, 3), np.uint8))
    sizes: list[int] = []
    decode = predictor.backend.decode

    def record(*args: object) -> object:
        sizes.append(len(np.asarray(args[3])))
        return decode(*args)  # type: ignore[arg-type]

    predictor.backend.decode = record  # type: ignore[assignment, method-assign]
    prompts = [point_prompt((x, 3)) for x in range(5)] + [point_prompt((1, 2), (30, 9))]
    predictor.predict(embedding, prompts, prompts_per_batch=3)
    assert sorted(sizes) == [1, 2, 3]


@pytest.mark.parametrize("point", [(-1, 5), (5, -0.5), (401, 5), (5, 300.5), (300, 350)], ids=str)
def test_points_outside_the_image_are_refused_by_name(
    point: tuple[float, float], onnx: Predictor, embedding: Embedding
) -> None:
    with pytest.raises(PromptError) as refused:
        onnx.predict(embedding, [point_prompt((3, 4)), point_prompt(point)])
    assert f"prompt 1: point ({point[0]:g}, {point[1]:g})" in str(refused.value)
    assert "400 wide and 300 high" in str(refused.value)


def test_points_on_the_far_edges_are_allowed(onnx: Predictor, embedding: Embedding) -> None:
    corners = [point_prompt(corner) for corner in ((0, 0), (400, 300), (400, 0), (0, 300))]
    assert len(onnx.predict(embedding, corners)) == 4


def test_a_box_is_clipped_to_the_image(onnx: Predictor, embedding: Embedding) -> None:
    out = onnx.predict(embedding, [box_prompt(-20, 100, 390, 999)])
    within = onnx.predict(embedding, [box_prompt(0, 100, 390, 300)])
    np.testing.assert_array_equal(out.low_res_mask_logits, within.low_res_mask_logits)


@pytest.mark.parametrize("box", [(400, 10, 450, 40), (10, -40, 50, 0), (-9, -9, -1, -1)], ids=str)
def test_a_box_outside_the_image_is_refused(
    box: tuple[float, float, float, float], onnx: Predictor, embedding: Embedding
) -> None:
    with pytest.raises(PromptError, match=r"prompt 0: box .* lies outside the image, which is 400"):
        onnx.predict(embedding, [box_prompt(*box)])


def test_a_mask_input_of_another_size_is_refused(onnx: Predictor, embedding: Embedding) -> None:
    low = onnx.config.low_res_side
    wrong = replace(point_prompt((3, 4)), mask_input=np.zeros((low, low - 1), np.float32))
    with pytest.raises(PromptError, match=rf"\({low}, {low - 1}\), this model takes \({low}"):
        onnx.predict(embedding, [wrong])


def test_an_embedding_of_another_model_is_refused(onnx: Predictor, embedding: Embedding) -> None:
    foreign = replace(embedding, model_id="tiny-of-last-week")
    with pytest.raises(ValueError, match=r"made by model 'tiny-of-last-week'.*embed the image"):
        onnx.predict(foreign, [point_prompt((3, 4))])


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 700, 3), (333, 2, 3)])
def test_images_of_any_shape_can_be_embedded(shape: tuple[int, ...], onnx: Predictor) -> None:
    embedding = onnx.embed(np.full(shape, 90, np.uint8))
    masks = onnx.predict(embedding, [point_prompt((0, 0))]).masks()
    assert masks.shape == (1, 3, *shape[:2])


def test_an_image_without_pixels_is_refused(onnx: Predictor) -> None:
    with pytest.raises(ValueError, match="no pixels"):
        onnx.embed(np.zeros((0, 8, 3), np.uint8))


def test_threads_may_share_a_predictor(onnx: Predictor, photographs: dict[str, np.ndarray]) -> None:
    images = [photographs["chelsea"], photographs["coffee"]] * 3
    prompts = [point_prompt((200, 150)), box_prompt(40, 30, 380, 220)]

    def answer(image: np.ndarray) -> np.ndarray:
        return onnx.predict(onnx.embed(image), prompts).low_res_mask_logits

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(answer, images))
    np.testing.assert_array_equal(answers[0], answers[4])
    np.testing.assert_array_equal(answers[1], answers[3])
    assert abs(answers[0] - answers[1]).max() > 1e-2


def test_the_input_frame_is_normalised_and_padded_right_and_below() -> None:
    image = np.full((30, 60, 3), (255, 128, 0), np.uint8)
    frame, input_size = preprocess(image, TINY)
    assert input_size == (192, 384)
    assert frame.shape == (1, 3, 384, 384)
    expected = (np.array([255, 128, 0]) - TINY.pixel_mean) / np.array(TINY.pixel_std)
    np.testing.assert_allclose(
        frame[0, :, :192], np.broadcast_to(expected[:, None, None], (3, 192, 384)), atol=1e-5
    )
    assert not frame[0, :, 192:].any()


@pytest.mark.reference
def test_the_input_frame_is_that_of_the_reference(
    reference: ModuleType, photographs: dict[str, np.ndarray]
) -> None:
    image = photographs["coffee"][:311]
    resized = reference.utils.transforms.ResizeLongestSide(384).apply_image(image)
    pixels = torch.from_numpy(resized).permute(2, 0, 1).float()
    mean, std = torch.tensor(TINY.pixel_mean), torch.tensor(TINY.pixel_std)
    expected = (pixels - mean[:, None, None]) / std[:, None, None]
    frame, (height, width) = preprocess(image, TINY)
    assert (height, width) == resized.shape[:2]
    np.testing.assert_allclose(frame[0, :, :height, :width], expected.numpy(), atol=1e-5)


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sam\.eval"):
        Predictor.from_sam(random_sam(SMALL_TINY).train())


def test_a_model_in_memory_says_what_it_is() -> None:
    predictor = Predictor.from_sam(random_sam(SMALL_TINY), model_id="run-7-step-300")
    assert (predictor.backend_name, predictor.model_id) == ("torch", "run-7-step-300")
    assert predictor.config == SMALL_TINY


def test_auto_takes_onnx_runtime_where_there_is_no_gpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "_has_cuda", lambda: False)
    assert Predictor.load(folder).backend_name == "onnx"


def test_auto_takes_torch_where_there_are_no_onnx_files(tmp_path: Path) -> None:
    save_model(tmp_path, random_sam(SMALL_TINY), {})
    predictor = Predictor.load(tmp_path)
    assert predictor.backend_name == "torch"
    assert predictor.model_id.startswith("small-tiny-")


def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "find_spec", lambda name: None)


def test_what_is_not_there_cannot_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path, random_sam(SMALL_TINY), {})
    with pytest.raises(ConfigError, match="maskmill model export"):
        Predictor.load(tmp_path, backend="onnx")
    without_torch(monkeypatch)
    for backend in ("torch", "auto"):
        with pytest.raises(ConfigError, match=r"pip install 'maskmill\[train\]'"):
            Predictor.load(tmp_path, backend=backend)


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFound, match="no-such-model"):
        Predictor.load("no-such-model")


def test_onnx_files_of_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "decoder.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "decoder.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"decoder\.onnx is damaged"):
        Predictor.load(tmp_path, backend="onnx")


def test_inference_on_a_cpu_never_imports_torch(folder: Path) -> None:
    program = f"""
import sys
from maskmill.predict import Predictor
assert not {{"torch", "onnxruntime", "cv2"}} & set(sys.modules)
import numpy as np
from maskmill.values import point_prompt
predictor = Predictor.load({str(folder)!r}, backend="onnx", threads=1)
candidates = predictor.predict(
    predictor.embed(np.zeros((40, 60, 3), np.uint8)), [point_prompt((30, 20))]
)
assert candidates.best_masks().shape == (1, 40, 60)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)

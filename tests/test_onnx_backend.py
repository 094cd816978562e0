import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from random_model import shipped_or_exported

from maskmill.automask.decoding import point_prompts
from maskmill.errors import CheckpointError, ConfigError
from maskmill.model.checkpoint import load_model
from maskmill.model.grid_iou import drawn_share_and_doubt
from maskmill.onnx_backend import DECODER_FILE, ENCODER_FILE, ONNX_FILES, OnnxBackend
from maskmill.weights import config_of, read_card


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shipped_or_exported(tmp_path_factory)


@pytest.fixture(scope="module")
def backend(folder: Path) -> OnnxBackend:
    return OnnxBackend(folder, threads=1)


@pytest.fixture(scope="module")
def frame(folder: Path) -> np.ndarray:
    side = config_of(read_card(folder)).input_side
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    return np.stack([np.sin(9 * x), np.cos(7 * y), np.sin(5 * x + 3 * y)])[None]


def points(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n * 10 + p)
    coords = random.uniform(0, 90, (n, p, 2)).astype(np.float32)
    return coords, random.integers(0, 2, (n, p))


def test_encode_returns_the_embedding_and_finer_maps(
    backend: OnnxBackend, frame: np.ndarray
) -> None:
    side = frame.shape[-1]
    embedding, (high_res_8, high_res_4) = backend.encode(frame)
    assert embedding.shape[2:] == (side // 16, side // 16)
    assert high_res_8.shape[2:] == (side // 8, side // 8)
    assert high_res_4.shape[2:] == (side // 4, side // 4)


@pytest.mark.parametrize(("n", "p"), [(1, 2), (5, 3)])
@pytest.mark.parametrize("multimask_output", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_decode_answers_any_number_of_prompts_and_points(
    n: int, p: int, multimask_output: bool, masked: bool, backend: OnnxBackend, frame: np.ndarray
) -> None:
    embedding, high_res = backend.encode(frame)
    low = frame.shape[-1] // 4
    mask = np.zeros((n, 1, low, low), np.float32) if masked else None
    logits, iou = backend.decode(embedding, high_res, *points(n, p), mask, multimask_output)
    k = 3 if multimask_output else 1
    assert logits.shape == (n, k, low, low)
    assert iou.shape == (n, k)


def test_prompts_do_not_influence_each_other(backend: OnnxBackend, frame: np.ndarray) -> None:
    embedding, high_res = backend.encode(frame)
    coords, labels = points(4, 3)
    together, _ = backend.decode(embedding, high_res, coords, labels, None, True)
    for i in range(4):
        alone, _ = backend.decode(
            embedding, high_res, coords[i : i + 1], labels[i : i + 1], None, True
        )
        np.testing.assert_allclose(together[i], alone[0], atol=1e-4)
    assert abs(together[0] - together[1]).max() > 1e-2


def test_a_mask_alone_is_a_prompt(backend: OnnxBackend, frame: np.ndarray) -> None:
    embedding, high_res = backend.encode(frame)
    low = frame.shape[-1] // 4
    mask = np.full((2, 1, low, low), -8, np.float32)
    mask[1, :, : low // 2] = 8
    logits, _ = backend.decode(embedding, high_res, *points(2, 0), mask, True)
    assert abs(logits[0] - logits[1]).max() > 1e-2


def test_the_single_mask_is_not_one_of_the_three(backend: OnnxBackend, frame: np.ndarray) -> None:
    embedding, high_res = backend.encode(frame)
    three, _ = backend.decode(embedding, high_res, *points(1, 2), None, True)
    one, _ = backend.decode(embedding, high_res, *points(1, 2), None, False)
    assert all(abs(one[0, 0] - three[0, k]).max() > 1e-3 for k in range(3))


def test_a_pickled_copy_gives_the_same_numbers(backend: OnnxBackend, frame: np.ndarray) -> None:
    copy = pickle.loads(pickle.dumps(backend))
    np.testing.assert_array_equal(copy.encode(frame)[0], backend.encode(frame)[0])


def test_threads_may_share_a_backend(folder: Path, frame: np.ndarray) -> None:
    fresh = OnnxBackend(folder, threads=1)
    with ThreadPoolExecutor(4) as pool:
        embeddings = list(pool.map(lambda _: fresh.encode(frame)[0], range(8)))
    for embedding in embeddings[1:]:
        np.testing.assert_array_equal(embedding, embeddings[0])


def test_decoding_never_opens_the_encoder(
    folder: Path, backend: OnnxBackend, frame: np.ndarray, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / ENCODER_FILE).write_bytes(b"not a graph")
    embedding, high_res = backend.encode(frame)
    damaged = OnnxBackend(tmp_path, threads=1)
    damaged.decode(embedding, high_res, *points(1, 2), None, True)
    with pytest.raises(CheckpointError, match=r"encoder\.onnx is not a usable ONNX file"):
        damaged.encode(frame)


@pytest.mark.parametrize("missing", ONNX_FILES)
def test_a_folder_without_all_files_is_refused(missing: str, tmp_path: Path) -> None:
    for name in ONNX_FILES:
        if name != missing:
            (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="maskmill model export"):
        OnnxBackend(tmp_path)


@pytest.mark.parametrize("threads", [0, -3])
def test_impossible_numbers_of_threads_are_refused(threads: int, tmp_path: Path) -> None:
    for name in ONNX_FILES:
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=f"threads is {threads}"):
        OnnxBackend(tmp_path, threads=threads)


def test_a_truncated_file_is_named(folder: Path, frame: np.ndarray, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    path = tmp_path / DECODER_FILE
    path.write_bytes(path.read_bytes()[:20_000])
    backend = OnnxBackend(tmp_path, threads=1)
    embedding, high_res = backend.encode(frame)
    with pytest.raises(CheckpointError, match=r"decoder\.onnx is not a usable ONNX file"):
        backend.decode(embedding, high_res, *points(1, 2), None, True)


def test_the_grids_parts_give_the_decoders_masks_and_judge_them(
    backend: OnnxBackend, frame: np.ndarray, folder: Path
) -> None:
    embedding, high_res = backend.encode(frame)
    places = points(5, 1)[0][:, 0]
    logits, iou = backend.decode(embedding, high_res, *point_prompts(places), None, True)
    parts = backend.point_decoder(embedding, high_res)
    assert parts is not None
    seen, promise = parts.attend(places)
    rows = np.array([3, 0])
    drawn, found = parts.draw(seen, rows)
    np.testing.assert_allclose(drawn, logits[rows], rtol=1e-3, atol=1e-3)
    judge = load_model(folder)[0].mask_decoder.grid_iou
    assert judge is not None
    with torch.inference_mode():
        masks, told = torch.from_numpy(logits[rows]), torch.from_numpy(iou[rows])
        worth = judge.worth(told, *drawn_share_and_doubt(masks)).numpy()
    np.testing.assert_allclose(found, worth, atol=1e-3)
    assert np.abs(worth - iou[rows]).max() > 0.01, "a judge that changes nothing tests nothing"
    assert np.abs(promise[rows] - worth).max() > 1e-4, "they are two networks"
    with parts.threads() as pool:
        assert pool is None  # one thread was asked for


def test_several_threads_share_the_parts(folder: Path, frame: np.ndarray) -> None:
    backend = OnnxBackend(folder, threads=2)
    parts = backend.point_decoder(*backend.encode(frame))
    assert parts is not None
    places = points(6, 1)[0][:, 0]
    alone = parts.attend(places)[1]
    with parts.threads() as pool:
        assert pool is not None
        calls = [pool.submit(parts.attend, places[i : i + 1]) for i in range(6)]
        together = [call.result()[1] for call in calls]
    np.testing.assert_allclose(np.concatenate(together), alone, atol=1e-4)


def test_a_model_exported_without_the_grids_parts_decodes_in_one_step(
    folder: Path, frame: np.ndarray, tmp_path: Path
) -> None:
    for name in ONNX_FILES:
        shutil.copy(folder / name, tmp_path / name)
    backend = OnnxBackend(tmp_path, threads=1)
    assert backend.point_decoder(*backend.encode(frame)) is None

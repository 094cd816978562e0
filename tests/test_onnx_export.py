import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from random_model import SMALL_TINY, SMALL_VIT, exported_folder, random_sam

from maskmill import onnx_export
from maskmill.config import ModelConfig
from maskmill.errors import CheckpointError
from maskmill.model.checkpoint import SMALL_TENSOR, load_model, save_model
from maskmill.model.sam import Sam
from maskmill.onnx_backend import ENCODER_FILE, GRID_FILES, ONNX_FILES
from maskmill.onnx_export import (
    MAX_LOGIT_DIFFERENCE,
    MIN_MASK_IOU,
    Parity,
    export,
    measure_parity,
    round_to_float16,
)
from maskmill.weights import builtin_models, model_folder, read_card, verify


@pytest.fixture(params=["random", *(name for name in builtin_models() if name == "tiny")])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model that was just exported; and the one that ships, if it is there."""
    name: str = request.param
    return exported_folder(tmp_path_factory) if name == "random" else model_folder(name)


def initialisers(path: Path) -> list[np.ndarray]:
    return [onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]


@pytest.mark.slow
def test_both_runtimes_agree(folder: Path) -> None:
    parity = measure_parity(load_model(folder)[0], folder, seed=11)
    assert parity.logit_difference < MAX_LOGIT_DIFFERENCE
    assert parity.iou_difference < MAX_LOGIT_DIFFERENCE
    assert parity.mask_iou >= MIN_MASK_IOU


def test_parity_is_measured_on_masks_that_are_neither_full_nor_empty() -> None:
    sam = random_sam(SMALL_TINY)
    random = np.random.default_rng(11)
    frame = onnx_export._random_frame(sam.config, random)
    coords, labels, _ = onnx_export._random_prompts(sam.config, random, 5, 2, 1, 0)
    with torch.no_grad():
        embedding, high_res = sam.encode(torch.from_numpy(frame))
        logits, _ = sam.decode(
            embedding,
            high_res,
            torch.from_numpy(coords),
            torch.from_numpy(labels),
            multimask_output=True,
        )
    assert logits.std() > 1
    assert 0.02 < (logits > 0).float().mean() < 0.98


@pytest.mark.slow
def test_large_weights_are_stored_in_half_the_bytes(folder: Path) -> None:
    for name in ONNX_FILES:
        large = [v.dtype for v in initialisers(folder / name) if v.size >= SMALL_TENSOR]
        # The decoders hold the cells' positions too, which are computed and not learned.
        assert large.count(np.dtype(np.float32)) <= (name != ENCODER_FILE)
        assert large.count(np.dtype(np.float16)) >= 4


@pytest.mark.slow
def test_files_name_nothing_of_the_machine_that_wrote_them(folder: Path) -> None:
    for path in (folder / file for file in (*ONNX_FILES, *GRID_FILES)):
        content = path.read_bytes()
        for word in (b"site-packages", b".py", b"/home/", b"/root/", b"/tmp/", b"stack_trace"):
            assert word not in content, f"{path.name} contains {word!r}"


@pytest.mark.slow
def test_the_card_holds_the_digests_of_the_new_files(folder: Path) -> None:
    assert {*ONNX_FILES, *GRID_FILES} < set(read_card(folder)["files"])
    verify(folder)


@pytest.mark.slow
def test_inputs_and_outputs_are_float32_under_their_documented_names(folder: Path) -> None:
    finer = ["high_res_8", "high_res_4"]
    prompt = ["embedding", *finer, "point_coords", "point_labels"]
    drawn = ["low_res_mask_logits", "predicted_iou"]
    expected = {
        "encoder.onnx": (["image"], ["embedding", *finer]),
        "decoder.onnx": (prompt, drawn),
        "decoder_mask.onnx": ([*prompt, "mask_input"], drawn),
    }
    for file, (first, last) in {
        "grid_share.onnx": ("embedding", "canvas.pixels"),
        "grid_attend.onnx": ("embedding", "seen.second.scale"),
        "grid_draw.onnx": ("canvas.base", "predicted_iou"),
    }.items():
        graph = onnx.load(folder / file).graph
        assert (graph.input[0].name, graph.output[-1].name) == (first, last)
    for file, (inputs, outputs) in expected.items():
        graph = onnx.load(folder / file).graph
        assert [i.name for i in graph.input] == inputs
        assert [o.name for o in graph.output] == outputs
        for value in (*graph.input, *graph.output):
            assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_papers_encoder_exports(tmp_path: Path) -> None:
    sam = random_sam(SMALL_VIT)
    name, model = next(iter(onnx_export.graphs(sam)))
    onnx.save(model, tmp_path / name)
    frame = onnx_export._random_frame(sam.config, np.random.default_rng(0))
    session = onnxruntime.InferenceSession(tmp_path / name, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected, _ = sam.encode(torch.from_numpy(frame))
    (found,) = session.run(None, {"image": frame})
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def one_small_graph(sam: Sam) -> list[tuple[str, onnx.ModelProto]]:
    """Stand in for the minute that tracing takes, where the graphs are never run."""
    graph = onnx.helper.make_graph([], "none", [], [])
    return [(name, onnx.helper.make_model(graph)) for name in ONNX_FILES]


@pytest.mark.parametrize(
    "parity",
    [
        Parity(logit_difference=0.002, iou_difference=0.0, mask_iou=1.0),
        Parity(logit_difference=0.0, iou_difference=0.0, mask_iou=0.99),
        Parity(logit_difference=math.nan, iou_difference=0.0, mask_iou=1.0),
    ],
)
def test_files_that_disagree_are_refused_and_leave_the_old_ones(
    parity: Parity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "graphs", one_small_graph)
    monkeypatch.setattr(onnx_export, "measure_parity", lambda sam, folder: parity)
    (tmp_path / "encoder.onnx").write_bytes(b"of an earlier export")
    with pytest.raises(CheckpointError, match="differ by"):
        export(random_sam(SMALL_TINY), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["encoder.onnx"]
    assert (tmp_path / "encoder.onnx").read_bytes() == b"of an earlier export"


@pytest.mark.slow
def test_parity_notices_other_weights(tmp_path_factory: pytest.TempPathFactory) -> None:
    other = random_sam(SMALL_TINY, seed=4)
    parity = measure_parity(other, exported_folder(tmp_path_factory))
    assert parity.logit_difference > 0.1
    assert parity.mask_iou < MIN_MASK_IOU


def test_a_model_in_training_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"sam\.eval"):
        export(random_sam(SMALL_TINY).train(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rounding_makes_what_save_model_stores_exact(tmp_path: Path) -> None:
    sam = random_sam(SMALL_TINY)
    before = {name: t.clone() for name, t in sam.state_dict().items()}
    round_to_float16(sam)
    assert not torch.equal(
        before["mask_decoder.transformer.layers.0.mlp.lin1.weight"],
        sam.mask_decoder.transformer.layers[0].mlp.lin1.weight,  # type: ignore[union-attr, arg-type]
    )
    assert torch.equal(
        before["image_encoder.stem.0.1.running_var"],
        sam.state_dict()["image_encoder.stem.0.1.running_var"],
    )
    save_model(tmp_path, sam, {}, dtype=torch.float16)
    loaded = load_model(tmp_path)[0].state_dict()
    for name, tensor in sam.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


def test_rounding_refuses_what_float16_cannot_hold() -> None:
    sam = random_sam(SMALL_TINY)
    with torch.no_grad():
        sam.mask_decoder.transformer.layers[0].mlp.lin1.weight[3, 5] = 70_000  # type: ignore[union-attr, index]
    with pytest.raises(CheckpointError, match=r"lin1\.weight holds 70000"):
        round_to_float16(sam)


@pytest.mark.parametrize("out_chans", [5, 1])
def test_a_folded_convolution_is_its_weight_times_a_factor_per_channel(out_chans: int) -> None:
    random = np.random.default_rng(0)
    weight = random.standard_normal((out_chans, 3, 2, 4)).astype(np.float16).astype(np.float32)
    weight[0] = 0
    factor = random.uniform(-2, 2, (out_chans, 1, 1, 1)).astype(np.float32)
    found = onnx_export._channel_factor(weight, weight * factor)
    assert found is not None
    np.testing.assert_allclose(weight * found, weight * factor, rtol=1e-6)
    per_input = random.uniform(1, 2, (1, 3, 1, 1)).astype(np.float32)
    if out_chans > 1:
        assert onnx_export._channel_factor(weight, weight * per_input) is None


def test_masks_of_both_runtimes_that_are_empty_agree() -> None:
    empty = np.zeros((2, 1, 4, 5), bool)
    half = empty.copy()
    half[0, 0, :2] = True
    assert onnx_export._smallest_iou(empty, empty) == 1.0
    assert onnx_export._smallest_iou(half, empty) == 0.0
    assert onnx_export._smallest_iou(half, half) == 1.0


def test_prompts_of_the_parity_check_lie_in_the_input_frame() -> None:
    config: ModelConfig = replace(SMALL_TINY, input_side=64)
    coords, labels, mask = onnx_export._random_prompts(config, np.random.default_rng(0), 3, 2, 1, 1)
    assert coords.shape == (3, 4, 2)
    assert labels[:, 2:].tolist() == [[2, 3]] * 3
    assert (coords[:, 2] <= coords[:, 3]).all()
    assert 0 <= coords.min() <= coords.max() <= 64
    assert mask is not None
    assert mask.shape == (3, 1, 16, 16)

import json
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from paper_model import SMALL, reference_model, small_sam
from test_published import Malice, write_with_pickle, write_with_torch

from maskmill import weights
from maskmill.config import TINY
from maskmill.errors import CheckpointError, NotFound
from maskmill.model.checkpoint import convert_published, load_model, save_model
from maskmill.model.sam import build


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture(scope="module")
def sam():
    return small_sam()


@pytest.fixture
def folder(tmp_path, sam):
    save_model(tmp_path / "model", sam, {"data": "none"})
    return tmp_path / "model"


def test_a_model_survives_its_folder_bit_for_bit(folder, sam):
    loaded, card = load_model(folder)
    assert same(loaded, sam)
    assert loaded.config == SMALL
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert card == weights.read_card(folder)
    assert card["data"] == "none"
    assert card["parameters"] == sum(p.numel() for p in sam.parameters())


def test_statistics_survive_too(tmp_path):
    tiny = build(TINY)  # in training mode: its running statistics move
    with torch.no_grad():
        tiny.encode(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    save_model(tmp_path, tiny, {})
    assert same(load_model(tmp_path)[0], tiny)


def test_half_precision_rounds_large_tensors_only(tmp_path, sam):
    card = save_model(tmp_path, sam, {}, dtype=torch.float16)
    assert card["dtype"] == "float16"
    loaded = load_model(tmp_path)[0].state_dict()
    stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
    rounded = 0
    for name, tensor in sam.state_dict().items():
        is_large = tensor.numel() >= 4096
        assert stored[name].dtype == (torch.float16 if is_large else torch.float32)
        assert loaded[name].dtype == torch.float32
        expected = tensor.half().float() if is_large else tensor
        assert torch.equal(loaded[name], expected)
        rounded += not torch.equal(expected, tensor)
    assert rounded > 50
    full = sum(tensor.numel() * 4 for tensor in stored.values())
    assert (tmp_path / "model.safetensors").stat().st_size < 0.52 * full


def test_half_precision_saved_again_changes_nothing(tmp_path, sam):
    first = save_model(tmp_path, sam, {}, dtype=torch.float16)
    loaded, card = load_model(tmp_path)
    again = save_model(tmp_path / "again", loaded, card, dtype=torch.float16)
    assert first == again


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6])
def test_weights_that_cannot_be_stored_are_named_and_nothing_is_written(tmp_path, bad):
    broken = small_sam()
    with torch.no_grad():
        broken.image_encoder.neck[0].weight[0, 0] = bad
    with pytest.raises(
        CheckpointError, match=r"image_encoder.neck.0.weight is not finite in float"
    ):
        save_model(tmp_path / "model", broken, {}, dtype=torch.float16)
    assert not list((tmp_path / "model").iterdir())


def test_new_weights_do_not_keep_the_exports_of_the_old(folder, sam):
    (folder / "encoder.onnx").write_bytes(b"made of other weights")
    card = save_model(folder, sam, {})
    assert list(card["files"]) == ["model.safetensors"]
    assert not (folder / "encoder.onnx").exists()


def test_a_damaged_file_is_refused(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        load_model(folder)


def test_a_card_of_another_architecture_is_refused(folder):
    card = json.loads((folder / "card.json").read_text())
    card["config"]["encoder"]["depth"] = 5
    card["config"]["decoder"]["mlp_dim"] = 1024
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError) as caught:
        load_model(folder)
    assert "14 missing (image_encoder.blocks.4.norm1.weight, " in str(caught.value)
    assert "mlp.lin1.weight [2048, 256] instead of [1024, 256]" in str(caught.value)


def test_a_configuration_that_builds_nothing_is_refused(folder):
    card = json.loads((folder / "card.json").read_text())
    card["config"]["encoder"]["num_heads"] = 0
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match="its configuration builds no model"):
        load_model(folder)


def test_a_pickle_called_safetensors_is_refused(tmp_path, sam):
    for write in (write_with_torch, write_with_pickle):
        folder = tmp_path / write.__name__
        card = save_model(folder, sam, {})
        write(folder / "model.safetensors", Malice(tmp_path / "canary"))
        write(tmp_path / "alone.safetensors", Malice(tmp_path / "canary"))
        weights.write_card(folder, card)  # the hash is right, so the reader itself must refuse
        for source in (folder, tmp_path / "alone.safetensors"):
            with pytest.raises(CheckpointError, match="is not a safetensors file"):
                load_model(source)
    assert not (tmp_path / "canary").exists()


def test_a_malicious_pth_is_refused(tmp_path, sam):
    torch.save({**sam.state_dict(), "x": Malice(tmp_path / "canary")}, tmp_path / "sam.pth")
    with pytest.raises(CheckpointError, match=r"sam\.pth is refused"):
        load_model(tmp_path / "sam.pth")
    assert not (tmp_path / "canary").exists()


@pytest.mark.reference
def test_the_references_state_dict_loads_by_its_own_keys_and_converts(tmp_path, reference):
    model = reference_model(reference, SMALL)
    path = tmp_path / "sam_small.pth"
    torch.save(model.state_dict(), path)
    loaded, card = load_model(path)
    assert same(loaded, model)
    assert card["name"] == loaded.config.name == "vit"
    converted = convert_published(path, tmp_path / "converted")
    assert converted["converted_from"] == "sam_small.pth"
    again, card = load_model(tmp_path / "converted")
    assert same(again, model)
    assert card == converted
    assert again.config == loaded.config


def test_missing_and_unexpected_keys_are_listed(tmp_path, sam):
    state = sam.state_dict()
    for name in ("image_encoder.neck.1.bias", "mask_decoder.iou_token.weight"):
        del state[name]
    state |= {f"text_encoder.{i}": torch.ones(1) for i in range(5)}
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(CheckpointError) as caught:
        load_model(tmp_path / "x.pth")
    told = str(caught.value)
    assert "2 missing (image_encoder.neck.1.bias, mask_decoder.iou_token.weight)" in told
    assert "5 unexpected (text_encoder.0, text_encoder.1, text_encoder.2, ...)" in told


def test_whole_numbers_are_no_weights(tmp_path, sam):
    state = {name: tensor.to(torch.int8) for name, tensor in sam.state_dict().items()}
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"of another kind \(.*torch.int8"):
        load_model(tmp_path / "x.pth")


def test_the_loaded_model_does_not_hang_on_its_file(folder, sam):
    loaded, _ = load_model(folder)
    (folder / "model.safetensors").write_bytes(b"")  # a mapped file would now end the process
    assert same(loaded, sam)


def test_nothing_there(tmp_path):
    with pytest.raises(NotFound, match="no model"):
        load_model(tmp_path / "nothing")
    with pytest.raises(NotFound, match="no file"):
        convert_published(tmp_path / "nothing.pth", tmp_path / "out")


def test_loading_does_not_load_the_compiler(tmp_path) -> None:
    # It would be a fifth of the memory that everything mode may take.
    save_model(tmp_path, build(TINY).eval(), {})
    program = (
        "import sys; from maskmill.model.checkpoint import load_model; "
        f"load_model({str(tmp_path)!r}); print('sympy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout == "False\n", ran.stderr

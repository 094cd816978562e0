import pickle
import subprocess
from pathlib import Path

import pytest
import torch
from paper_model import SMALL, small_sam

from maskmill.config import MODEL_CONFIGS
from maskmill.errors import CheckpointError
from maskmill.model.published import read_pickle, recognise
from maskmill.model.sam import build


class Malice:
    """When unpickled by an unrestricted reader, leave a file behind."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return subprocess.call, (["touch", str(self.canary)],)


def write_with_torch(path, content):
    torch.save(content, path)


def write_with_old_torch(path, content):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def write_with_pickle(path, content):
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("write", [write_with_torch, write_with_old_torch, write_with_pickle])
@pytest.mark.parametrize("whole", [True, False])
def test_code_in_a_checkpoint_never_runs(tmp_path, write, whole):
    canary, path = tmp_path / "canary", tmp_path / "sam_vit_b.pth"
    write(path, Malice(canary) if whole else {"weight": torch.ones(2), "extra": Malice(canary)})
    with pytest.raises(CheckpointError, match=r"sam_vit_b\.pth"):
        read_pickle(path)
    assert not canary.exists()


def test_the_malice_of_these_tests_is_real(tmp_path):
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(Malice(canary)))
    assert canary.exists()


def test_what_a_refused_file_asked_for_is_named(tmp_path):
    torch.save({"x": Malice(tmp_path / "canary")}, tmp_path / "x.pth")
    with pytest.raises(
        CheckpointError, match=r"asks for (subprocess|commands).call, which could run code"
    ):
        read_pickle(tmp_path / "x.pth")


def test_a_whole_module_is_refused_without_advice_to_trust_it(tmp_path):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"asks for torch.nn.modules.linear.Linear") as caught:
        read_pickle(tmp_path / "x.pth")
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello world", b"\x80\x02}q\x00.", b"PK\x03\x04", b"\x80\x04\x95", bytes(range(256))],
)
def test_bytes_that_are_no_checkpoint_are_refused(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pth cannot be read as a checkpoint"):
        read_pickle(tmp_path / "x.pth")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_download_is_refused(tmp_path, share):
    torch.save({"weight": torch.ones(1000)}, tmp_path / "x.pth")
    content = (tmp_path / "x.pth").read_bytes()
    (tmp_path / "x.pth").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=r"x\.pth cannot be read as a checkpoint"):
        read_pickle(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "content",
    [
        [torch.ones(2)],
        {"model": {"weight": torch.ones(2)}},
        {1: torch.ones(2)},
        {"weight": torch.ones(2).to_sparse()},
        {"weight": torch.ones(2, device="meta")},
        # Four bytes that claim to be four gigabytes.
        {"weight": torch.ones(1).expand(2**30)},
    ],
)
def test_only_plain_tensors_pass(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="is no state dict of plain tensors"):
        read_pickle(tmp_path / "x.pth")


def test_a_state_dict_passes_in_both_of_torchs_formats(tmp_path):
    state = {"weight": torch.arange(6.0).reshape(2, 3)[:, 1:], "count": torch.tensor(3)}
    for write in (write_with_torch, write_with_old_torch):
        write(tmp_path / "x.pth", state)
        read = read_pickle(tmp_path / "x.pth")
        assert read.keys() == state.keys()
        assert all(torch.equal(read[name], state[name]) for name in state)


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_the_papers_models_are_recognised(name):
    with torch.device("meta"):
        state = build(MODEL_CONFIGS[name]).state_dict()
    assert recognise(state, Path("x.pth")) == MODEL_CONFIGS[name]


def test_another_size_is_recognised_too():
    found = recognise(small_sam().state_dict(), Path("x.pth"))
    assert (found.encoder, found.decoder, found.input_side) == (
        SMALL.encoder,
        SMALL.decoder,
        SMALL.input_side,
    )
    assert found.name == "vit"


@pytest.mark.parametrize(
    "name",
    [
        "image_encoder.pos_embed",
        "image_encoder.blocks.0.attn.rel_pos_h",
        "mask_decoder.mask_tokens.weight",
        "prompt_encoder.mask_downscaling.3.weight",
    ],
)
def test_what_is_no_model_of_the_paper_is_refused(name):
    whole = small_sam().state_dict()
    for state in (
        {key: tensor for key, tensor in whole.items() if key != name},
        {**whole, name: torch.ones(())},
    ):
        with pytest.raises(CheckpointError, match=r"x\.pth is not a model of the paper"):
            recognise(state, Path("x.pth"))

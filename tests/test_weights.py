import hashlib
import json
import subprocess
import sys

import pytest

from maskmill import weights
from maskmill.config import TINY
from maskmill.errors import CheckpointError, NotFound

CONTENT = b"as good as weights"


@pytest.fixture
def folder(tmp_path):
    """A model's folder; nothing in this module looks inside a weight file."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(CONTENT)
    (folder / "encoder.onnx").write_bytes(b"onnx")
    weights.write_card(folder, {"name": "mine", "config": weights.config_to_json(TINY), "by": "me"})
    return folder


def test_a_card_holds_what_was_said_and_the_hash_of_every_file(folder):
    card = weights.read_card(folder)
    assert card["by"] == "me"
    assert card["files"] == {
        "encoder.onnx": hashlib.sha256(b"onnx").hexdigest(),
        "model.safetensors": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert weights.config_of(card) == TINY
    assert weights.model_id_of(card) == f"mine-{hashlib.sha256(CONTENT).hexdigest()[:12]}"
    assert weights.verify(folder) == card


def test_the_card_as_returned_is_the_card_as_read(folder):
    card = weights.read_card(folder)
    assert weights.write_card(folder, card) == card == weights.read_card(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "encoder.onnx"])
def test_a_damaged_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CheckpointError, match=f"{name} is damaged"):
        weights.verify(folder)


def test_a_missing_file_is_named(folder):
    (folder / "encoder.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"encoder\.onnx, which the model's card names"):
        weights.verify(folder)


def test_a_weight_file_that_the_card_does_not_know_is_refused(folder):
    (folder / "decoder.onnx").write_bytes(b"from elsewhere")
    with pytest.raises(CheckpointError, match=r"decoder.onnx is not on the model's card"):
        weights.verify(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "has format 2"),
        ({"name": 5}, "name is 5"),
        ({"config": None}, "config is None"),
        ({"files": {}}, "names no model.safetensors"),
        ({"files": {"../../etc/passwd": "0" * 64}}, "a file it must not"),
        ({"files": {"/etc/passwd": "0" * 64}}, "a file it must not"),
        ({"files": {"model.safetensors": "short"}}, "a file it must not"),
        ({"files": {"model.safetensors": 7}}, "a file it must not"),
    ],
)
def test_a_hostile_card_is_refused(folder, change, message):
    card = weights.read_card(folder)
    (folder / "card.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(CheckpointError, match=message):
        weights.read_card(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"card"', "\xff", "[" * 100_000, " " * 1_000_001]
)
def test_what_is_no_card_is_refused(folder, text):
    (folder / "card.json").write_text(text, "latin-1")
    with pytest.raises(CheckpointError, match=r"card\.json"):
        weights.read_card(folder)


def test_there_is_no_card(tmp_path):
    with pytest.raises(NotFound, match=r"card\.json"):
        weights.read_card(tmp_path)


def test_a_folder_is_found_by_its_path(folder):
    assert weights.model_folder(folder) == folder
    assert weights.model_folder(str(folder)) == folder


def test_a_built_in_model_is_found_by_its_name_and_before_a_folder(monkeypatch, folder):
    monkeypatch.setattr(weights, "_builtin_folder", lambda: folder.parent)
    monkeypatch.chdir(folder.parent)
    assert weights.builtin_models() == ["model"]
    assert weights.model_folder("model") == folder
    assert weights.model_folder("./model").resolve() == folder


def test_whatever_ships_in_the_package_is_whole():
    for name in weights.builtin_models():
        card = weights.verify(weights.model_folder(name))
        assert card["name"] == name
        weights.config_of(card)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no model"),
        (lambda path: path.mkdir(), r"holds no card\.json"),
        (lambda path: path.write_bytes(b""), "maskmill model convert"),
    ],
)
def test_what_is_no_model_is_told_apart(tmp_path, make, message):
    make(tmp_path / "thing")
    with pytest.raises(NotFound, match=message):
        weights.model_folder(tmp_path / "thing")


NO_WEIGHTS = [
    (b"", r"empty \(0 bytes\); download"),
    (b"<!DOCTYPE html>\n<title>Not found</title>", "is a text that begins '<!DOCTYPE html>'"),
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    (b"hello", "is a text that begins 'hello', not a checkpoint"),
]


@pytest.mark.parametrize(("content", "message"), NO_WEIGHTS)
def test_what_cannot_be_weights_is_said_so(tmp_path, content, message):
    (tmp_path / "sam.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"sam\.pth .*{message}"):
        weights.refuse_no_weights(tmp_path / "sam.pth")


def test_what_may_be_weights_is_left_to_their_readers(tmp_path):
    heads = {"zip": b"PK\x03\x04", "pickle": b"\x80\x02", "safetensors": b"\x40\0\0\0\0\0\0\0{}"}
    for name, head in heads.items():
        (tmp_path / name).write_bytes(head)
        weights.refuse_no_weights(tmp_path / name)
    weights.refuse_no_weights(tmp_path / "missing.pth")
    weights.refuse_no_weights(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_no_litter(monkeypatch, tmp_path):
    path = tmp_path / "file"
    weights.write_atomically(path, b"old")

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        weights.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_cards_are_read_without_any_framework():
    code = (
        "import sys, maskmill.weights;"
        "sys.exit(bool({'torch', 'onnxruntime', 'safetensors'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

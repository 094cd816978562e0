"""Models on disk: which ship in the package, what their cards say, whether their files are whole.

A model is a folder: `model.safetensors`, perhaps `encoder.onnx` and `decoder.onnx`, and
`card.json`, which names the architecture and the SHA-256 of every other file. Built-in models are
folders beside this file. Nothing here needs PyTorch or ONNX Runtime, or knows what a weight file
holds.
"""

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any, cast

from maskmill.config import ModelConfig
from maskmill.durable import write_atomically
from maskmill.errors import CheckpointError, NotFound
from maskmill.weights.architecture import config_from_json as config_from_json
from maskmill.weights.architecture import config_to_json as config_to_json

CARD = "card.json"
WEIGHTS = "model.safetensors"
FORMAT = 1
MAX_CARD_BYTES = 1_000_000

Card = dict[str, Any]
"""What `card.json` holds: name, config, parameters, dtype, files, and what else is to be told."""


def builtin_models() -> list[str]:
    """List the models that ship in the package, by name.

    Example:
        >>> isinstance(builtin_models(), list)
        True
    """
    return sorted(path.parent.name for path in _builtin_folder().glob(f"*/{CARD}"))


def model_folder(model: str | Path) -> Path:
    """Find a model's folder.

    Args:
        model: A built-in name, or the path of a folder that holds a card. Where both exist the
            built-in one is meant; write `./name` for the folder.

    Returns:
        A folder that holds a card.

    Raises:
        NotFound: If there is no such model; the message lists the built-in names.
    """
    if str(model) in builtin_models():
        return _builtin_folder() / model
    folder = Path(model)
    if (folder / CARD).is_file():
        return folder
    known = ", ".join(builtin_models()) or "none"
    if folder.is_dir():
        raise NotFound(f"{folder} holds no {CARD}; name a model's folder or a built-in: {known}")
    if folder.is_file():
        raise NotFound(
            f"{folder} is a file, not a model's folder; "
            f"convert it first: maskmill model convert {folder} FOLDER"
        )
    raise NotFound(f"no model {str(model)!r}; give a model's folder or one of: {known}")


def read_card(folder: Path) -> Card:
    """Read a model's card and check its form; the files it names are not opened, see `verify`.

    Raises:
        NotFound: If there is no card.
        CheckpointError: If the card is no JSON object of this format or lacks something.
    """
    path = Path(folder) / CARD
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        raise NotFound(f"cannot read {path}: {error.strerror}; name a model's folder") from error
    if len(text) > MAX_CARD_BYTES:
        raise CheckpointError(f"{path} is larger than {MAX_CARD_BYTES} bytes; it is not a card")
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}; fetch the model again") from error
    _check_card(card, path)
    return cast(Card, card)


def verify(folder: Path) -> Card:
    """Read a model's card and check the SHA-256 of every file that it names.

    Returns:
        The card.

    Raises:
        NotFound: If there is no card.
        CheckpointError: If a file is missing or is not the one that the card was written for, or if
            a weight file lies in the folder that the card does not know.
    """
    folder = Path(folder)
    card = read_card(folder)
    for name, expected in card["files"].items():
        found = _sha256(folder / name)
        if found != expected:
            raise CheckpointError(
                f"{folder / name} is damaged: its SHA-256 begins {found[:12]}, its card says "
                f"{expected[:12]}; fetch or convert the model again"
            )
    for suffix in ("*.onnx", "*.safetensors"):
        for path in folder.glob(suffix):
            if path.name not in card["files"]:
                raise CheckpointError(
                    f"{path} is not on the model's card; delete it, or export the model again"
                )
    return card


def write_card(folder: Path, card: Card) -> Card:
    """Write a model's card, with the SHA-256 of every file that is in its folder now.

    Args:
        folder: A model's folder; its other files are complete.
        card: What to say; `format` and `files` are filled in.

    Returns:
        The card as written.

    Raises:
        CheckpointError: If the card lacks something that every card has.
    """
    folder = Path(folder)
    files = {
        path.name: _sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != CARD and not path.name.endswith(".part")
    }
    text = json.dumps({**card, "format": FORMAT, "files": files}, indent=2, ensure_ascii=False)
    written: Card = json.loads(text)
    _check_card(written, folder / CARD)
    write_atomically(folder / CARD, f"{text}\n".encode())
    return written


def refuse_no_weights(path: Path) -> None:
    """Refuse a file that cannot be a checkpoint, by its size and first bytes.

    The readers of weights say of such files only what byte they stumbled over. A file that is not
    there is left to them.

    Raises:
        CheckpointError: If the file is empty or a text; the message says what it seems to be.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(256)
    if not head:
        raise CheckpointError(f"{path} is empty (0 bytes); download or copy it again")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a pointer of Git LFS, no weights; run `git lfs pull`")
    # Weights begin with a length, a zip archive's mark or a pickle's: none of them is a text.
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        start = head[:40].decode("ascii").split("\n")[0].strip()
        raise CheckpointError(
            f"{path} is a text that begins {start!r}, not a checkpoint; download the weights"
        )


def model_id_of(card: Card) -> str:
    """Name these very weights: the model's name and the first 12 hex digits of their SHA-256.

    Example:
        >>> model_id_of({"name": "tiny", "files": {"model.safetensors": "0123456789abcdef"}})
        'tiny-0123456789ab'
    """
    return f"{card['name']}-{card['files'][WEIGHTS][:12]}"


def config_of(card: Card) -> ModelConfig:
    """Read the architecture off a card.

    Raises:
        CheckpointError: If a field is missing, unknown or of the wrong kind.
    """
    return config_from_json(card["config"])


def _check_card(card: Any, path: Path) -> None:
    kinds = {"format": int, "name": str, "config": dict, "files": dict}
    if not isinstance(card, dict):
        raise CheckpointError(f"{path} holds no JSON object; it is not a model's card")
    for key, kind in kinds.items():
        if type(card.get(key)) is not kind:
            raise CheckpointError(
                f"{path} is not a model's card: {key} is {card.get(key)!r}, not a {kind.__name__}"
            )
    if card["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {card['format']}; this maskmill reads {FORMAT}: upgrade it"
        )
    for name, digest in card["files"].items():
        # A card may come from anywhere; a name with a path in it would have us read other files.
        if Path(name).name != name or not isinstance(digest, str) or len(digest) != 64:
            raise CheckpointError(f"{path} names a file it must not: {name!r} with {digest!r}")
    if WEIGHTS not in card["files"]:
        raise CheckpointError(f"{path} names no {WEIGHTS}; fetch or convert the model again")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}, which the model's card names: {error.strerror}"
        ) from error


def _builtin_folder() -> Path:
    return Path(str(resources.files(__name__)))

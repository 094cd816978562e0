"""The small networks that a round trains beside a model, as files: an ONNX graph and a card.

A head reads one model's embeddings and changes nothing in it, so a project keeps heads beside its
models, each in a folder named after its model. A folder is written whole or not at all.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from maskmill.errors import CheckpointError, NotFound
from maskmill.values import Embedding

Kind = Literal["detector", "regions", "categories"]
NAMES: dict[Kind, str] = {
    "detector": "detector",
    "regions": "region head",
    "categories": "category head",
}
FOLDERS: dict[Kind, str] = {
    "detector": "detectors",
    "regions": "regions",
    "categories": "categories",
}
"""Of a project."""
MAX_DIFFERENCE = 1e-3
"""What ONNX Runtime and PyTorch may differ by, in logits or chances."""


def head_folder(project: Path, kind: Kind, model_id: str) -> Path:
    """Return where a model's head lies in a project's folder, or would."""
    return project / FOLDERS[kind] / model_id


def has_head(folder: Path, kind: Kind) -> bool:
    """Say whether a folder holds a head of this kind."""
    return (folder / f"{kind}.json").is_file()


def read_head_card(folder: Path, kind: Kind, needed: set[str]) -> dict[str, Any]:
    """Read what is said of a head.

    Raises:
        NotFound: If there is none.
        CheckpointError: If the card is damaged, or lacks what is `needed`.
    """
    path = folder / f"{kind}.json"
    try:
        card = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"{folder} holds no {NAMES[kind]}; a round trains one") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged ({error}); run a round again") from error
    if not isinstance(card, dict) or not needed <= set(card):
        raise CheckpointError(f"{path} is not a {NAMES[kind]}'s card; run a round again")
    return card


def open_head(folder: Path, kind: Kind) -> Any:
    """Open a head's graph with ONNX Runtime, on one thread.

    Raises:
        CheckpointError: If it cannot be used.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    path = folder / f"{kind}.onnx"
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own classes derive from nothing narrower
        raise CheckpointError(
            f"{path} is not a usable ONNX file; run a round to train another"
        ) from error


def refuse_other_model(embedding: Embedding, card: dict[str, Any], kind: Kind) -> None:
    """Refuse what another model made of an image.

    Raises:
        ValueError: If it did.
    """
    if embedding.model_id != card["model"]:
        raise ValueError(
            f"the embedding was made by {embedding.model_id!r}, this {NAMES[kind]} reads those of "
            f"{card['model']!r}; embed the image with that model"
        )


def write_head(
    kind: Kind, graph: bytes, card: dict[str, Any], out: Path, difference: Callable[[Path], float]
) -> Path:
    """Put a head where it belongs, if it does in ONNX Runtime what it did in PyTorch.

    Args:
        kind: Which.
        graph: Of ONNX.
        card: What to say of it.
        out: The folder to make; one that is there is replaced.
        difference: Given a folder with the head, how far the two runtimes lie apart.

    Raises:
        CheckpointError: If that is more than `MAX_DIFFERENCE`.
    """
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    (part / f"{kind}.onnx").write_bytes(graph)
    (part / f"{kind}.json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    apart = difference(part)
    if not apart <= MAX_DIFFERENCE:
        raise CheckpointError(
            f"ONNX Runtime and PyTorch differ by {apart:.2g} on the {NAMES[kind]}; report this"
        )
    shutil.rmtree(out, ignore_errors=True)
    part.rename(out)
    return out

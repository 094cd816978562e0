"""The model that a round starts from: the project's own, the embedded default, or another one.

Another one is a path: a model's folder, or a published checkpoint. So a project moves to a larger
image encoder once it has the masks for it, as the paper's data engine did.
"""

from pathlib import Path

from maskmill.config import ModelConfig
from maskmill.errors import NotFound
from maskmill.weights import CARD, builtin_models, config_of, model_folder, read_card, verify

KNOWN = ("current", "default")
"""What a round starts from without a path."""


def settled_start(start: str) -> str:
    """Check what a round is to start from, and make a path absolute.

    Args:
        start: `current`, `default`, or the path of a model's folder or of a published checkpoint.

    Raises:
        NotFound: If nothing of the kind is there.
        CheckpointError: If it is damaged, unsafe or of no known architecture.
    """
    if start in KNOWN:
        return start
    path = Path(start).absolute()
    if (path / CARD).is_file():
        config_of(verify(path))
    elif path.is_file():
        architecture_of(path)
    else:
        raise NotFound(
            f"a round cannot start from {start!r}: {path} is no file, and no folder that holds a "
            f"{CARD}; name a model's folder, a published checkpoint (.pth or .safetensors), "
            "current or default"
        )
    return str(path)


def architecture_of(model: str | Path) -> ModelConfig:
    """Read what a model is made of: off its card, or off the tensors of a published checkpoint.

    Args:
        model: As for `maskmill.model.checkpoint.load_model`.

    Raises:
        NotFound: If there is no such model.
        CheckpointError: If it is damaged, unsafe or of no known architecture.
    """
    if str(model) not in builtin_models() and Path(model).is_file():
        from maskmill.model.checkpoint import published_config

        return published_config(Path(model))
    return config_of(read_card(model_folder(model)))


def start_name(start: str | None) -> str | None:
    """Return the name of the file or folder that a round starts from; None without a path.

    Example:
        >>> start_name("/models/sam_vit_b_01ec64.pth")
        'sam_vit_b_01ec64.pth'
    """
    return None if start is None or start in KNOWN else Path(start).name

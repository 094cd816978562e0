"""Weights to files and back: our folders of safetensors and card, and published state dicts.

Where a model's folder lies and what its card must say is `maskmill.weights`' business; how a
published file is read without running its code, and recognised, is `maskmill.model.published`'s.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from maskmill.config import ModelConfig
from maskmill.durable import write_atomically
from maskmill.errors import CheckpointError, NotFound
from maskmill.model.published import read_pickle, recognise
from maskmill.model.sam import Sam
from maskmill.weights import (
    WEIGHTS,
    Card,
    builtin_models,
    config_of,
    config_to_json,
    model_folder,
    refuse_no_weights,
    verify,
    write_card,
)

SMALL_TENSOR = 4096  # numbers; below this a tensor stays in float32, for it weighs nothing
NAMED_IN_ERRORS = 3  # keys of each kind that an error lists


def load_model(source: str | Path) -> tuple[Sam, Card]:
    """Load a model from wherever it is, in float32, on the CPU, ready for inference.

    Args:
        source: A built-in name, a folder that `save_model` wrote, or a state dict of the paper's
            vit_b, vit_l or vit_h under the published keys (`.pth`, or `.safetensors` by itself).

    Returns:
        The model in evaluation mode, and its card; of a lone file the card has a name and a
        config, but no files.

    Raises:
        NotFound: If there is no such model.
        CheckpointError: If a file is damaged, unsafe or of another architecture.
    """
    if str(source) not in builtin_models() and Path(source).is_file():
        sam = load_published(Path(source))
        return sam, {"name": sam.config.name, "config": config_to_json(sam.config)}
    folder = model_folder(source)
    card = verify(folder)
    sam = _assemble(config_of(card), _read_safetensors(folder / WEIGHTS), folder / WEIGHTS)
    return sam, card


def save_model(
    folder: str | Path, sam: Sam, card: Card, *, dtype: torch.dtype = torch.float32
) -> Card:
    """Write a model as `model.safetensors` and `card.json`; each file atomically, the card last.

    A process killed between the two leaves a card that does not fit the weights: `load_model` then
    refuses the folder. ONNX files that are there already belong to other weights and are removed.

    Args:
        folder: Where to; made if it does not exist.
        sam: The model.
        card: What else to say about it. A `name` in it replaces the architecture's.
        dtype: What large tensors are stored in; small ones and running statistics stay in float32.
            Loading always gives float32.

    Returns:
        The card as written.

    Raises:
        CheckpointError: If a weight is not finite, or too large for `dtype`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: _stored(name, tensor, dtype) for name, tensor in sam.state_dict().items()}
    for stale in folder.glob("*.onnx"):
        stale.unlink()
    write_atomically(folder / WEIGHTS, safetensors.torch.save(state))
    facts = {
        "name": card.get("name", sam.config.name),
        "config": config_to_json(sam.config),
        "parameters": sum(parameter.numel() for parameter in sam.parameters()),
        "dtype": str(dtype).removeprefix("torch."),
    }
    # Facts first, for the reader; and over a card that was loaded and is saved again.
    return write_card(folder, {**facts, **card, **facts})


def convert_published(source: str | Path, folder: str | Path) -> Card:
    """Turn a published `.pth` into a folder of safetensors and card, number by number the same.

    Args:
        source: A state dict of the paper's vit_b, vit_l or vit_h.
        folder: Where to.

    Returns:
        The card as written.

    Raises:
        NotFound: If there is no such file.
        CheckpointError: If the file is damaged, unsafe or of another architecture.
    """
    source = Path(source)
    return save_model(folder, load_published(source), {"converted_from": source.name})


def load_published(path: Path) -> Sam:
    """Load a state dict under the published keys; its tensors' shapes tell the architecture.

    Raises:
        NotFound: If there is no such file.
        CheckpointError: If the file is damaged, unsafe or of another architecture.
    """
    state = _read_published(path)
    return _assemble(recognise(state, path), state, path)


def published_config(path: Path) -> ModelConfig:
    """Read the architecture off a state dict under the published keys, and build no model.

    Raises:
        NotFound: If there is no such file.
        CheckpointError: If the file is damaged, unsafe or no model of the paper.
    """
    return recognise(_read_published(path), path)


def _read_published(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise NotFound(f"no file {path}; name a published checkpoint such as sam_vit_b_01ec64.pth")
    refuse_no_weights(path)
    return _read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)


def _assemble(config: ModelConfig, state: Mapping[str, Tensor], path: Path) -> Sam:
    """Build the model around the tensors: no random numbers drawn, no second copy held."""
    try:
        with torch.device("meta"), _Unfilled():
            sam = Sam(config)
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError, AssertionError) as error:
        raise CheckpointError(f"{path}: its configuration builds no model: {error}") from error
    _compare(sam.state_dict(), state, path)
    whole = {
        name: tensor.to(torch.float32, copy=True) if tensor.is_floating_point() else tensor.clone()
        for name, tensor in state.items()
    }
    sam.load_state_dict(whole, assign=True)
    return sam.eval()


class _Unfilled(TorchFunctionMode):
    """Leaves out random first weights, which are about to be replaced.

    On tensors without numbers PyTorch would load its compiler for them: 76 MiB and half a second.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.init.normal_:
            return args[0] if args else kwargs["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **kwargs)


def _compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    """Refuse a state dict whose keys or shapes differ, and name the first that do."""
    shared = [name for name in expected if name in found]
    differences = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected],
        "of another shape": [
            f"{name} {list(found[name].shape)} instead of {list(expected[name].shape)}"
            for name in shared
            if found[name].shape != expected[name].shape
        ],
        "of another kind": [
            f"{name} {found[name].dtype}"
            for name in shared
            if found[name].is_floating_point() != expected[name].is_floating_point()
        ],
    }
    told = [
        f"{len(names)} {what} ({', '.join(names[:NAMED_IN_ERRORS])}"
        f"{', ...' if len(names) > NAMED_IN_ERRORS else ''})"
        for what, names in differences.items()
        if names
    ]
    if told:
        raise CheckpointError(
            f"{path} is of another architecture: tensors {'; '.join(told)}; "
            "use the weights that belong to this model"
        )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} is not a safetensors file: {error}; fetch or convert the model again"
        ) from error


def _stored(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.detach().cpu().clone()
    kept = torch.float32 if tensor.numel() < SMALL_TENSOR else dtype
    # A copy each: safetensors refuses tensors that share memory, as an average and a model may.
    stored = tensor.detach().cpu().to(kept, copy=True).contiguous()
    if not stored.isfinite().all():
        raise CheckpointError(
            f"weight {name} is not finite in {str(kept).removeprefix('torch.')}; "
            "training diverged, or store it in float32"
        )
    return stored

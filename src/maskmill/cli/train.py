"""`maskmill train`: train a model on labelled photographs, or go on with a run."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from maskmill.cli.options import ConfigFile, JsonFlag, print_result, require, warn_refused
from maskmill.config import TrainConfig


def train(
    folder: Path,
    /,
    *,
    run: Annotated[Path, Parameter(name=["--run", "-o"])],
    split: str | None = None,
    config: ConfigFile = None,
    settings: Annotated[TrainConfig, Parameter(name="*", negative_iterable=())] = TrainConfig(),  # noqa: B008, frozen
    as_json: JsonFlag = False,
) -> None:
    """Train a model on labelled photographs, in any form that is read.

    Writes metrics.jsonl, loss.png and, at the end, the model. Killed at any moment, the same
    command goes on where the last checkpoint was. Under torchrun it trains on many devices.

    Args:
        folder: The labelled photographs.
        run: Folder of the run; one that holds an unfinished run is resumed.
        split: Use only photographs whose labels name this split, train say; by default all.
    """
    from maskmill.formats import read_dataset

    require("train", "torch", "safetensors", "matplotlib")
    dataset = read_dataset(folder, split=split, sources=settings.sources or None)
    # Loading PyTorch takes seconds: only where there is something to train on.
    from maskmill.train.loop import train as run_training

    is_first = os.environ.get("RANK", "0") == "0"  # torchrun numbers those that it starts
    if is_first:
        warn_refused(dataset.refused)
    model = run_training(dataset.images, run, settings)
    if not is_first:
        return
    result = {
        "run": run,
        "model": model,
        "images": len(dataset),
        "refused": len(dataset.refused),
        "steps": settings.steps,
    }
    print_result(result, as_json=as_json, text=f"Model in {model}; use it with --model {model}")

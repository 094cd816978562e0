"""`maskmill evaluate`: measure a model on labelled photographs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from maskmill.cli.options import (
    BackendName,
    ConfigFile,
    JsonFlag,
    ModelName,
    Workers,
    print_result,
    processes,
    progress_bar,
    warn,
)
from maskmill.config import EvaluateConfig

if TYPE_CHECKING:
    from maskmill.train.evaluate import Evaluation


def evaluate(
    folder: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    workers: Workers = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    config: ConfigFile = None,
    settings: Annotated[EvaluateConfig, Parameter(name="*")] = EvaluateConfig(),  # noqa: B008, frozen
    as_json: JsonFlag = False,
) -> None:
    """Measure clicks, boxes, predicted IoU and everything mode on labelled photographs.

    Args:
        folder: The labelled photographs, a folder in SA-1B form or COCO JSON.
        out: Folder for the numbers as evaluation.json and a picture of the curves.
    """
    from maskmill.train.evaluate import evaluate_in_processes, evaluation_images

    images = evaluation_images(folder, settings)
    with progress_bar("photographs", len(images)) as advance:
        evaluation = evaluate_in_processes(
            model, images, settings, workers=processes(workers), backend=backend, on_image=advance
        )
    for refused in evaluation.refused:
        warn(f"left out: {refused.reason}")
    result = evaluation.to_json()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print_result(result, as_json=as_json, text=table(evaluation))


def table(evaluation: "Evaluation") -> str:
    """Lay the numbers out for reading, one line a number and one column for all and per source."""
    return str(evaluation)

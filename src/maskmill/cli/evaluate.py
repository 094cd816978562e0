"""`maskmill evaluate`: measure a model on labelled photographs."""

import json
import sys
from dataclasses import replace
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
    require,
    warn_refused,
)
from maskmill.config import EvaluateConfig

if TYPE_CHECKING:
    from maskmill.train.scores import Evaluation


def evaluate(
    folder: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    workers: Workers = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    config: ConfigFile = None,
    settings: Annotated[
        EvaluateConfig, Parameter(name="*", negative_iterable=())
    ] = EvaluateConfig(),  # noqa: B008, frozen
    as_json: JsonFlag = False,
) -> None:
    """Measure clicks, boxes, predicted IoU and everything mode on labelled photographs.

    Args:
        folder: The labelled photographs, a folder in SA-1B form or COCO JSON.
        out: Folder for the numbers, evaluation.json, and a picture of the curves, clicks.png.
    """
    from maskmill.predict import Predictor
    from maskmill.train.evaluate import evaluate as measure
    from maskmill.train.evaluate import evaluate_in_processes, evaluation_images
    from maskmill.train.scoreboard import draw_evaluation

    if out is not None:
        require("train", "matplotlib")  # before the hours, not after them
        out.mkdir(parents=True, exist_ok=True)
    size = processes(workers)
    # Here as well as in the workers: a missing model is one error, and an early one.
    predictor = Predictor.load(model, backend=backend, threads=1)
    dataset = evaluation_images(folder, settings)
    images = dataset.images
    with progress_bar("photographs", len(images)) as advance:
        if size == 1:
            evaluation = measure(predictor, images, settings, on_image=advance)
        else:
            evaluation = evaluate_in_processes(
                model, images, settings, workers=size, backend=backend, on_image=advance
            )
    evaluation = replace(evaluation, refused=(*dataset.refused, *evaluation.refused))
    warn_refused(evaluation.refused)
    result = evaluation.to_json()
    if out is not None:
        (out / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        draw_evaluation(evaluation, out / "clicks.png")
    print_result(result, as_json=as_json, text="" if as_json else _table(evaluation))


def _table(evaluation: "Evaluation") -> str:
    from rich.console import Console

    from maskmill.train.scoreboard import scoreboard

    # In a file or a pipe the table keeps its columns whole; only a terminal has a width to fit.
    console = Console(width=None if sys.stdout.isatty() else 240)
    with console.capture() as capture:
        console.print(scoreboard(evaluation))
    return capture.get().rstrip()

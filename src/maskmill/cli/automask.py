"""`maskmill automask`: everything mode, or a deployed model, over a folder."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from maskmill.cli.options import (
    BackendName,
    ConfigFile,
    JsonFlag,
    ModelName,
    OutFolder,
    Workers,
    counted,
    print_result,
    processes,
    progress_bar,
    warn,
)
from maskmill.config import AutomaskConfig, Backend
from maskmill.errors import ConfigError, ImageError, NotFound

if TYPE_CHECKING:
    from maskmill.automask import Finder

NOTES_SHOWN = 20
"""Notes on standard error; a folder of 16-bit images has one for each of thousands."""


def automask(
    folder: Path,
    /,
    *,
    out: OutFolder,
    overlays: Annotated[bool, Parameter(negative="")] = False,
    workers: Workers = None,
    deployment: Path | None = None,
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    config: ConfigFile = None,
    settings: Annotated[
        AutomaskConfig, Parameter(name="*", negative_iterable=())
    ] = AutomaskConfig(),  # noqa: B008, frozen
    as_json: JsonFlag = False,
) -> None:
    """Find every mask in every photograph of a folder.

    Writes SA-1B JSON. A bad file never stops it; killed at any moment, the same command goes on
    with the photographs that are not done.

    Args:
        folder: The photographs; folders inside are searched too.
        overlays: Also write a picture of the masks per photograph.
        deployment: What `maskmill deploy PROJECT` wrote. Its model, heads and thresholds find the
            masks, as stage 3 does in the project, and no other settings are given.
    """
    from maskmill.automask import label_folder

    size = processes(workers)
    if deployment is not None and (model, backend, settings) != ("tiny", "auto", AutomaskConfig()):
        raise ConfigError(
            f"{deployment} says which model and settings find masks; give --deployment alone"
        )
    report = label_folder(
        folder,
        out,
        _everything(settings, model, backend) if deployment is None else _deployed(deployment),
        workers=0 if size == 1 else size,
        progress=sys.stderr.isatty(),
    )
    for name, reason in report.failed:
        warn(f"left out: {name}: {reason}")
    for name, note in report.notes[:NOTES_SHOWN]:
        warn(f"{name}: {note}")
    if len(report.notes) > NOTES_SHOWN:
        more = counted(len(report.notes) - NOTES_SHOWN, "more note")
        warn(f"{more} like these; --json lists all")
    if not report.images:
        raise NotFound(f"{folder} holds no photograph; name a folder of image files")
    if len(report.failed) == report.images:
        raise ImageError(
            f"none of {counted(report.images, 'photograph')} could be used; see {out}/errors.jsonl"
        )
    if report.done and not report.masks:
        warn("no mask passed; lower --pred-iou-thresh and --stability-score-thresh")
    if overlays:
        _draw_overlays(folder, out)
    result = {
        "out": out,
        "images": report.images,
        "done": report.done,
        "already_done": report.already_done,
        "masks": report.masks,
        "failed": [{"image": name, "reason": reason} for name, reason in report.failed],
        "notes": [{"image": name, "note": note} for name, note in report.notes],
    }
    text = f"{counted(report.masks, 'mask')} of {counted(report.done, 'photograph')} in {out}"
    if report.already_done:
        text += f"; {report.already_done} done before"
    print_result(result, as_json=as_json, text=text)


def _everything(settings: AutomaskConfig, model: str, backend: Backend) -> "Finder":
    from maskmill.automask.folder import Everything
    from maskmill.predict import Predictor

    return Everything(settings, partial(Predictor.load, model, backend=backend, threads=1))


def _deployed(folder: Path) -> "Finder":
    from maskmill.deploy import DeployedFinder

    return DeployedFinder(folder.absolute())


def _draw_overlays(folder: Path, out: Path) -> None:
    """Draw the masks of every photograph that has some and no picture of them yet."""
    from maskmill.automask.overlays import draw_overlays, photographs, without_overlay

    left = without_overlay(out, photographs(folder))
    with progress_bar("overlays", len(left)) as advance:
        draw_overlays(out, folder, left, on_image=advance)

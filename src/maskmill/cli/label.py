"""`maskmill label`: stage 3, the model labels what nobody has labelled."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from maskmill.cli.options import (
    JsonFlag,
    Workers,
    counted,
    print_result,
    processes,
    progress_bar,
    warn,
)
from maskmill.cli.project import ProjectFolder
from maskmill.config import AutomaskConfig
from maskmill.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from maskmill.engine.labelling import LabelReport, LabelSettings
    from maskmill.store import Project

SHOWN = 20
"""Images left out that are printed one by one; `--json` has all."""


def label(
    *,
    project: ProjectFolder = Path("."),
    precision: float = 0.95,
    detector: Annotated[bool, Parameter(negative="--no-detector")] = True,
    points_per_side: int = 32,
    crop_n_layers: int = 2,
    workers: Workers = None,
    cancel: Annotated[bool, Parameter(negative="")] = False,
    as_json: JsonFlag = False,
) -> int:
    """Label every image that holds no mask yet, with the model that was promoted last.

    Stage 3 of the data engine: a grid of points on the image and on overlapping crops, and the box
    detector where a round has trained one. Masks are kept from the score at which the hold-out says
    that enough of them are right. Killed at any moment, the same command goes on as it began.

    Args:
        precision: Share of the masks kept that has to be right at IoU 0.75, on the hold-out.
        detector: Use the box detector too, where there is one.
        points_per_side: Everything mode's grid on the whole image.
        crop_n_layers: Layers of overlapping crops; 0 looks at the whole image alone.
        cancel: End the job that was begun; what it committed stays.
    """
    from maskmill.engine import labelling
    from maskmill.store import Project

    if not 0 < precision <= 1:
        raise ConfigError(f"--precision is {precision}; it must be above 0 and at most 1")
    size = processes(workers)
    with Project(project) as opened:
        going = labelling.unfinished(opened)
        if cancel:
            if going is None:
                raise StoreError("no labelling was begun; there is nothing to cancel")
            opened.jobs.cancel(going.id)
            text = f"job {going.id} cancelled after {counted(going.done, 'image')}"
            print_result({"job": going.id, "cancelled": True}, as_json=as_json, text=text)
            return 0
        if going is None:
            grid = replace(
                labelling.DATA_ENGINE, points_per_side=points_per_side, crop_n_layers=crop_n_layers
            )
            settings = _settings(opened, precision, detector, grid)
        else:
            warn(f"going on with job {going.id}, with the settings that it began with")
            settings = labelling.LabelSettings.from_json(dict(going.settings or {}))
        with progress_bar("images", opened.images.count(labelling.UNLABELLED)) as advance:
            report = labelling.label_project(
                opened, settings, workers=0 if size == 1 else size, progress=advance
            )
    return _tell(project, report, as_json=as_json)


def _settings(
    project: "Project", precision: float, detector: bool, grid: AutomaskConfig
) -> "LabelSettings":
    from maskmill.engine.calibration import stage_three

    settings, why = stage_three(project, precision=precision, use_detector=detector, grid=grid)
    for line in why:
        warn(line)
    return settings


def _tell(project: Path, report: "LabelReport", *, as_json: bool) -> int:
    for path, reason in report.failed[:SHOWN]:
        warn(f"left out: {path}: {reason}")
    if len(report.failed) > SHOWN:
        warn(f"left out: {len(report.failed) - SHOWN} more; --json names all")
    if report.passed_over:
        warn(f"left to people who took them up meanwhile: {counted(report.passed_over, 'image')}")
    if report.stopped:
        warn(report.stopped)
    text = (
        f"{counted(report.masks, 'mask')} on {counted(report.images, 'image')}, "
        f"{report.images_per_second:.2f} images a second; next: maskmill audit draw"
    )
    result = {
        "project": project,
        "job": report.job,
        "images": report.images,
        "masks": report.masks,
        "failed": [{"path": path, "reason": reason} for path, reason in report.failed],
        "passed_over": report.passed_over,
        "images_per_second": report.images_per_second,
        "stopped": report.stopped,
    }
    print_result(result, as_json=as_json, text=text)
    return 1 if report.stopped or (report.failed and not report.images) else 0

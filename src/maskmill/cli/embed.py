"""`maskmill embed`: what encoders make of a project's images, computed before it is needed."""

from functools import partial
from pathlib import Path

from maskmill.cli.options import (
    BackendName,
    JsonFlag,
    ProjectModel,
    Workers,
    counted,
    print_result,
    processes,
    progress_bar,
    warn,
)
from maskmill.cli.project import ProjectFolder
from maskmill.errors import ConfigError

SHOWN = 20
"""Images left out that are printed one by one; `--json` has all."""


def embed(
    *,
    project: ProjectFolder = Path("."),
    model: ProjectModel = None,
    backend: BackendName = "auto",
    workers: Workers = None,
    max_gb: float | None = None,
    as_json: JsonFlag = False,
) -> int:
    """Compute the embeddings of a project's images, so that a first click need not wait.

    Killed at any moment, the same command goes on. Damaged embeddings are computed again.

    Args:
        max_gb: Gigabytes that the project's embeddings may take; those not used for longest go.
    """
    from maskmill.embed import embed_project
    from maskmill.engine.lineage import current_model, model_path
    from maskmill.predict import Predictor
    from maskmill.store import Project

    if max_gb is not None and not max_gb > 0:
        raise ConfigError(f"--max-gb is {max_gb}; it must be above 0")
    size = processes(workers)
    with Project(project) as opened:
        model = model or str(model_path(opened, current_model(opened)))
        load = partial(Predictor.load, model, backend=backend, threads=1)
        load()  # a missing model is refused before a job is made
        with progress_bar("images", opened.images.count()) as advance:
            report = embed_project(
                opened,
                load,
                model=model,
                limit=None if max_gb is None else int(max_gb * 1e9),
                workers=0 if size == 1 else size,
                progress=advance,
            )
        total = opened.embeddings.size()
    for path, reason in report.failed[:SHOWN]:
        warn(f"left out: {path}: {reason}")
    if len(report.failed) > SHOWN:
        warn(f"left out: {len(report.failed) - SHOWN} more; --json names all")
    if report.no_room:
        warn(f"no room for {counted(report.no_room, 'image')}; raise --max-gb")
    if report.stopped:
        warn(report.stopped)
    text = (
        f"{report.computed} of {counted(report.images, 'image')} embedded now; "
        f"{total / 1e9:.2f} GB in {project / 'embeddings'}"
    )
    result = {
        "project": project,
        "model": model,
        "images": report.images,
        "computed": report.computed,
        "no_room": report.no_room,
        "failed": [{"path": path, "reason": reason} for path, reason in report.failed],
        "stopped": report.stopped,
        "bytes": total,
    }
    print_result(result, as_json=as_json, text=text)
    return 1 if report.stopped or (report.failed and len(report.failed) == report.images) else 0

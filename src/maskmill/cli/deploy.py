"""`maskmill deploy` and `serve-model`: what was trained as a folder, and over HTTP."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from maskmill.cli.options import JsonFlag, ModelName, OutFolder, Threads, print_result, warn
from maskmill.errors import ConfigError, NotFound


def deploy(
    trained: Path,
    /,
    *,
    out: OutFolder,
    rules: Path | None = None,
    model: ModelName = "tiny",
    precision: float = 0.95,
    points_per_side: int = 32,
    crop_n_layers: int = 2,
    as_json: JsonFlag = False,
) -> None:
    """Write what was trained as a folder that needs nothing of this project.

    It holds the models as ONNX, rules, a card with every file's hash, and a client. A classifier of
    strokes answers as `maskmill scribble predict` does, a project's current model with its heads as
    `maskmill label` does.

    Args:
        trained: A folder that `maskmill scribble train` wrote, or a project.
        rules: A JSON file of rules, for a classifier; by default `rules.json` of the trained
            folder, if there is one.
        model: The promptable model that a classifier was trained with.
        precision: Share of the masks of a project's model that has to be right at IoU 0.75, on the
            hold-out.
        points_per_side: Everything mode's grid, where the hold-out says that it is of use.
        crop_n_layers: Layers of overlapping crops of the same.
    """
    from maskmill.store.project import is_project

    if is_project(trained):
        if rules is not None:
            raise ConfigError("--rules are for a classifier of strokes; a project's model has none")
        if not 0 < precision <= 1:
            raise ConfigError(f"--precision is {precision}; it must be above 0 and at most 1")
        card = _of_project(trained, out, precision, points_per_side, crop_n_layers)
        text = f"deployed model {card['model_id']} in {out}; next: maskmill serve-model {out}"
        print_result({"out": out, **card}, as_json=as_json, text=text)
        return
    from maskmill.cli.scribble import rules_of
    from maskmill.deploy import deploy as write
    from maskmill.scribble.classifier import CARD, load

    if not (trained / CARD).is_file():
        raise NotFound(
            f"{trained} is neither a project nor what `maskmill scribble train` wrote; name one"
        )

    card = write(trained, out, model=model, rules=rules_of(trained, rules, load(trained)))
    text = f"deployed {', '.join(card['categories'])} in {out}; next: maskmill serve-model {out}"
    print_result({"out": out, **card}, as_json=as_json, text=text)


def _of_project(
    folder: Path, out: Path, precision: float, points_per_side: int, crop_n_layers: int
) -> dict[str, Any]:
    from maskmill.deploy import deploy_project
    from maskmill.engine.labelling import DATA_ENGINE
    from maskmill.store import Project

    grid = replace(DATA_ENGINE, points_per_side=points_per_side, crop_n_layers=crop_n_layers)
    with Project(folder, writes=False) as project:
        card = deploy_project(project, out, precision=precision, grid=grid)
    for line in card["rests_on"]:
        warn(line)
    return card


def serve_model(
    deployment: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    threads: Threads = None,
    as_json: JsonFlag = False,
) -> None:
    """Answer images over HTTP with masks, verdict and timing, until Ctrl-C.

    It has no accounts and no TLS; off this machine it belongs behind a proxy that has.

    Args:
        deployment: A folder that `maskmill deploy` wrote.
        host: Address to listen on.
        port: Port to listen on, 0 for a free one.
    """
    from maskmill.deploy import load_deployment
    from maskmill.serving import make_server

    loaded = load_deployment(deployment, threads=threads)
    with make_server(loaded, host, port) as server:
        url = f"http://{host}:{server.server_port}"
        print_result(
            {"url": url}, as_json=as_json, text=f"POST images to {url}/predict; Ctrl-C stops"
        )
        import sys

        sys.stdout.flush()
        server.serve_forever()

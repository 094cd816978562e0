"""`maskmill demo`: everything mode and a few prompts on photographs that need no download."""

import sys
import urllib.request
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from maskmill.cli.options import BackendName, JsonFlag, ModelName, OutFolder, print_result, warn


def demo(
    *,
    out: OutFolder = Path("demo"),
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    serve: Annotated[bool, Parameter(negative="")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Segment the photographs that scikit-image ships, and show them on one page.

    Writes SA-1B JSON, overlays and index.html, and downloads nothing.

    Args:
        serve: Then open the photographs in the browser tool, with a few masks already there;
            without a terminal, only look whether it answers.
    """
    from maskmill.demo import make_sample, run_demo
    from maskmill.predict import Predictor

    predictor = Predictor.load(model, backend=backend)
    result = run_demo(out, predictor, progress=warn)
    page = Path(result["gallery"]).resolve()
    text = f"Open {page} in a browser; masks, overlays and SA-1B JSON lie beside it."
    print_result({**result, "gallery": page}, as_json=as_json, text=text)
    if not serve:
        return
    from maskmill.cli.up import open_project, serve_project

    photographs = make_sample(out, predictor)
    watched = sys.stdin.isatty() and sys.stdout.isatty()
    opened, images = open_project(photographs, None)
    with opened:
        from maskmill.engine.lineage import current_model, model_path

        trained = current_model(opened)  # by a visitor who was here before
        serve_project(
            opened,
            images=images,
            options={"model": model if trained is None else str(model_path(opened, trained))},
            port=None if watched else 0,
            browser=watched,
            quiet=as_json,
            until=None if watched else _look,
        )


def _look(address: str) -> None:
    """Fetch the first page, and say what came."""
    with urllib.request.urlopen(address.partition("#")[0], timeout=60) as answer:
        content = answer.read()
        warn(f"the page answers: {answer.status}, {len(content)} bytes")

"""`maskmill demo`: everything mode and a few prompts on photographs that need no download."""

from pathlib import Path

from maskmill.cli.options import BackendName, JsonFlag, ModelName, OutFolder, print_result, warn


def demo(
    *,
    out: OutFolder = Path("demo"),
    model: ModelName = "tiny",
    backend: BackendName = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Segment the photographs that scikit-image ships, and show them on one page.

    Writes SA-1B JSON, overlays and index.html, and downloads nothing.
    """
    from maskmill.demo import run_demo
    from maskmill.predict import Predictor

    predictor = Predictor.load(model, backend=backend)
    result = run_demo(out, predictor, progress=warn)
    page = Path(result["gallery"]).resolve()
    text = f"Open {page} in a browser; masks, overlays and SA-1B JSON lie beside it."
    print_result({**result, "gallery": page}, as_json=as_json, text=text)

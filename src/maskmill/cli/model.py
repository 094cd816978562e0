"""`maskmill model`: what there is, where it came from, and into which other forms it goes."""

from pathlib import Path

from cyclopts import App

from maskmill.cli.options import JsonFlag


def model_app() -> App:
    """Put the verbs below `maskmill model` together."""
    app = App(name="model", help="List models, show a card, convert a checkpoint, export to ONNX.")
    app.command(list_models, name="list")
    app.command(card)
    app.command(convert)
    app.command(export)
    return app


def list_models(*, as_json: JsonFlag = False) -> None:
    """List the models that ship with maskmill."""
    raise SystemExit(1)


def card(model: str, /, *, as_json: JsonFlag = False) -> None:
    """Show a model's card: data, licences, recipe and measured quality.

    Args:
        model: A name that `maskmill model list` shows, or a folder.
    """
    raise SystemExit(1)


def convert(checkpoint: Path, out: Path, /, *, as_json: JsonFlag = False) -> None:
    """Convert a published sam_vit_b, _l or _h checkpoint to a model folder.

    Args:
        checkpoint: The .pth file.
        out: The model's folder; it is made if it is missing.
    """
    raise SystemExit(1)


def export(model: str, out: Path, /, *, as_json: JsonFlag = False) -> None:
    """Export a model's encoder and decoder to ONNX, and check them against PyTorch.

    Args:
        model: A name that `maskmill model list` shows, or a folder.
        out: Folder for encoder.onnx and decoder.onnx; it is made if it is missing.
    """
    raise SystemExit(1)

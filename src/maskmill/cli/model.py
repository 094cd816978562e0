"""`maskmill model`: what there is, where it came from, and into which other forms it goes."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from maskmill.cli.options import JsonFlag, print_result, require
from maskmill.errors import ConfigError


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
    from maskmill.weights import builtin_models, config_of, model_folder, read_card

    models = []
    for name in builtin_models():
        folder = model_folder(name)
        card = read_card(folder)
        models.append(
            {
                "name": name,
                "input_side": config_of(card).input_side,
                "megabytes": round(sum(f.stat().st_size for f in folder.iterdir()) / 1e6, 1),
                "onnx": "encoder.onnx" in card["files"],
            }
        )
    lines = [
        f"{m['name']}  {m['input_side']} px  {m['megabytes']} MB{'  ONNX' if m['onnx'] else ''}"
        for m in models
    ]
    print_result({"models": models}, as_json=as_json, text="\n".join(lines))


def card(model: str, /, *, as_json: JsonFlag = False) -> None:
    """Show a model's card: architecture, files, data, recipe and measured quality.

    Args:
        model: A name that `maskmill model list` shows, or a folder.
    """
    from maskmill.weights import model_folder, read_card

    folder = model_folder(model)
    content = read_card(folder)
    text = f"{folder}\n{json.dumps(content, indent=2, ensure_ascii=False)}"
    print_result(content, as_json=as_json, text=text)


def convert(checkpoint: Path, out: Path, /, *, as_json: JsonFlag = False) -> None:
    """Convert a published sam_vit_b, _l or _h checkpoint to a model folder.

    Args:
        checkpoint: The .pth file.
        out: The model's folder; it is made if it is missing.
    """
    require("train", "torch", "safetensors")
    from maskmill.model.checkpoint import convert_published

    written = convert_published(checkpoint, out)
    text = f"Model in {out}; use it with --model {out}"
    print_result({"model": out, "card": written}, as_json=as_json, text=text)


def export(
    model: str,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    float16: Annotated[bool, Parameter(negative="")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Export a model's encoder and decoder to ONNX, and check them against PyTorch.

    Args:
        model: A name that `maskmill model list` shows, a folder, or a published checkpoint.
        out: Folder for the whole model with its ONNX files; by default the model's own.
        float16: Round the weights to float16 first, which halves every file; needs --out.
    """
    require("export", "torch", "safetensors", "onnx", "onnxscript")
    import torch

    from maskmill.model.checkpoint import load_model, save_model
    from maskmill.onnx_export import export as write_onnx
    from maskmill.onnx_export import round_to_float16
    from maskmill.weights import write_card

    sam, card = load_model(model)
    if out is None and (float16 or not Path(model).is_dir()):
        raise ConfigError(f"{model} stays as it is; name a folder for the export with --out")
    if float16:
        round_to_float16(sam)
    folder = Path(model) if out is None else out
    if out is not None:
        card = save_model(out, sam, card, dtype=torch.float16 if float16 else torch.float32)
    parity = write_onnx(sam, folder)
    write_card(folder, card)
    result = {"model": folder, "parity": asdict(parity)}
    text = (
        f"ONNX files in {folder}; largest difference from PyTorch {parity.logit_difference:.1e} "
        f"in logits, smallest mask IoU {parity.mask_iou:.4f}"
    )
    print_result(result, as_json=as_json, text=text)

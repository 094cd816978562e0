"""The child process that exports what a round trained to ONNX, checked against PyTorch.

    python -m maskmill.engine.exporting MODEL OUT

OUT is there only once it is whole.
"""

import shutil
import sys
from pathlib import Path

from maskmill.engine.children import as_child


def export_model(model: Path, out: Path) -> None:
    """Write a model folder in float16 with its ONNX files.

    Args:
        model: The trained model's folder.
        out: Made at the end, under another name until then.

    Raises:
        CheckpointError: If the model cannot be read, or ONNX and PyTorch disagree.
    """
    import torch

    from maskmill.model.checkpoint import load_model, save_model
    from maskmill.onnx_export import export, round_to_float16
    from maskmill.weights import write_card

    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    sam, card = load_model(str(model))
    round_to_float16(sam)
    card = save_model(part, sam, card, dtype=torch.float16)
    export(sam, part)
    write_card(part, card)
    part.rename(out)


def main() -> int:
    """Export the model that the command line names."""
    return as_child(lambda: export_model(Path(sys.argv[1]), Path(sys.argv[2])))


if __name__ == "__main__":
    sys.exit(main())

"""Fine-tuning on few images: what it gains on them, and what the model forgets meanwhile.

Usage:
    python benchmarks/finetune.py NEW [--old LABELLED] [--images 20] [--limit 24] [--old-limit 60]

NEW and LABELLED are folders in SA-1B form with train and val splits. The model is fine-tuned as the
rounds of the data engine do it, by `maskmill train --config finetune`, on a few images of NEW's
train split; then `maskmill evaluate` measures it before and after on NEW's val split and, for
what it forgot, on LABELLED's. Printed and written to `results/finetune.json`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULT = Path(__file__).parent / "results" / "finetune.json"
NUMBERS = ("1 click", "3 clicks", "5 clicks", "best of three", "box")


def maskmill(*arguments: object, env: dict[str, str] | None = None) -> Any:
    """Run a command and return the object that it prints."""
    command = [sys.executable, "-m", "maskmill", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=env)
    return json.loads(done.stdout)


def measure(model: object, data: Path, limit: int) -> dict[str, float]:
    """Return the model's numbers on a val split."""
    found = maskmill(
        "evaluate", data, "--split", "val", "--model", model, "--limit", limit,
        "--everything-images", 0, "--backend", "torch",
    )  # fmt: skip
    clicks = found["iou_at_click"]
    values = (clicks["1"], clicks["3"], clicks["5"], found["best_of_three"], found["iou_from_box"])
    return dict(zip(NUMBERS, values, strict=True))


def main() -> None:
    """Fine-tune, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("new", type=Path)
    parser.add_argument("--old", type=Path)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--limit", type=int, default=24, help="most val images of NEW")
    parser.add_argument("--old-limit", type=int, default=60, help="most val images of LABELLED")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--out", type=Path, help="folder of the run; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = options.out or Path(scratch) / "run"
        maskmill(
            "train", options.new, "--split", "train", "--config", "finetune", "--run", run,
            "--start-from", options.model, "--max-images", options.images,
        )  # fmt: skip
        # The card's own count, so that a run in --out which was finished before is timed right.
        seconds = json.loads((run / "model" / "card.json").read_text())["training_seconds"]
        settings = json.loads((run / "settings.json").read_text())
        rows = {}
        sets = (("new", options.new, options.limit), ("old", options.old, options.old_limit))
        for name, data, limit in sets:
            if data is not None:
                rows[f"{name}, before"] = measure(options.model, data, limit)
                rows[f"{name}, after"] = measure(run / "model", data, limit)
    table = Table(title=f"{options.images} images, {seconds:.0f} s of fine-tuning")
    table.add_column("val split")
    for number in NUMBERS:
        table.add_column(number, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[number]:.3f}" for number in NUMBERS))
    Console().print(table)
    result = {
        "new": options.new.name,
        "images": options.images,
        "val_images": {"new": options.limit, "old": options.old_limit},
        "train_seconds": seconds,
        "load_before": os.getloadavg()[0],
        "settings": settings | {"start_from": Path(str(options.model)).name},
        "iou": rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

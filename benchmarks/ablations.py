"""What each part of the default model and its recipe gives: one part changed, all else alike.

Usage:
    python benchmarks/ablations.py LABELLED --out FOLDER [--limit 100] [--only NAME ...]

Every variant trains from random weights on the same photographs in the same order, in one process
of one thread, and is measured on the same photographs of the val split. The plain recipe is run
with two seeds; a difference below theirs says nothing. FOLDER keeps the runs: started again, a
stopped one goes on. Printed and written to `results/ablations.json` after each variant.

These runs are short, a few thousand photographs; they rank what learns faster, not what ends
higher. Minutes are of one core, as the operating system counted them for the training process.
"""

import argparse
import json
import resource
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULT = Path(__file__).parent / "results" / "ablations.json"
RECIPE = Path(__file__).parents[1] / "src/maskmill/weights/tiny/recipe-1.toml"
SHORT = {
    "leave_out": [],
    "steps": 160,
    "batch_images": 16,
    "input_side": 192,
    "click_iterations": 1,
    "late_share": 0.0,
    "warmup_steps": 24,
    "ema_decay": 0.98,
    "box_share": 0.35,
    "iou_weight": 3.0,
    "checkpoint_every": 50,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "the recipe, another seed": {"seed": 11},
    "without likeness": {"leave_out": ["likeness"]},
    "without reading masks": {"leave_out": ["read_masks"]},
    "without prompts as maps": {"leave_out": ["prompt_maps"]},
    "without tokens that look": {"leave_out": ["look_at_points"]},
    "without finer maps": {"leave_out": ["high_res"]},
    "focal and dice, 20 to 1": {"mask_loss": "focal", "mask_loss_weight": 20.0},
    "256 px, half the photographs": {"input_side": 256, "batch_images": 8},
    "six masks, half the photographs": {"masks_per_image": 6, "batch_images": 8},
    "no click at a centre": {"centre_share": 0.0},
    "sources by their size": {"source_power": 1.0},
    "no scale jitter": {"scale_jitter": [1.0, 1.0]},
    "no average of the weights": {"ema_decay": 0.0},
    "IoU's loss once": {"iou_weight": 1.0},
}
NUMBERS = ("1 click", "best of three", "5 clicks", "box", "rank correlation")


def maskmill(*arguments: object) -> Any:
    """Run a command and return the object that it prints."""
    command = [sys.executable, "-m", "maskmill", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def run_variant(name: str, labelled: Path, out: Path, limit: int) -> dict[str, Any]:
    """Train a variant and measure it; one that was measured is read back."""
    folder = out / name.replace(" ", "_").replace(",", "")
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "measured.json"
    if done.exists():
        measured: dict[str, Any] = json.loads(done.read_text())
        return measured
    recipe = tomllib.loads(RECIPE.read_text()) | SHORT | VARIANTS[name]
    settings = folder / "recipe.toml"
    settings.write_text("".join(f"{k} = {_toml(v)}\n" for k, v in recipe.items()))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    maskmill(
        "train", labelled, "--split", "train", "--config", settings, "--run", folder / "run"
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    ask_at(folder / "run" / "model" / "card.json", int(recipe["input_side"]))
    found = maskmill(
        "evaluate", labelled, "--split", "val", "--model", folder / "run" / "model",
        "--limit", limit, "--everything-images", 0, "--backend", "torch",
    )  # fmt: skip
    clicks = found["iou_at_click"]
    values = (
        clicks["1"], found["best_of_three"], clicks["5"], found["iou_from_box"],
        found["iou_rank_correlation"],
    )  # fmt: skip
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    measured = {
        "changed": VARIANTS[name],
        "photographs": recipe["steps"] * recipe["batch_images"],
        "core_minutes": round(seconds / 60, 1),
        **{number: round(value, 4) for number, value in zip(NUMBERS, values, strict=True)},
    }
    done.write_text(json.dumps(measured))
    return measured


def ask_at(card: Path, input_side: int) -> None:
    """Have a model answer at the side that it was trained at, not at the default's."""
    settings = json.loads(card.read_text())
    settings["config"]["input_side"] = input_side
    card.write_text(json.dumps(settings))


def main() -> None:
    """Run what is asked for, print and write after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--limit", type=int, default=100, help="val photographs")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in options.only:
        rows[name] = run_variant(name, options.labelled, options.out, options.limit)
        result = {"val_photographs": options.limit, "short": SHORT, "variants": rows}
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
        print(name, rows[name], flush=True)
    table = Table("variant", "core minutes", *NUMBERS, title=f"{options.limit} val photographs")
    for name, row in rows.items():
        table.add_row(name, f"{row['core_minutes']}", *(f"{row[n]:.3f}" for n in NUMBERS))
    Console().print(table)


def _toml(value: object) -> str:
    return json.dumps(value)


if __name__ == "__main__":
    main()

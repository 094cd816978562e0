"""What a round trains to propose masks, against everything mode: which finds more objects?

Usage:
    python benchmarks/detector.py SET [SET ...] [--model tiny] [--images 40] [--limit 20]

Each SET is a folder in SA-1B form with train and val splits, in which all objects are labelled. A
box detector and a region head are trained for the model on a few train images, as a round does it;
on val images all ways propose masks, each ranked by its own score and without overlaps. For each
precision the threshold is set on those very images, so that all stand at exactly the same one, and
the share of the objects that are found is told. Printed and added to `results/detector.json`.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from maskmill.config import AutomaskConfig
from maskmill.engine import proposals
from maskmill.engine.detecting import write_detector, write_regions
from maskmill.engine.head_files import has_head
from maskmill.engine.heads import Heads, open_heads
from maskmill.formats import even_sample, read_dataset, read_pixels
from maskmill.predict import Predictor
from maskmill.train.detector import DetectorConfig, train_detector
from maskmill.train.regions import RegionConfig, train_regions

RESULT = Path(__file__).parent / "results" / "detector.json"
PRECISIONS = (0.95, 0.9, 0.8, 0.7, 0.5)
IOU = 0.75


def train(predictor: Predictor, folder: Path, options: argparse.Namespace, out: Path) -> Heads:
    """Train both heads, unless they lie there already."""
    chosen = even_sample(read_dataset(folder, split="train").images, options.images)
    card = {"model": predictor.model_id, "round": 0}
    boxes, areas = out / "detector", out / "regions"
    if not has_head(boxes, "detector"):
        config = DetectorConfig(steps=options.steps)
        head = train_detector(predictor, chosen, config, on_step=_say)
        write_detector(head, predictor, boxes, card)
    if not has_head(areas, "regions"):
        outlines = RegionConfig(steps=options.region_steps)
        head, side = train_regions(predictor, chosen, outlines, on_step=_say)
        write_regions(head, side, predictor, areas, card, images=chosen)
    return open_heads({"detector": boxes, "regions": areas})


def _say(step: int, loss: float) -> None:
    if step % 50 == 49:
        print(f"  step {step + 1}  loss {loss:.2f}", flush=True)


def measure(predictor: Predictor, heads: Heads, folder: Path, limit: int) -> dict[str, Any]:
    """Propose every way on val images, and hold them against the labels."""
    images = even_sample(read_dataset(folder, split="val").images, limit)
    truths = [[m.rle for m in image.annotations if not m.is_crowd] for image in images]
    found: dict[str, list[list[proposals.Proposal]]] = {way: [] for way in proposals.WAYS}
    seconds = dict.fromkeys(found, 0.0)
    grid = proposals.nearly_open(AutomaskConfig(points_per_side=32))
    for image in images:
        pixels = read_pixels(image)
        for way in proposals.WAYS:
            clock = time.process_time()
            found[way].append(proposals.found_by(way, predictor, pixels, heads, grid))
            seconds[way] += time.process_time() - clock
    ways = {}
    for way, masks in found.items():
        at = {
            f"{p:.2f}": proposals.calibrate(masks, truths, precision=p, at_iou=IOU)
            for p in PRECISIONS
        }
        ways[way] = {
            "found": {p: c.found for p, c in at.items()},
            "thresholds": {p: c.threshold for p, c in at.items()},
            "precision of all": proposals.calibrate(
                masks, truths, precision=1e-9, at_iou=IOU
            ).precision,
            "proposed": sum(map(len, masks)),
            "seconds an image": seconds[way] / len(images),
        }
    return {"images": len(images), "objects": sum(map(len, truths)), "ways": ways}


def main() -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--images", type=int, default=40, help="train images")
    parser.add_argument("--limit", type=int, default=20, help="val images")
    parser.add_argument("--steps", type=int, default=DetectorConfig().steps, help="of boxes")
    parser.add_argument("--region-steps", type=int, default=RegionConfig().steps)
    parser.add_argument("--name", default="", help="what to call the model in the result")
    parser.add_argument("--out", type=Path, help="where heads are kept, to go on")
    options = parser.parse_args()
    told = json.loads(RESULT.read_text("utf-8")) if RESULT.is_file() else {}
    predictor = Predictor.load(options.model, threads=1)
    with tempfile.TemporaryDirectory() as scratch:
        for folder in options.sets:
            out = (options.out or Path(scratch)) / folder.name
            out.parent.mkdir(parents=True, exist_ok=True)
            heads = train(predictor, folder, options, out)
            name = f"{folder.name}, {options.name or predictor.config.name}"
            told[name] = measure(predictor, heads, folder, options.limit) | {
                "train images": options.images, "steps": options.steps,
                "region steps": options.region_steps,
            }  # fmt: skip
            RESULT.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
            show(name, told[name])


def show(name: str, told: dict[str, Any]) -> None:
    """Print what was measured on one set."""
    table = Table(title=f"{name}: {told['objects']} objects on {told['images']} val images")
    for column in ("way", *(f"found at {p:.0%}" for p in PRECISIONS), "s an image"):
        table.add_column(column, justify="right")
    for way, numbers in told["ways"].items():
        cells = [f"{numbers['found'][f'{p:.2f}']:.1%}" for p in PRECISIONS]
        table.add_row(way, *cells, f"{numbers['seconds an image']:.2f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

"""Box detector against everything mode: which finds more objects at equal precision?

Usage:
    python benchmarks/detector.py SET [SET ...] [--model tiny] [--images 40] [--limit 20]

Each SET is a folder in SA-1B form with train and val splits, in which all objects are labelled. A
detector is trained for the model on a few train images, as a round does it; on val images both ways
propose masks, each ranked by its own score and without overlaps. For each precision the threshold
is set on those very images, so that both stand at exactly the same one, and the share of the
objects that are found is told. Printed and added to `results/detector.json`.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from maskmill.engine import proposals
from maskmill.engine.detecting import write_detector
from maskmill.engine.detector import DETECTOR_CARD, Detector
from maskmill.formats import even_sample, read_dataset, read_pixels
from maskmill.predict import Predictor
from maskmill.train.detector import DetectorConfig, train_detector

RESULT = Path(__file__).parent / "results" / "detector.json"
PRECISIONS = (0.95, 0.9, 0.8, 0.7, 0.5)
IOU = 0.75


def train(predictor: Predictor, folder: Path, images: int, steps: int, out: Path) -> Detector:
    """Train a detector, unless one lies there already."""
    if not (out / DETECTOR_CARD).is_file():
        chosen = even_sample(read_dataset(folder, split="train").images, images)
        config = DetectorConfig(steps=steps)
        head = train_detector(predictor, chosen, config, on_step=_say)
        write_detector(head, predictor, out, {"model": predictor.model_id, "round": 0})
    return Detector(out)


def _say(step: int, loss: float) -> None:
    if step % 50 == 49:
        print(f"  step {step + 1}  loss {loss:.2f}", flush=True)


def measure(predictor: Predictor, detector: Detector, folder: Path, limit: int) -> dict[str, Any]:
    """Propose both ways on val images, and hold them against the labels."""
    images = even_sample(read_dataset(folder, split="val").images, limit)
    truths = [[m.rle for m in image.annotations if not m.is_crowd] for image in images]
    found: dict[str, list[list[proposals.Proposal]]] = {way: [] for way in proposals.WAYS}
    seconds = dict.fromkeys(found, 0.0)
    for image in images:
        pixels = read_pixels(image)
        clock = [time.process_time()]
        boxed = proposals.detected(predictor, predictor.embed(pixels), detector)
        clock.append(time.process_time())
        edged = proposals.along_edges(boxed, pixels)
        clock.append(time.process_time())
        everywhere = proposals.candidates(predictor, pixels)
        clock.append(time.process_time())
        for way, masks in zip(proposals.WAYS, (boxed, edged, everywhere), strict=True):
            found[way].append(masks)
        seconds["detector"] += clock[1] - clock[0]
        seconds["detector along edges"] += clock[2] - clock[0]
        seconds["everything mode"] += clock[3] - clock[2]
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
    parser.add_argument("--steps", type=int, default=DetectorConfig().steps)
    parser.add_argument("--name", default="", help="what to call the model in the result")
    parser.add_argument("--out", type=Path, help="where detectors are kept, to go on")
    options = parser.parse_args()
    told = json.loads(RESULT.read_text("utf-8")) if RESULT.is_file() else {}
    predictor = Predictor.load(options.model, threads=1)
    with tempfile.TemporaryDirectory() as scratch:
        for folder in options.sets:
            out = (options.out or Path(scratch)) / folder.name
            out.parent.mkdir(parents=True, exist_ok=True)
            detector = train(predictor, folder, options.images, options.steps, out)
            name = f"{folder.name}, {options.name or predictor.config.name}"
            told[name] = measure(predictor, detector, folder, options.limit) | {
                "train images": options.images, "steps": options.steps,
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

"""What people have without weights, beside our model, on the same masks: mean IoU per source.

Usage:
    python benchmarks/classical.py LABELLED_FOLDER [--split val] [--limit 30] [--model tiny]

The folder is in SA-1B form or holds COCO JSON. Measured are

- `grabcut`: OpenCV GrabCut from the object's box, 5 iterations;
- `box`: the box itself taken as the mask;
- `flood`: flood fill in Lab from the click at the object's centre, 8 units per channel;
- `click`, `from_box`: our model from that very click (of three masks the one with the highest
  predicted IoU) and from that very box; left out where the model has no weights yet.

Means are over an image's masks, then over images; masks over 95 % of the image do not count, and of
an image with many only some, spread evenly, since GrabCut takes a third of a second for each.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from maskmill import rle
from maskmill.config import EvaluateConfig
from maskmill.errors import MaskmillError
from maskmill.formats import LabelledImage, even_sample, read_dataset, read_pixels
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.train.clicks import first_click
from maskmill.train.evaluate import counted_masks
from maskmill.train.sessions import mask_iou
from maskmill.values import Candidates, box_prompt, point_prompt

RESULT = Path(__file__).parent / "results" / "classical.json"
CLASSICAL = ("grabcut", "box", "flood")
OURS = ("click", "from_box")
TITLES = {
    "grabcut": "GrabCut, box", "box": "box itself", "flood": "flood fill, click",
    "click": "maskmill, click", "from_box": "maskmill, box",
}  # fmt: skip
GRABCUT_ITERATIONS = 5
FLOOD_TOLERANCE = 8


def grabcut(image: np.ndarray, target: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    x0, y0, x1, y1 = box
    labels = np.zeros(target.shape, np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    # It starts from random clusters: the same seed gives the same mask every time.
    cv2.setRNGSeed(0)
    rectangle = (x0, y0, x1 - x0, y1 - y0)
    try:
        cv2.grabCut(
            cv2.cvtColor(image, cv2.COLOR_RGB2BGR), labels, rectangle, background, foreground,
            GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_RECT,
        )  # fmt: skip
    except cv2.error:
        # With no background outside the box it has nothing to learn from; the box is all it knows.
        return box_itself(image, target, box)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))


def box_itself(image: np.ndarray, target: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(target.shape, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def flood(image: np.ndarray, target: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    filled = np.zeros((target.shape[0] + 2, target.shape[1] + 2), np.uint8)
    click = first_click(target)
    tolerance = (FLOOD_TOLERANCE,) * 3
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
    cv2.floodFill(lab, filled, (click.x, click.y), 0, tolerance, tolerance, flags)
    return filled[1:-1, 1:-1] > 0


METHODS: dict[str, Callable[[np.ndarray, np.ndarray, tuple[int, int, int, int]], np.ndarray]] = {
    "grabcut": grabcut,
    "box": box_itself,
    "flood": flood,
}


def measure(
    image: LabelledImage, model: str | None, masks_per_image: int
) -> dict[str, list[float]]:
    """Return, per method, the IoU of every mask of one image; runs in a process of its own."""
    cv2.setNumThreads(1)
    masks = counted_masks(image, EvaluateConfig())
    if len(masks) > masks_per_image:
        masks = [masks[i * len(masks) // masks_per_image] for i in range(masks_per_image)]
    pixels = read_pixels(image)
    targets = [rle.decode(mask) for mask in masks]
    boxes = [rle.box(mask) for mask in masks]
    ious = {
        name: [mask_iou(run(pixels, t, b), t) for t, b in zip(targets, boxes, strict=True)]
        for name, run in METHODS.items()
    }
    if model is not None:
        ious |= measure_model(loaded(model), pixels, targets, masks)
    return ious


def measure_model(
    predictor: Predictor, pixels: np.ndarray, targets: list[np.ndarray], masks: list[Rle]
) -> dict[str, list[float]]:
    embedding = predictor.embed(pixels)
    clicks = [point_prompt(first_click(target)) for target in targets]
    boxes = [box_prompt(*rle.box(mask)) for mask in masks]

    def against_targets(candidates: Candidates) -> list[float]:
        best = candidates.best()
        return [
            mask_iou(candidates.mask_logits(i, int(best[i])) > candidates.mask_threshold, target)
            for i, target in enumerate(targets)
        ]

    return {
        "click": against_targets(predictor.predict(embedding, clicks, multimask_output=True)),
        "from_box": against_targets(predictor.predict(embedding, boxes, multimask_output=False)),
    }


_predictors: dict[str, Predictor] = {}


def loaded(model: str) -> Predictor:
    if model not in _predictors:
        _predictors[model] = Predictor.load(model, threads=1)
    return _predictors[model]


def usable_model(model: str) -> str | None:
    try:
        Predictor.load(model, threads=1)
    except MaskmillError as error:
        print(f"without our model: {error}", file=sys.stderr)
        return None
    return model


def averages(results: list[tuple[str, dict[str, list[float]]]]) -> dict[str, dict[str, float]]:
    """Return per source, over sources and over images the mean of every method."""
    rows: dict[str, dict[str, float]] = {}
    for name in sorted({source for source, _ in results}):
        rows[name] = mean_row([ious for source, ious in results if source == name])
    methods = list(results[0][1])
    over_sources = {m: float(np.mean([row[m] for row in rows.values()])) for m in methods}
    overall = mean_row([ious for _, ious in results])
    counts = {"images": overall["images"], "masks": overall["masks"]}
    return rows | {"over sources": over_sources | counts, "over images": overall}


def mean_row(images: list[dict[str, list[float]]]) -> dict[str, float]:
    means = {m: float(np.mean([np.mean(ious[m]) for ious in images])) for m in images[0]}
    return means | {"images": len(images), "masks": sum(len(ious["box"]) for ious in images)}


def table(rows: dict[str, dict[str, float]], methods: list[str]) -> Table:
    out = Table(title="mean IoU without weights, and ours")
    for heading in ("source", "images", "masks", *(TITLES[m] for m in methods)):
        out.add_column(heading, justify="left" if heading == "source" else "right")
    for name, row in rows.items():
        if name == "over sources":
            out.add_section()
        cells = [f"{row[m]:.3f}" for m in methods]
        out.add_row(name, f"{row['images']:.0f}", f"{row['masks']:.0f}", *cells)
    return out


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="labelled photographs")
    parser.add_argument("--split", default=None, help="only this split, val say")
    parser.add_argument("--limit", type=int, default=30, help="images per source")
    parser.add_argument("--masks", type=int, default=6, help="masks per image")
    parser.add_argument("--model", default="tiny", help="name or folder; 'none' leaves ours out")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    model = None if arguments.model == "none" else usable_model(arguments.model)
    dataset = read_dataset(arguments.folder, split=arguments.split)
    counted = [image for image in dataset if counted_masks(image, EvaluateConfig())]
    images = [
        image
        for source in sorted({image.source for image in counted})
        for image in even_sample([i for i in counted if i.source == source], arguments.limit)
    ]
    work = partial(measure, model=model, masks_per_image=arguments.masks)
    with ProcessPoolExecutor(arguments.workers, get_context("spawn")) as pool:
        measured = pool.map(work, images, chunksize=4)
        shown = track(measured, "photographs", len(images), console=Console(stderr=True))
        results = [(i.source, ious) for i, ious in zip(images, shown, strict=True)]
    rows = averages(results)
    methods = [*CLASSICAL, *(OURS if model else ())]
    Console(width=140).print(table(rows, methods))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "split": arguments.split, "images_per_source": arguments.limit,
        "masks_per_image": arguments.masks, "grabcut_iterations": GRABCUT_ITERATIONS,
        "flood_tolerance": FLOOD_TOLERANCE, "model": model, "opencv": cv2.__version__,
    }  # fmt: skip
    record = {"settings": settings, "mean_iou": rows}
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""What everything mode's masks are worth, and where its thresholds should lie.

Usage:
    python benchmarks/everything.py LABELLED --sources bsds500 [--limit 40] [--model tiny]

LABELLED must divide every image into regions, as BSDS500 does. A mask is right if it matches a
region, or the union of the regions that it mostly covers, at IoU 0.5 (people divide images more
finely than a mask of a whole). Printed and written to `results/everything.json`: precision and
AR@100 over a grid of both thresholds, the pair with the best product, what the model's own
thresholds give, and Spearman's rank correlation of predicted and true IoU, over every candidate of
a 16x16 grid and over what is left of the grid without duplicates, no threshold in either.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from maskmill import rle
from maskmill.automask import AutoMask, automask
from maskmill.config import AutomaskConfig
from maskmill.formats import LabelledImage, even_sample, read_dataset, read_pixels
from maskmill.predict import Predictor
from maskmill.train.fit_grid_iou import iou_with_unions
from maskmill.train.scores import rank_correlation

RESULT = Path(__file__).parent / "results" / "everything.json"
IOU_THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7)
STABILITY_THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
OPEN = {"pred_iou_thresh": -np.inf, "stability_score_thresh": 0.0}
"""Settings under which only duplicates are dropped."""
AR_LEVELS = np.arange(0.5, 0.951, 0.05)


def true_ious(masks: list[AutoMask], image: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
    """Return each mask's IoU with the best union of regions, and with every region `n m`."""
    regions = torch.from_numpy(np.stack([rle.decode(a.rle) for a in image.annotations]))
    unions, singles = [], []
    for mask in masks:  # one by one: a thousand masks of a whole photograph would fill the memory
        pixels = torch.from_numpy(rle.decode(mask.rle))
        unions.append(float(iou_with_unions(pixels[None], regions)[0]))
        singles.append(rle.iou([mask.rle], [a.rle for a in image.annotations])[0])
    return np.array(unions), np.array(singles).reshape(len(masks), len(regions))


def average_recall(singles: np.ndarray, scores: np.ndarray, most: int) -> float:
    """Return the share of regions found by the best `most` masks, mean over IoU levels."""
    if not len(singles):
        return 0.0
    chosen = singles[np.argsort(-scores, kind="stable")[:most]]
    best = chosen.max(0)
    return float(np.mean([(best >= level).mean() for level in AR_LEVELS]))


class Found(NamedTuple):
    """What everything mode found on one image: scores, true IoU, and IoU with every region."""

    predicted: np.ndarray
    stability: np.ndarray
    true: np.ndarray
    singles: np.ndarray

    def kept(self, least: float, steady: float) -> "Found":
        """Return what passes thresholds."""
        passes = (self.predicted > least) & (self.stability >= steady)
        return Found(*(part[passes] for part in self))


def find(predictor: Predictor, image: LabelledImage, config: AutomaskConfig) -> Found:
    """Run everything mode on an image, and hold its masks against the regions."""
    masks = automask(predictor, read_pixels(image), config)
    predicted = np.array([mask.predicted_iou for mask in masks])
    stability = np.array([mask.stability_score for mask in masks])
    return Found(predicted, stability, *true_ious(masks, image))


def correlation(found: list[Found]) -> dict[str, float]:
    """Return the rank correlation of predicted and true IoU, and the number of masks."""
    predicted, _, true = (np.concatenate([f[i] for f in found]) for i in range(3))
    singles = np.concatenate([f.singles.max(1) for f in found])
    return {
        "regions and their unions": rank_correlation(predicted, true),
        "single regions": rank_correlation(predicted, singles),
        "masks": len(true),
    }


def worth(found: list[Found]) -> dict[str, float]:
    """Return precision at IoU 0.5, AR@100 and the number of masks."""
    true = np.concatenate([f.true for f in found])
    return {
        "precision": float((true >= 0.5).mean()) if len(true) else 0.0,
        "ar_100": float(np.mean([average_recall(f.singles, f.predicted, 100) for f in found])),
        "masks_per_image": len(true) / len(found),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--sources", nargs="*")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--points", type=int, default=32)
    arguments = parser.parse_args()
    console = Console()
    images = even_sample(
        read_dataset(arguments.labelled, split=arguments.split, sources=arguments.sources),
        arguments.limit,
    )
    predictor = Predictor.load(arguments.model)
    config = AutomaskConfig(points_per_side=arguments.points)
    found = [find(predictor, image, replace(config, **OPEN)) for image in images]
    every = replace(config, **OPEN, box_nms_thresh=1.0, points_per_side=16)
    correlations = {
        "candidates": correlation([find(predictor, image, every) for image in images]),
        "without duplicates": correlation(found),
    }
    table = Table("pred_iou_thresh", *(f"stability {s}" for s in STABILITY_THRESHOLDS))
    grid = []
    for least in IOU_THRESHOLDS:
        cells = []
        for steady in STABILITY_THRESHOLDS:
            cell = worth([f.kept(least, steady) for f in found])
            grid.append({"pred_iou_thresh": least, "stability_score_thresh": steady} | cell)
            cells.append("{precision:.2f} {ar_100:.3f} {masks_per_image:.0f}".format(**cell))
        table.add_row(f"{least}", *cells)
    console.print("precision, AR@100, masks per image")
    console.print(table)
    at_defaults = worth([find(predictor, image, config) for image in images])
    at_defaults |= {
        name: getattr(predictor.config, name)
        for name in ("pred_iou_thresh", "stability_score_thresh")
    }
    best = max(grid, key=lambda cell: cell["precision"] * cell["ar_100"])
    result = {
        "model": predictor.model_id,
        "images": len(images),
        "masks": sum(len(f.true) for f in found),
        "points_per_side": arguments.points,
        "rank_correlation": correlations,
        "at_defaults": at_defaults,
        "best_product": best,
        "grid": grid,
    }
    console.print({key: value for key, value in result.items() if key != "grid"})
    RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""What everything mode's masks are worth, and where its thresholds should lie.

Usage:
    python benchmarks/everything.py LABELLED --sources bsds500 [--limit 40] [--model tiny]

LABELLED must divide every image into regions, as BSDS500 does. All candidates are kept down to low
thresholds; each is right if it matches a region, or the union of the regions that it mostly covers,
at IoU 0.5 (people divide images more finely than a mask of a whole). Printed and written to
`results/everything.json`: precision and AR@100 over a grid of both thresholds, the pair with the
best product, and Spearman's rank correlation of predicted and true IoU.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from maskmill import rle
from maskmill.automask import AutoMask, automask
from maskmill.config import AutomaskConfig
from maskmill.formats import LabelledImage, even_sample, read_dataset, read_pixels
from maskmill.predict import Predictor
from maskmill.train.scores import rank_correlation

RESULT = Path(__file__).parent / "results" / "everything.json"
IOU_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
STABILITY_THRESHOLDS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
AR_LEVELS = np.arange(0.5, 0.951, 0.05)


def true_ious(masks: list[AutoMask], image: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
    """Return each mask's IoU with the best union of regions, and with every region `n m`."""
    regions = np.stack([rle.decode(a.rle) for a in image.annotations]).reshape(
        len(image.annotations), -1
    )
    sizes = regions.sum(1)
    unions, singles = [], []
    for mask in masks:
        pixels = rle.decode(mask.rle).ravel()
        shared = (regions & pixels).sum(1)
        singles.append(shared / (sizes + pixels.sum() - shared))
        covered = shared > 0.5 * sizes
        together = shared[covered].sum()
        united = together / max(1, sizes[covered].sum() + pixels.sum() - together)
        unions.append(max(united, singles[-1].max()))
    return np.array(unions), np.array(singles).reshape(len(masks), len(sizes))


def average_recall(singles: np.ndarray, scores: np.ndarray, most: int) -> float:
    """Return the share of regions found by the best `most` masks, mean over IoU levels."""
    if not len(singles):
        return 0.0
    chosen = singles[np.argsort(-scores, kind="stable")[:most]]
    best = chosen.max(0)
    return float(np.mean([(best >= level).mean() for level in AR_LEVELS]))


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
    config = AutomaskConfig(
        points_per_side=arguments.points,
        pred_iou_thresh=IOU_THRESHOLDS[0],
        stability_score_thresh=STABILITY_THRESHOLDS[0],
    )
    found = []
    for image in images:
        masks = automask(predictor, read_pixels(image), config)
        predicted = np.array([m.predicted_iou for m in masks])
        stability = np.array([m.stability_score for m in masks])
        found.append((predicted, stability, *true_ious(masks, image)))
    predicted, stability, true = (np.concatenate([f[i] for f in found]) for i in range(3))
    table = Table("pred_iou_thresh", *(f"stability {s}" for s in STABILITY_THRESHOLDS))
    grid = []
    for least in IOU_THRESHOLDS:
        cells = []
        for steady in STABILITY_THRESHOLDS:
            kept = (predicted > least) & (stability >= steady)
            precision = float((true[kept] >= 0.5).mean()) if kept.any() else 0.0
            recall = np.mean(
                [
                    average_recall(
                        singles[(p > least) & (s >= steady)], p[(p > least) & (s >= steady)], 100
                    )
                    for p, s, _, singles in found
                ]
            )
            per_image = kept.sum() / len(images)
            grid.append(
                {
                    "pred_iou_thresh": least,
                    "stability_score_thresh": steady,
                    "precision": precision,
                    "ar_100": float(recall),
                    "masks_per_image": float(per_image),
                }
            )
            cells.append(f"{precision:.2f} {recall:.3f} {per_image:.0f}")
        table.add_row(f"{least}", *cells)
    console.print("precision, AR@100, masks per image")
    console.print(table)
    best = max(grid, key=lambda cell: cell["precision"] * cell["ar_100"])
    result = {
        "model": predictor.model_id,
        "images": len(images),
        "candidates": len(true),
        "points_per_side": arguments.points,
        "rank_correlation": rank_correlation(predicted, true),
        "best_product": best,
        "grid": grid,
    }
    console.print({key: value for key, value in result.items() if key != "grid"})
    RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

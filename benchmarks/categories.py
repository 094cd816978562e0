"""The category head on labelled sets: are masks named right, and by which of its layers?

Usage:
    python benchmarks/categories.py SET [SET ...] [--model tiny] [--images 40] [--limit 40]

Each SET is a folder in SA-1B form with train and val splits whose masks have categories. A head is
trained on some train images and names the true masks of some val images. Told are the share that is
named right, the mean of that over categories, the same for either layer alone, and the share of the
most frequent category. Printed and added to `results/categories.json`.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from maskmill.descriptors import describe
from maskmill.formats import even_sample, read_dataset, read_pixels
from maskmill.predict import Predictor
from maskmill.train.categories import train_categories

RESULT = Path(__file__).parent / "results" / "categories.json"
WAYS = ("whole descriptor", "looks", "both")


def shares(truths: list[str], said: list[str]) -> dict[str, float]:
    """Return how many masks are named right, and the mean of that over categories."""
    right = np.array([one == other for one, other in zip(truths, said, strict=True)])
    each = [right[[t == name for t in truths]].mean() for name in set(truths)]
    return {"right": float(right.mean()), "mean of categories": float(np.mean(each))}


def measure(predictor: Predictor, folder: Path, images: int, limit: int) -> dict[str, Any] | None:
    found = read_dataset(folder).images
    learned = even_sample([i for i in found if i.split == "train"], images)
    judged = even_sample([i for i in found if i.split == "val"], limit)
    trained = train_categories(predictor, learned)
    if trained is None:
        return None
    head, names = trained
    truths, rows = [], []
    for image in judged:
        masks = [m for m in image.annotations if m.category in names]
        if masks:
            pixels = read_pixels(image)
            rows.append(describe(pixels, predictor.embed(pixels), [m.rle for m in masks]))
            truths += [str(m.category) for m in masks]
    if not truths:
        return None
    with torch.no_grad():
        seen = torch.from_numpy(np.concatenate(rows))
        opinions = dict(zip(("whole descriptor", "looks"), head.opinions(seen), strict=True))
        opinions["both"] = head(seen)
    return {
        "train images": len(learned),
        "categories": len(names),
        "masks": len(truths),
        "most frequent": Counter(truths).most_common(1)[0][1] / len(truths),
        **{way: shares(truths, [names[k] for k in o.argmax(1)]) for way, o in opinions.items()},
    }


def main() -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--images", type=int, default=40, help="train images")
    parser.add_argument("--limit", type=int, default=40, help="val images")
    options = parser.parse_args()
    predictor = Predictor.load(options.model, threads=1)
    results = json.loads(RESULT.read_text("utf-8")) if RESULT.is_file() else {}
    for folder in options.sets:
        told = measure(predictor, folder, options.images, options.limit)
        if told is not None:
            results[folder.name] = told
            RESULT.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    table = Table(title="masks of val images that are named right (mean of categories)")
    for heading in ("set", "categories", "masks", "most frequent", *WAYS):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for name, told in results.items():
        cells = [f"{told[k]['right']:.2f} ({told[k]['mean of categories']:.2f})" for k in WAYS]
        table.add_row(
            name,
            str(told["categories"]),
            str(told["masks"]),
            f"{told['most frequent']:.2f}",
            *cells,
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

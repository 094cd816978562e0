"""What stands between a model and cheap labelling: its masks, where prompts are as good as can be.

Usage:
    python benchmarks/upper_bound.py SET MODEL [MODEL ...] [--limit 6]

SET is a folder in SA-1B form with a val split. Each model is asked for the objects of a few images
by their true box, by a click at its middle, and by the mean of both, as the detector's boxes are
decoded; and a simulated person labels them by hand. No detector, threshold or queue can do better
than the first. Printed and added to `results/upper_bound.json`.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from maskmill import rle
from maskmill.engine.detector import Boxes, detect
from maskmill.engine.oracle import OracleConfig, label_image
from maskmill.formats import LabelledImage, even_sample, read_dataset, read_pixels
from maskmill.predict import Predictor
from maskmill.values import Embedding, box_prompt, point_prompt

RESULT = Path(__file__).parent / "results" / "upper_bound.json"
OBJECTS = 20
"""Objects of each image."""


def of_image(predictor: Predictor, embedding: Embedding, masks: list[rle.Rle]) -> dict[str, Any]:
    """Return each prompt's IoU with each object."""
    boxes = np.array([rle.box(mask) for mask in masks], np.float32)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    box = predictor.predict(
        embedding, [box_prompt(*map(float, b)) for b in boxes], multimask_output=False
    )
    click = predictor.predict(embedding, [point_prompt((float(x), float(y))) for x, y in middles])
    both = detect(predictor, embedding, Boxes(boxes, np.ones(len(boxes), np.float32)))
    drawn = {
        "box": [rle.encode(box.mask_logits(i, 0) > 0) for i in range(len(masks))],
        "click": [rle.encode(click.mask_logits(i, int(j)) > 0) for i, j in enumerate(click.best())],
    }
    found = {name: np.diag(rle.iou(made, masks)) for name, made in drawn.items()}
    found["mean of both"] = rle.iou([d.mask.rle for d in both], masks).max(0)
    return found


def measure(model: str, images: list[LabelledImage]) -> dict[str, Any]:
    """Measure one model."""
    predictor = Predictor.load(model, threads=1)
    ious = defaultdict(list)
    seconds = clicks = strokes = made = 0.0
    for image in images:
        embedding = predictor.embed(read_pixels(image))
        masks = [mask.rle for mask in image.annotations][:OBJECTS]
        for name, values in of_image(predictor, embedding, masks).items():
            ious[name] += values.tolist()
        sitting = label_image(
            predictor, embedding, masks, np.random.default_rng(0), config=OracleConfig()
        )
        seconds += sitting.seconds
        made += len(sitting.made)
        clicks += sum(mask.clicks for mask in sitting.made)
        strokes += sum(mask.strokes for mask in sitting.made)
    told: dict[str, Any] = {
        name: {
            "mean IoU": float(np.mean(v)),
            "above 0.75": float(np.mean(np.array(v) > 0.75)),
            "above 0.85": float(np.mean(np.array(v) > 0.85)),
        }
        for name, v in ious.items()
    }
    told["by hand"] = {
        "seconds a mask": seconds / made, "clicks": clicks / made, "strokes": strokes / made,
    }  # fmt: skip
    return told | {"objects": len(ious["box"])}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--names", nargs="*", default=[], help="what to call the models")
    parser.add_argument("--limit", type=int, default=6)
    options = parser.parse_args()
    told = json.loads(RESULT.read_text("utf-8")) if RESULT.is_file() else {}
    images = even_sample(read_dataset(options.data, split="val").images, options.limit)
    names = options.names or options.models
    for name, model in zip(names, options.models, strict=True):
        told[f"{options.data.name}, {name}"] = measure(model, images)
        RESULT.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
        print(name, json.dumps(told[f"{options.data.name}, {name}"], indent=1), flush=True)


if __name__ == "__main__":
    main()

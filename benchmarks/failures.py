"""What the model gets wrong: causes counted over a val split, and a picture of the worst.

Usage:
    python benchmarks/failures.py LABELLED [--model tiny] [--limit 200] [--picture failures.png]

Every object is asked for by one click at its centre, as `maskmill evaluate` does. An answer below
IoU 0.5 is a failure, and its cause is read off the masks, first match wins:

- `choice`: another of the three candidates reaches 0.5; only the choice among them was wrong.
- `small`: the object covers under half a percent of its image.
- `whole`: the answer holds most of the object, and more: it went for what the object is part of.
- `part`: the answer lies mostly inside the object.
- `elsewhere`: neither; the answer is something else.

Counts are printed and written to `results/failures.json`. The picture shows failures of different
sources: the object's outline in green, the answer in red, the click as a dot. It shows photographs
of LABELLED, so mind their licences before you pass it on.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from maskmill import rle
from maskmill.config import EvaluateConfig
from maskmill.formats import LabelledImage, read_pixels
from maskmill.predict import Predictor
from maskmill.train.clicks import first_click
from maskmill.train.evaluate import counted_masks, evaluation_images
from maskmill.values import point_prompt

RESULT = Path(__file__).parent / "results" / "failures.json"
FAILED = 0.5
SMALL = 0.005
MOSTLY = 0.8
TILE = 260
COLUMNS = 5


class Failure(NamedTuple):
    """One object that the model missed; masks are at the image's size."""

    image: LabelledImage
    truth: np.ndarray
    answer: np.ndarray
    click: tuple[float, float]
    iou: float
    cause: str


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return the IoU of two masks, of which one is not empty."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def cause(truth: np.ndarray, answer: np.ndarray, best: float) -> str:
    """Say why an answer failed."""
    shared = (truth & answer).sum()
    if best >= FAILED:
        return "choice"
    if truth.mean() < SMALL:
        return "small"
    if shared >= MOSTLY * truth.sum():
        return "whole"
    return "part" if shared >= MOSTLY * max(1, answer.sum()) else "elsewhere"


def failures_of(predictor: Predictor, image: LabelledImage) -> tuple[int, list[Failure]]:
    """Return how many objects an image has, and those the model missed."""
    truths = [rle.decode(r) for r in counted_masks(image, EvaluateConfig())]
    embedding = predictor.embed(read_pixels(image))
    clicks = [first_click(truth) for truth in truths]
    candidates = predictor.predict(embedding, [point_prompt(click) for click in clicks])
    found = []
    for i, (truth, click) in enumerate(zip(truths, clicks, strict=True)):
        answers = [candidates.mask_logits(i, k) > candidates.mask_threshold for k in range(3)]
        scores = [iou(truth, answer) for answer in answers]
        chosen = int(candidates.predicted_iou[i].argmax())
        if scores[chosen] < FAILED:
            why = cause(truth, answers[chosen], max(scores))
            found.append(Failure(image, truth, answers[chosen], click[:2], scores[chosen], why))
    return len(truths), found


def tile(failure: Failure) -> np.ndarray:
    """Draw one failure, cropped to what matters, in a square with a caption."""
    picture = read_pixels(failure.image).copy()
    ys, xs = np.nonzero(failure.truth | failure.answer)
    pad = max(20, (ys.max() - ys.min()) // 4, (xs.max() - xs.min()) // 4)
    thick = max(1, (max(np.ptp(ys), np.ptp(xs)) + 2 * pad) // 130)
    for mask, colour in ((failure.answer, (230, 40, 40)), (failure.truth, (40, 220, 90))):
        lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, lines, -1, colour, int(thick))
    x, y = (round(v) for v in failure.click)
    cv2.circle(picture, (x, y), int(3 * thick), (255, 255, 0), -1)
    crop = picture[max(0, ys.min() - pad) : ys.max() + pad, max(0, xs.min() - pad) : xs.max() + pad]
    scale = TILE / max(crop.shape[:2])
    crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    square = np.full((TILE + 24, TILE, 3), 255, np.uint8)
    square[: crop.shape[0], : crop.shape[1]] = crop[:TILE, :TILE]
    caption = f"{failure.image.source[:16]} {failure.iou:.2f} {failure.cause}"
    cv2.putText(square, caption, (4, TILE + 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1)
    return square


def main() -> None:
    """Look at every object, count causes, draw the worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    predictor = Predictor.load(options.model)
    images = evaluation_images(options.labelled, EvaluateConfig(split="val", limit=options.limit))
    objects, found = 0, []
    for image in images:
        count, failures = failures_of(predictor, image)
        objects += count
        found += failures
    causes = Counter(failure.cause for failure in found)
    result = {
        "model": predictor.model_id,
        "images": len(images),
        "objects": objects,
        "failed": len(found),
        "causes": dict(causes.most_common()),
    }
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if options.picture is not None:
        shown = _of_different_sources(found, 4 * COLUMNS)
        tiles = [tile(failure) for failure in shown]
        rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
        rows = [row for row in rows if row.shape == rows[0].shape]
        cv2.imwrite(str(options.picture), np.vstack(rows)[..., ::-1])


def _of_different_sources(found: list[Failure], count: int) -> list[Failure]:
    """Take failures so that sources and causes take turns, the same every time."""
    chosen: list[Failure] = []
    seen: Counter[tuple[str, str]] = Counter()
    left = list(found)
    while left and len(chosen) < count:
        ranks = [
            (seen[f.image.source, f.cause] + seen["", f.cause] / 4, -int(f.truth.sum()))
            for f in left
        ]
        best = left.pop(ranks.index(min(ranks)))
        chosen.append(best)
        seen[best.image.source, best.cause] += 1
        seen["", best.cause] += 1
    return chosen


if __name__ == "__main__":
    main()

"""From strokes to a counting verdict and a deployment, on nuclei and macaroni, in numbers.

Usage:
    python benchmarks/counting.py NUCLEI MACARONI [--limit 24]

NUCLEI is DSB2018 in SA-1B form with train and val splits; MACARONI is VisA's macaroni1, photographs
of four pieces each. Every step is a command of `docs/tutorial-scribble.md`, run as it stands there:
strokes as a file, training, rules, predictions, verdicts, a deployment and its server. Counts are
held against the labels (nuclei) and against four, or two in a left half (macaroni). Printed and
written to `results/counting.json`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskmill import rle
from maskmill.formats import LabelledImage, even_sample, read_dataset
from maskmill.scribble.simulate import simulate_strokes
from maskmill.scribble.strokes import Scribbles, Stroke, to_json

RESULT = Path(__file__).parent / "results" / "counting.json"
NUCLEI_RULES: dict[str, Any] = {
    "categories": {
        "nucleus": [
            {"rule": "smooth", "radius": 1},
            {"rule": "split", "method": "distance", "apart": 6},
            {"rule": "min_area", "area": 30},
        ]
    },
    "decisions": [{"rule": "count", "category": "nucleus", "least": 20}],
}
MACARONI_RULES: dict[str, Any] = {
    "categories": {
        "macaroni": [
            {"rule": "fill_holes", "area": 300},
            {"rule": "open", "radius": 2},
            {"rule": "min_area", "area": 1500},
        ]
    },
    "decisions": [{"rule": "count", "category": "macaroni", "least": 4, "most": 4}],
}
PIECES = (
    ("macaroni", ((130, 118), (172, 132), (214, 118))),
    ("background", ((20, 20), (260, 12), (490, 24))),
    ("background", ((102, 130), (128, 160), (170, 166))),
)
"""Three strokes on the first photograph: on a piece, on the ground, on a shadow."""


def maskmill(*arguments: object) -> Any:
    """Run a command and return the object that it prints."""
    command = [sys.executable, "-m", "maskmill", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def counted(found: Path, category: str) -> dict[str, tuple[int, bool]]:
    """Return how many regions each image has, and its verdict."""
    told = json.loads((found / "predictions.json").read_text("utf-8"))
    return {Path(t["image"]).stem: (t["regions"][category], t["passed"]) for t in told["images"]}


def nuclei(data: Path, scratch: Path, limit: int) -> dict[str, Any]:
    """Draw on one, three and five images, count on val images."""
    train = read_dataset(data, split="train").images
    val = even_sample(read_dataset(data, split="val").images, limit)
    unseen = link([image.path for image in val], scratch / "val")
    truth = {image.path.stem: len(image.annotations) for image in val}
    rules = scratch / "rules.json"
    rules.write_text(json.dumps(NUCLEI_RULES))
    rows: dict[str, Any] = {"images": len(val), "objects": sum(truth.values())}
    for number in (1, 3, 5):
        chosen = even_sample(train, number)
        drawn = [stroke for image in chosen for stroke in strokes_on(image)]
        scribbles = Scribbles(categories=("background", "nucleus"), strokes=tuple(drawn))
        folder = link([image.path for image in chosen], scratch / f"drawn{number}")
        strokes = scratch / f"{number}.json"
        strokes.write_bytes(to_json(scribbles))
        trained, found = scratch / f"trained{number}", scratch / f"found{number}"
        maskmill("scribble", "train", folder, "--strokes", strokes, "-o", trained)
        maskmill("scribble", "predict", trained, unseen, "-o", found, "--rules", rules)
        rows[f"strokes on {number}"] = judged(counted(found, "nucleus"), truth, least=20)
    return rows


def judged(
    found: dict[str, tuple[int, bool]], truth: dict[str, int], *, least: int
) -> dict[str, float]:
    """Hold counts and verdicts against the truth."""
    apart = [abs(found[stem][0] - truth[stem]) for stem in truth]
    share = [abs(found[stem][0] - truth[stem]) / truth[stem] for stem in truth]
    right = [found[stem][1] == (truth[stem] >= least) for stem in truth]
    return {
        "counted": float(sum(count for count, _ in found.values())),
        "median off by": float(np.median(apart)),
        "median off by, share": float(np.median(share)),
        "right verdicts": float(np.mean(right)),
    }


def strokes_on(image: LabelledImage) -> list[Stroke]:
    """Draw one stroke on a nucleus and one on the ground."""
    inside = np.zeros(image.size, bool)
    for mask in image.annotations:
        inside |= rle.decode(mask.rle)
    return simulate_strokes(image.path.name, {"nucleus": inside, "background": ~inside}, seed=0)


def macaroni(data: Path, scratch: Path, out: Path) -> dict[str, Any]:
    """Draw three strokes on one photograph, count on all, and on their left halves."""
    photographs = sorted(data.glob("*.jpg"))
    first, others = photographs[0], photographs[1:]
    drawn = tuple(
        Stroke(image=first.name, category=category, points=points, width=5)
        for category, points in PIECES
    )
    scribbles = Scribbles(categories=("background", "macaroni"), strokes=drawn)
    (scratch / "macaroni.json").write_bytes(to_json(scribbles))
    rules, trained = scratch / "macaroni-rules.json", scratch / "macaroni"
    rules.write_text(json.dumps(MACARONI_RULES))
    whole, halves = link(others, scratch / "whole"), scratch / "halves"
    halves.mkdir()
    for path in others:
        with Image.open(path) as photograph:
            half = photograph.crop((0, 0, photograph.width // 2, photograph.height))
            half.save(halves / f"{path.stem}.png")
    learned = maskmill(
        "scribble", "train", link([first], scratch / "one"),
        "--strokes", scratch / "macaroni.json", "-o", trained,
    )  # fmt: skip
    told: dict[str, Any] = {"images": len(others), "warnings": learned.get("warnings", [])}
    for name, folder, pieces in (("four pieces", whole, 4), ("left halves", halves, 2)):
        found = scratch / f"found-{name.split()[0]}"
        maskmill("scribble", "predict", trained, folder, "-o", found, "--rules", rules)
        verdicts = counted(found, "macaroni")
        told[name] = {
            "right counts": float(np.mean([count == pieces for count, _ in verdicts.values()])),
            "pass": float(np.mean([passed for _, passed in verdicts.values()])),
        }
    maskmill("deploy", trained, "-o", out, "--rules", rules)
    return told


def link(paths: list[Path], folder: Path) -> Path:
    """Put photographs, and nothing else, into a folder."""
    folder.mkdir()
    for path in paths:
        (folder / path.name).symlink_to(path.absolute())
    return folder


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nuclei", type=Path)
    parser.add_argument("macaroni", type=Path)
    parser.add_argument("--limit", type=int, default=24, help="val images of nuclei")
    parser.add_argument("--deployed", type=Path, help="where to leave macaroni's deployment")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        scratch = Path(home)
        (scratch / "nuclei").mkdir()
        (scratch / "macaroni-work").mkdir()
        deployed = options.deployed or scratch / "deployed"
        told = {
            "nuclei": nuclei(options.nuclei, scratch / "nuclei", options.limit),
            "macaroni": macaroni(options.macaroni, scratch / "macaroni-work", deployed),
        }
    print(json.dumps(told, indent=1))
    RESULT.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

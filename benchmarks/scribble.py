"""Visual Prompting on labelled sets: what a stroke per category and image is worth, and its clock.

Usage:
    python benchmarks/scribble.py VERTICALS [--limit 16] [--seeds 2] [--cache FOLDER]
    python benchmarks/scribble.py VERTICALS --rules
    python benchmarks/scribble.py VERTICALS --clock

The folder holds one folder per set, in any form that `maskmill import` reads. A simulated person
draws one stroke, 3 pixels wide and 10 to 30 % of its region's diagonal long, per category and image
(background is a category), on 1, then 3, then 5 images; every other image, at most `--limit` a set,
is predicted at the working grid (stride 4 at 512 pixels), brought to the image's size and compared
with the labels. Measured on the same strokes, with the same classifier and settings, are

- `classical`: the filters of ilastik and its kind, on colour, at four scales;
- `classical+edges`: the same, and probabilities agree with their surroundings up to edges of the
  image (`edges.py`);
- `no descriptors`: what the product does, without the pixel encoder's descriptors: filters are also
  compared with their surroundings and with the rest of their image, and trees see the model's maps;
- `no model`: what the product does, without the promptable model's maps;
- `ours`: what the product does (`pixels.PARTS`, `pixels.DESCRIBED`, `pixels.priors_of`).

IoU is pooled over a set's images, per category that was marked; `foreground` leaves the background
out of the mean. Sets named `*visa*`, whose defects of a kind are on very few images, count as one
category, defect. `--rules` trains on strokes on 5 images, has rules suggested on 10 labelled
images, and measures others with and without them. `--clock` measures 200 images of 512 pixels from
cached features on two processes.
"""

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from maskmill import rle
from maskmill.formats import LabelledImage, even_sample, read_dataset, read_pixels
from maskmill.images import content_hash
from maskmill.predict import Predictor
from maskmill.scribble.classifier import PixelModel, at_size, load, predict, save, train
from maskmill.scribble.edges import settle
from maskmill.scribble.features import FeatureCache, Features, extract
from maskmill.scribble.forest import Forest, grow
from maskmill.scribble.pixels import (
    DESCRIBED,
    PARTS,
    at_grid,
    fit_projections,
    marked_cells,
    priors_of,
)
from maskmill.scribble.probe import share_of
from maskmill.scribble.shaping import shape
from maskmill.scribble.simulate import choose_images, simulate_strokes
from maskmill.scribble.strokes import BACKGROUND, UNLABELLED, draw
from maskmill.scribble.suggest import Labelled, as_rules, suggest

RESULT = Path(__file__).parent / "results" / "scribble.json"
FILTERS = PARTS[:1]
ARMS = {
    "classical": (FILTERS, False, False),
    "classical+edges": (FILTERS, False, True),
    "no descriptors": (PARTS, False, True),
    "no model": (PARTS[:2], True, True),
    "ours": (PARTS, True, True),
}
"""What trees look at, whether descriptors are weighed, and whether answers settle along edges."""
IMAGES = (1, 3, 5)


def truth(image: LabelledImage, categories: list[str]) -> np.ndarray:
    labels = np.zeros(image.size, np.int16)
    for mask in image.annotations:
        labels[rle.decode(mask.rle)] = categories.index(category_of(image, mask.category))
    return labels


def category_of(image: LabelledImage, name: str | None) -> str:
    return "defect" if "visa" in image.source else str(name)


class Set:
    """One set: its categories, features by image, and strokes by seed."""

    def __init__(self, name: str, images: list[LabelledImage], predictor: Predictor,
                 cache: FeatureCache) -> None:  # fmt: skip
        self.name, self.images = name, images
        self.predictor, self.cache = predictor, cache
        self.shown = [frozenset(category_of(i, a.category) for a in i.annotations) for i in images]
        self.categories = [BACKGROUND, *sorted(frozenset().union(*self.shown))]
        self._features: dict[int, Features] = {}

    def features(self, place: int) -> Features:
        """Return an image's features, computed once."""
        if place not in self._features:
            path = self.images[place].path
            key = content_hash(path)
            found = self.cache.get(key, self.predictor.model_id)
            if found is None:
                pixels = read_pixels(self.images[place])
                found = extract(pixels, self.predictor.embed(pixels))
                self.cache.put(key, found)
            self._features[place] = found
        return self._features[place]

    def truth(self, place: int) -> np.ndarray:
        """Return an image's label map."""
        return truth(self.images[place], self.categories)

    def strokes(self, place: int, seed: int) -> np.ndarray:
        """Return what a person with this seed draws on an image."""
        labels = self.truth(place)
        masks = {name: labels == k for k, name in enumerate(self.categories)}
        drawn = simulate_strokes(self.images[place].path.name, masks, seed)
        return draw(drawn, self.categories, labels.shape)


def measure(of: Set, drawn_on: list[int], others: list[int], seed: int) -> dict[str, dict]:
    """Train every feature set on the same strokes; return its IoU per category over `others`."""
    projections = fit_projections([of.features(i) for i in drawn_on])
    vectors, places = [], []
    for i in drawn_on:
        cells = marked_cells(of.strokes(i, seed), len(of.categories))
        vectors.append(at_grid(of.features(i), projections)[:, cells != UNLABELLED].T)
        places.append(cells[cells != UNLABELLED])
    every, labels = np.concatenate(vectors), np.concatenate(places)
    seen = np.unique(labels)
    names = [of.categories[k] for k in seen]
    forests = {
        arm: Forest(
            grow(every, np.searchsorted(seen, labels), **settings(arm, names, len(drawn_on)))[0]
        )
        for arm in ARMS
    }
    confusion = {arm: np.zeros((len(of.categories),) * 2, np.int64) for arm in ARMS}
    for i in others:
        grid = at_grid(of.features(i), projections)
        flat = np.ascontiguousarray(grid.reshape(len(grid), -1).T)
        real = of.truth(i)
        for arm, (_, _, edges) in ARMS.items():
            found = forests[arm].probabilities(flat)
            found = np.ascontiguousarray(found.T).reshape(-1, *grid.shape[1:])
            found = at_size(settle(found, grid[0]) if edges else found, real.shape)
            named = seen[found.argmax(axis=0)]
            pairs = real.astype(np.int64) * len(of.categories) + named
            counts = np.bincount(pairs.ravel(), minlength=len(of.categories) ** 2)
            confusion[arm] += counts.reshape(len(of.categories), -1)
    return {arm: iou_of(c, names, seen) for arm, c in confusion.items()}


def settings(arm: str, names: list[str], marked: int) -> dict:
    """Return what a way's forest is grown with: classical ones see filters alone, as ilastik's."""
    parts, probe, _ = ARMS[arm]
    grown = {"parts": parts}
    if probe:
        grown |= {"probe": DESCRIBED, "probe_share": share_of(marked)}
    return grown if parts == FILTERS else grown | {"priors": priors_of(names)}


def iou_of(confusion: np.ndarray, names: list[str], seen: np.ndarray) -> dict[str, float]:
    both = np.diag(confusion)
    either = confusion.sum(0) + confusion.sum(1) - both
    iou = both / np.maximum(either, 1)
    each = {name: float(iou[k]) for name, k in zip(names, seen, strict=True)}
    front = [v for name, v in each.items() if name != BACKGROUND]
    return each | {"all": float(np.mean(list(each.values()))), "foreground": float(np.mean(front))}


def averaged(runs: list[dict[str, float]]) -> dict[str, float]:
    """Average runs; a category that some runs did not mark counts where it was marked."""
    values = defaultdict(list)
    for run in runs:
        for name, value in run.items():
            values[name].append(value)
    return {name: float(np.mean(v)) for name, v in values.items()}


def measure_set(of: Set, seeds: int, limit: int) -> dict[str, dict[str, dict[str, float]]]:
    chosen = {seed: choose_images(of.shown, max(IMAGES), seed) for seed in range(seeds)}
    used = set().union(*chosen.values())
    rest = [of.images[i] for i in range(len(of.images)) if i not in used]
    others = [of.images.index(image) for image in even_sample(rest, limit)]
    result = {}
    for number in IMAGES:
        runs = [measure(of, chosen[seed][:number], others, seed) for seed in range(seeds)]
        result[str(number)] = {arm: averaged([run[arm] for run in runs]) for arm in ARMS}
    return result


def measure_rules(of: Set, limit: int) -> dict[str, float | int]:
    """Suggest rules on some images and measure them on others; strokes are those of seed 0."""
    drawn_on = choose_images(of.shown, max(IMAGES), 0)
    rest = [image for i, image in enumerate(of.images) if i not in drawn_on]
    chosen = [of.images.index(image) for image in even_sample(rest, 10 + limit)]
    labelled = chosen[:: max(1, len(chosen) // 10)][:10]
    model = train(
        {str(i): of.features(i) for i in drawn_on},
        {str(i): of.strokes(i, 0) for i in drawn_on},
        of.categories,
    )
    names = list(model.categories)
    cases = {i: labelled_case(of, model, i) for i in chosen}
    rules = as_rules(suggest([cases[i] for i in labelled], names))
    confusion = np.zeros((2, len(names), len(names)), np.int64)
    for i in chosen:
        if i not in labelled:
            case = cases[i]
            ruled = shape(case.probabilities, names, rules).labels(names)
            for which, found in enumerate((case.probabilities.argmax(axis=0), ruled)):
                pairs = case.labels.astype(np.int64) * len(names) + found
                pairs = pairs[case.labels >= 0]
                counts = np.bincount(pairs.ravel(), minlength=len(names) ** 2)
                confusion[which] += counts.reshape(len(names), -1)
    without, ruled = (iou_of(c, names, np.arange(len(names))) for c in confusion)
    return {
        "rules": sum(len(r) for r in rules.categories.values()),
        "before": without["all"], "after": ruled["all"],
        "before_foreground": without["foreground"], "after_foreground": ruled["foreground"],
    }  # fmt: skip


def labelled_case(of: Set, model: PixelModel, place: int) -> Labelled:
    features, real = of.features(place), of.truth(place)
    # Places in the model's categories; what was never marked cannot be judged.
    known = [model.categories.index(c) if c in model.categories else -1 for c in of.categories]
    probabilities = at_size(predict(model, features), features.size)
    return Labelled(probabilities=probabilities, labels=np.array(known, np.int16)[real])


def print_rules(results: dict[str, dict]) -> None:
    table = Table(title="suggested rules: mean IoU on other images (foreground only)")
    for heading in ("set", "rules", "without", "with"):
        table.add_column(heading, justify="left" if heading == "set" else "right")
    for name, r in results.items():
        cells = [f"{r[w]:.3f} ({r[w + '_foreground']:.3f})" for w in ("before", "after")]
        table.add_row(name, str(r["rules"]), *cells)
    Console(width=120).print(table)


def tables(results: dict[str, dict]) -> list[Table]:
    out = []
    for number in IMAGES:
        table = Table(title=f"strokes on {number}: mean IoU over categories (foreground only)")
        table.add_column("set")
        for arm in ARMS:
            table.add_column(arm, justify="right")
        table.add_column("gain", justify="right")
        for name, rows in results.items():
            row = rows[str(number)]
            cells = [f"{row[a]['all']:.3f} ({row[a]['foreground']:.3f})" for a in ARMS]
            gain = [row["ours"][k] - row["classical"][k] for k in ("all", "foreground")]
            if name == "mean":
                table.add_section()
            table.add_row(name, *cells, f"{gain[0]:+.3f} ({gain[1]:+.3f})")
        out.append(table)
    return out


def mean_over_sets(results: dict[str, dict]) -> dict:
    return {
        str(n): {
            arm: {
                k: float(np.mean([r[str(n)][arm][k] for r in results.values()]))
                for k in ("all", "foreground")
            }
            for arm in ARMS
        }
        for n in IMAGES
    }


def predict_files(folder: Path, paths: list[Path]) -> float:
    """Predict images from cached features in a process of its own; return its processor seconds."""
    from maskmill.scribble.features import from_bytes

    cv2.setNumThreads(1)
    began = time.process_time()
    model = load(folder)
    for path in paths:
        predict(model, from_bytes(path.read_bytes()))
    return time.process_time() - began


def warm_up(folder: Path) -> None:
    load(folder)


def clock(of: Set, work: Path) -> dict[str, float]:
    """Measure training, 200 images on two processes, and one image again, from cached features."""
    pixels = [read_pixels(image) for image in of.images[:5]]
    side = [cv2.resize(p, (512, 512), interpolation=cv2.INTER_LINEAR) for p in pixels]
    chosen = [extract(p, of.predictor.embed(p)) for p in side]
    paths = []
    for i in range(200):
        path = work / f"{i}.npz"
        FeatureCache(work).put(str(i), chosen[i % 5])
        FeatureCache(work).path(str(i), of.predictor.model_id).rename(path)
        paths.append(path)
    names = [str(i) for i in range(5)]
    labels = {
        n: cv2.resize(of.strokes(i, 0), (512, 512), interpolation=cv2.INTER_NEAREST)
        for i, n in enumerate(names)
    }
    features = dict(zip(names, chosen, strict=True))
    train(features, labels, of.categories)  # loads scikit-learn, which a server has loaded
    began = time.perf_counter()
    model = train(features, labels, of.categories)
    trained = time.perf_counter() - began
    save(model, work / "model")
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that begin here, as the server's have
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        # A server's workers are there already when somebody draws.
        list(pool.map(warm_up, [work / "model"] * 2))
        began = time.perf_counter()
        halves = [paths[i::8] for i in range(8)]
        processor = sum(pool.map(predict_files, [work / "model"] * 8, halves))
        two_hundred = time.perf_counter() - began
    return {
        "train_s": trained,
        "predict_200_s": two_hundred,
        "predict_200_processor_s": processor,
        "load_average": os.getloadavg()[0],
        "changed_stroke_s": trained + two_hundred,
        "one_image_s": one_image(model, chosen[0]),
        "cached_bytes_512px": paths[0].stat().st_size,
    }


def one_image(model: PixelModel, features: Features) -> float:
    times = []
    for _ in range(9):
        began = time.perf_counter()
        at_size(predict(model, features), features.size)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder of labelled sets")
    parser.add_argument("--sets", default="", help="only sets whose names hold one of these words")
    parser.add_argument("--limit", type=int, default=16, help="images predicted per set")
    parser.add_argument("--seeds", type=int, default=2, help="people who draw")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--cache", type=Path, default=None, help="where features are kept")
    parser.add_argument("--rules", action="store_true", help="measure suggested rules")
    parser.add_argument("--clock", action="store_true", help="measure time only")
    parser.add_argument("--out", type=Path, default=RESULT)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    cv2.setNumThreads(1)
    predictor = Predictor.load(arguments.model, threads=1)
    record = json.loads(arguments.out.read_text("utf-8")) if arguments.out.exists() else {}
    with tempfile.TemporaryDirectory() as work:
        cache = FeatureCache(arguments.cache or Path(work) / "features")
        words = arguments.sets.split(",")
        folders = [f for f in sorted(arguments.folder.iterdir()) if f.is_dir()]
        folders = [f for f in folders if any(w in f.name for w in words)]
        sets = (Set(f.name, list(read_dataset(f)), predictor, cache) for f in folders)
        if arguments.clock:
            record["clock"] = clock(next(iter(sets)), Path(work))
            print(json.dumps(record["clock"], indent=1))
        elif arguments.rules:
            results = record.get("rules", {})
            for one in sets:
                results[one.name] = measure_rules(one, arguments.limit)
                record["rules"] = dict(sorted(results.items()))
                arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
            print_rules(record["rules"])
        else:
            settings = {"seeds": arguments.seeds, "images_per_set": arguments.limit}
            if record.get("settings") != settings:
                record |= {"settings": settings, "iou": {}}
            results = {k: v for k, v in record["iou"].items() if k != "mean"}
            for one in sets:
                results[one.name] = measure_set(one, arguments.seeds, arguments.limit)
                results = dict(sorted(results.items()))
                record["iou"] = results | {"mean": mean_over_sets(results)}
                # Sets may be measured one by one, in runs of a few minutes.
                arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
            for table in tables(record["iou"]):
                Console(width=190).print(table)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""Everything mode beside the reference generator: time, memory, and whether the masks agree.

Usage:
    python benchmarks/automask.py [--model tiny|vit_b] [--points 32] [--repeats 3] [--images FOLDER]

Each variant runs in a process of its own, in turns, with two threads, on the same photographs:

- `reference`: `SamAutomaticMaskGenerator` of segment-anything. It drives our weights: those of a
  published architecture in its own `Sam`, others behind an adapter with the same interface.
- `ours`: `maskmill.automask` in float32 on PyTorch; `onnx` the same on ONNX Runtime.
- `fast`: the same with `fast=True`.

Where the weights are random (vit_b, and any model without a file) the decoders run and a scene, the
same for all, replaces what they say; `tests/automask_scene.py` holds it. `recall` is the share of
the reference's masks that have a twin of IoU 0.95 or more, `precision` the share of ours that have
one. Loading the model is not counted.
"""

import argparse
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "automask.json"
TWIN = 0.95


def photographs(folder: Path | None, longest: int, limit: int) -> list[np.ndarray]:
    """Return photographs enlarged or reduced so that their longest side is `longest`."""
    import cv2

    if folder is not None:
        from maskmill.images import list_images, read_image

        images = [read_image(path) for path in list_images(folder)[:limit]]
    else:
        from skimage import data

        images = [data.coffee(), data.astronaut(), data.chelsea(), data.rocket()][:limit]
    sized = []
    for image in images:
        scale = longest / max(image.shape[:2])
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        sized.append(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC))
    return sized


def generator(variant: str, model: str, points: int, scene: bool) -> Callable[[np.ndarray], Any]:
    """Return a function from an image to the masks' run lengths as (size, counts)."""
    sys.path[:0] = [str(ROOT / "tests")]
    from maskmill.automask import automask
    from maskmill.config import MODEL_CONFIGS, AutomaskConfig
    from maskmill.predict import Predictor

    # Real weights with the thresholds that suit them, the scene with the reference's defaults.
    config = AutomaskConfig(points_per_side=points, fast=variant == "fast")
    config = config.for_model(MODEL_CONFIGS["vit_b" if scene else model])
    if variant != "reference":
        if not scene:
            backend = "onnx" if variant == "onnx" else "torch"
            predictor = Predictor.load(model, backend=backend, threads=2)
        else:
            import automask_scene

            from maskmill.model.sam import build

            backend = automask_scene.SceneOverTorch(build(MODEL_CONFIGS[model]).eval(), {})
            predictor = Predictor(
                backend, MODEL_CONFIGS[model], model_id="random", backend_name="torch"
            )
        return lambda image: [
            (m.rle.size, m.rle.counts) for m in automask(predictor, image, config)
        ]
    import automask_scene
    from conftest import reference_sam

    from maskmill.model.sam import build
    from maskmill.rle import from_run_lengths

    package = reference_sam()
    scenes: dict[tuple[int, int], Any] | None = {} if scene else None
    if scene:
        sam = build(MODEL_CONFIGS[model]).eval()
    else:
        from maskmill.model.checkpoint import load_model
        from maskmill.weights import model_folder

        sam = load_model(model_folder(model))[0].eval()
    if model == "vit_b":
        driven = automask_scene.published_reference(package, sam, scenes)
    else:
        driven = automask_scene.ReferenceSam(package, sam, scenes, sam.config)
    theirs = package.SamAutomaticMaskGenerator(
        driven,
        points_per_side=points,
        pred_iou_thresh=config.pred_iou_thresh,
        stability_score_thresh=config.stability_score_thresh,
        output_mode="uncompressed_rle",
    )

    def generate(image: np.ndarray) -> Any:
        found = []
        for record in theirs.generate(image):
            coded = record["segmentation"]
            rle = from_run_lengths(tuple(coded["size"]), coded["counts"])
            found.append((rle.size, rle.counts))
        return found

    return generate


def child(arguments: argparse.Namespace) -> None:
    """Run one variant over the photographs and leave what it measured in a file."""
    if arguments.child != "onnx":
        import torch

        torch.set_num_threads(2)
    images = photographs(arguments.images, arguments.longest, arguments.limit)
    generate = generator(arguments.child, arguments.model, arguments.points, arguments.scene)
    small = images[0][:: 1 + images[0].shape[0] // 64, :: 1 + images[0].shape[1] // 64]
    if arguments.model != "vit_b":
        generate(np.ascontiguousarray(small))
    walls, cpus, masks = [], [], []
    for image in images:
        wall, cpu = time.perf_counter(), time.process_time()
        masks.append(generate(image))
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with arguments.result.open("wb") as file:
        pickle.dump({"wall": walls, "cpu": cpus, "peak_mib": peak, "masks": masks}, file)


def measure(variant: str, arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result"
        command = [sys.executable, __file__, "--child", variant, "--result", str(result)]
        for name in ("model", "points", "longest", "limit", "images"):
            if getattr(arguments, name) is not None:
                command += [f"--{name}", str(getattr(arguments, name))]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        environment.pop("OMP_NUM_THREADS", None)
        command += ["--scene"] * arguments.scene
        subprocess.run(command, check=True, env=environment)
        with result.open("rb") as file:
            answer: dict[str, Any] = pickle.load(file)
    return answer


def twins(a: list[Any], b: list[Any]) -> tuple[int, int]:
    """Count how many masks of one list have a twin in the other, of how many."""
    from maskmill import rle

    if not a or not b:
        return 0, len(a)
    overlap = rle.iou([rle.Rle(*mask) for mask in a], [rle.Rle(*mask) for mask in b])
    return int((overlap.max(axis=1) >= TWIN).sum()), len(a)


def share(ours: list[list[Any]], theirs: list[list[Any]]) -> float:
    counts = np.array([twins(a, b) for a, b in zip(ours, theirs, strict=True)])
    return float(counts[:, 0].sum() / max(1, counts[:, 1].sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--longest", type=int, default=1024)
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--scene", action="store_true", help="as for random weights")
    parser.add_argument("--variants", nargs="+", default=["reference", "ours", "onnx", "fast"])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return
    sys.path[:0] = [str(ROOT / "src")]
    arguments.scene = arguments.scene or not has_weights(arguments.model)
    variants = [v for v in arguments.variants if not (arguments.scene and v == "onnx")]
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    load = os.getloadavg()[0]
    for _ in range(arguments.repeats):
        for variant in variants:
            runs[variant].append(measure(variant, arguments))
    report(runs, arguments, load)


def has_weights(model: str) -> bool:
    from maskmill.errors import MaskmillError
    from maskmill.weights import model_folder

    try:
        model_folder(model)
    except MaskmillError:
        return False
    return True


def report(
    runs: dict[str, list[dict[str, Any]]], arguments: argparse.Namespace, load: float
) -> None:
    rows = {}
    theirs = runs["reference"]
    for variant, answers in runs.items():
        masks, reference = answers[0]["masks"], theirs[0]["masks"]
        rows[variant] = {
            "wall_s": statistics.median(sum(a["wall"]) for a in answers),
            "cpu_s": statistics.median(sum(a["cpu"]) for a in answers),
            "peak_mib": max(a["peak_mib"] for a in answers),
            "masks": sum(len(m) for m in masks),
            "recall": share(reference, masks),
            "precision": share(masks, reference),
        }
    base = rows["reference"]
    for row in rows.values():
        row["times_faster"] = base["wall_s"] / row["wall_s"]
        row["times_faster_cpu"] = base["cpu_s"] / row["cpu_s"]
        row["share_of_memory"] = row["peak_mib"] / base["peak_mib"]
    title = (
        f"{arguments.model}, {arguments.points}x{arguments.points} points, "
        f"{len(theirs[0]['masks'])} photographs, longest side {arguments.longest}"
        + (", decoder's output replaced by a scene" if arguments.scene else "")
    )
    show(rows, title)
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    key = f"{arguments.model}-{arguments.points}" + ("-scene" if arguments.scene else "")
    results[key] = {
        "title": title, "repeats": arguments.repeats, "load_before": round(load, 1),
        "variants": {k: {n: round(v, 4) for n, v in row.items()} for k, row in rows.items()},
    }  # fmt: skip
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(results, indent=1) + "\n")


def show(rows: dict[str, dict[str, float]], title: str) -> None:
    table = Table(title=title)
    for heading in (
        "variant", "wall s", "times", "cpu s", "times", "peak MiB", "share", "masks",
        "recall", "precision",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        table.add_row(
            name, f"{row['wall_s']:.1f}", f"{row['times_faster']:.1f}", f"{row['cpu_s']:.1f}",
            f"{row['times_faster_cpu']:.1f}", f"{row['peak_mib']:.0f}",
            f"{row['share_of_memory']:.2f}", f"{row['masks']:.0f}", f"{row['recall']:.3f}",
            f"{row['precision']:.3f}",
        )  # fmt: skip
    Console(width=110).print(table)


if __name__ == "__main__":
    main()

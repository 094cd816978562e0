"""Milliseconds to encode an image and to decode a prompt, through ONNX Runtime, beside vit_b.

Usage:
    python benchmarks/latency.py [--model tiny] [--input-side 512] [--rounds 15] [--vit-rounds 3]

All measurements take turns within one run, so that other work on the machine hits all alike, and so
does a fixed matrix product (1024x1024x1024, float32, NumPy), which tells how busy it was. `wall` is
what a person waits, `cpu` what the process computed; on a busy machine only the second is steady.
Loading and one warm-up call are not counted. vit_b has random weights and runs in PyTorch, the
runtime of those who have its checkpoint. With `--input-side` the model is exported anew for that
side; so is a model that is not in the package, with random weights.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
from rich.console import Console
from rich.table import Table

from maskmill.config import MODEL_CONFIGS, VIT_B, ModelConfig
from maskmill.onnx_backend import OnnxBackend
from maskmill.weights import builtin_models, model_folder

RESULT = Path(__file__).parent / "results" / "latency.json"
LIMITS = {"encode, 2 threads": 300, "decode 1, 2 threads": 15}
"""What the project promises for `tiny`: milliseconds, per image and per prompt."""

Call = Callable[[], Any]


def exported(model: str, input_side: int | None, folder: Path) -> tuple[Path, ModelConfig, str]:
    """Return a folder with ONNX files of the model at that side, and what its weights are."""
    if model in builtin_models() and input_side is None:
        return model_folder(model), MODEL_CONFIGS[model], "shipped"
    from maskmill.model.checkpoint import load_model
    from maskmill.model.sam import build
    from maskmill.onnx_export import export

    config = MODEL_CONFIGS[model]
    config = replace(config, input_side=input_side or config.input_side)
    sam, weights = build(config).eval(), "random"
    if model in builtin_models():
        sam.load_state_dict(load_model(model)[0].state_dict())
        weights = "shipped"
    export(sam, folder)
    return folder, config, weights


def prompts(n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `n` points, each with its padding point, in the input frame."""
    coords = np.zeros((n, 2, 2), np.float32)
    coords[:, 0] = np.random.default_rng(0).uniform(0, side, (n, 2))
    return coords, np.tile(np.array([1, -1]), (n, 1))


def onnx_calls(folder: Path, config: ModelConfig) -> dict[str, tuple[Call, int]]:
    """Return what to time, with the number of prompts that each call answers."""
    calls: dict[str, tuple[Call, int]] = {}
    frame = np.random.default_rng(0).standard_normal(
        (1, 3, config.input_side, config.input_side), dtype=np.float32
    )
    mask = np.zeros((1, 1, config.low_res_side, config.low_res_side), np.float32)
    for threads in (1, 2):
        backend = OnnxBackend(folder, threads=threads)
        embedded = backend.encode(frame)

        def decode(n: int, mask: np.ndarray | None, b: OnnxBackend, e: Any) -> Call:
            coords, labels = prompts(n, config.input_side)
            return lambda: b.decode(*e, coords, labels, mask, True)

        unit = f"{threads} thread{'s' if threads > 1 else ''}"
        calls[f"encode, {unit}"] = ((lambda b=backend: b.encode(frame)), 1)
        for n in (1, 8, 32):
            calls[f"decode {n}, {unit}"] = (decode(n, None, backend, embedded), n)
        calls[f"decode 1 with a mask, {unit}"] = (decode(1, mask, backend, embedded), 1)
    return calls


def vit_b_calls() -> dict[str, tuple[Call, int]]:
    """Return the same for vit_b with random weights in PyTorch, on two threads."""
    import torch

    from maskmill.model.sam import build
    from maskmill.model.torch_backend import TorchBackend

    torch.set_num_threads(2)
    backend = TorchBackend(build(VIT_B).eval())
    frame = np.zeros((1, 3, VIT_B.input_side, VIT_B.input_side), np.float32)
    side = VIT_B.embedding_side
    embedding = np.zeros((1, VIT_B.decoder.transformer_dim, side, side), np.float32)
    coords, labels = prompts(1, VIT_B.input_side)
    return {
        "vit_b encode, torch": (lambda: backend.encode(frame), 1),
        "vit_b decode 1, torch": (
            lambda: backend.decode(embedding, (), coords, labels, None, True),
            1,
        ),
    }


def take_turns(
    calls: dict[str, tuple[Call, int]], rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Time each call once per round; (wall, cpu) in milliseconds, per image or prompt."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, (call, n) in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            spent = (time.perf_counter() - wall, time.process_time() - cpu)
            if i:  # the first round warms up
                times[name].append((spent[0] / n * 1e3, spent[1] / n * 1e3))
    return times


def summary(times: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, float]]:
    """Return medians, and the smallest wall time."""
    return {
        name: {
            "wall_ms": round(statistics.median(wall for wall, _ in spent), 2),
            "least_wall_ms": round(min(wall for wall, _ in spent), 2),
            "cpu_ms": round(statistics.median(cpu for _, cpu in spent), 2),
        }
        for name, spent in times.items()
    }


def ratios(rows: dict[str, dict[str, float]], kind: str) -> dict[str, float]:
    """Return how many times longer vit_b takes."""
    pairs = {"encode": "encode, 2 threads", "decode 1": "decode 1, 2 threads"}
    return {
        name: round(rows[f"vit_b {name}, torch"][kind] / rows[ours][kind], 1)
        for name, ours in pairs.items()
        if f"vit_b {name}, torch" in rows
    }


def show(rows: dict[str, dict[str, float]], title: str) -> None:
    table = Table(title=title)
    for heading in ("", "median wall ms", "least", "median cpu ms", "limit"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in rows.items():
        limit = LIMITS.get(name)
        table.add_row(name, *(f"{v:.1f}" for v in row.values()), str(limit) if limit else "")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tiny", choices=[*MODEL_CONFIGS])
    parser.add_argument("--input-side", type=int)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--vit-rounds", type=int, default=3, help="0 leaves vit_b out")
    args = parser.parse_args()
    a = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
    product: dict[str, tuple[Call, int]] = {"matrix product": (lambda: a @ a, 1)}
    with tempfile.TemporaryDirectory() as scratch:
        folder, config, weights = exported(args.model, args.input_side, Path(scratch))
        rows = summary(take_turns(product | onnx_calls(folder, config), args.rounds))
        megabytes = sum(p.stat().st_size for p in folder.glob("*.onnx")) / 1e6
    if args.vit_rounds:
        rows |= summary(take_turns(vit_b_calls(), args.vit_rounds))
    load = os.getloadavg()[0]
    show(rows, f"{args.model} at {config.input_side} px, {weights} weights, load {load:.1f}")
    result = {
        "model": args.model,
        "input_side": config.input_side,
        "weights": weights,
        "onnx_megabytes": round(megabytes, 2),
        "cores": os.cpu_count(),
        "load_average": round(load, 1),
        "per": "image or prompt",
        "rows": rows,
        "times_vit_b": {"wall": ratios(rows, "wall_ms"), "cpu": ratios(rows, "cpu_ms")},
    }
    print(json.dumps(result["times_vit_b"]))
    recorded = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    recorded[f"{args.model}-{config.input_side}"] = result
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(recorded, indent=2) + "\n")


if __name__ == "__main__":
    main()

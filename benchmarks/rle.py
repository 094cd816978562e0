"""Time run lengths against pycocotools, in the same run, on the same masks.

Masks lie in C order, as a model makes them. pycocotools needs them down the columns, so the copy
with `np.asfortranarray` is part of its time, and for decoding so is the copy back. Rounds of both
alternate and medians are added up, in processor time, because other work may share the machine.

    python benchmarks/rle.py [--masks 1000] [--side 1024]
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as peer

from maskmill import rle

Job = tuple[str, Callable[[], object], Callable[[], object]]
BATCH = 100


def blobs(n: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Masks as an image has them: ragged ellipses anywhere, radius 2 to 40 % of the side."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    masks = np.empty((n, side, side), bool)
    for mask in masks:
        cy, cx = rng.uniform(0.15, 0.85, 2) * side
        radius, squash = side * np.exp(rng.uniform(np.log(0.02), np.log(0.4))), rng.uniform(0.5, 2)
        waves = rng.standard_normal((side // 8, side // 8)).astype(np.float32)
        waves = cv2.resize(cv2.GaussianBlur(waves, (0, 0), 3), (side, side)) * 8
        mask[:] = np.hypot((y - cy) * squash, x - cx) / radius + 0.3 * waves < 1
    return masks


def jobs(masks: np.ndarray) -> Iterator[Job]:
    """Each operation as ours and as the peer's; both give the same values."""
    ours = rle.encode_many(masks)
    theirs = [{"size": list(one.size), "counts": one.counts} for one in ours]
    copied = [peer.encode(np.asfortranarray(mask.view(np.uint8))) for mask in masks]
    assert [one["counts"] for one in copied] == [one.counts for one in ours]
    assert np.array_equal(rle.iou(ours, ours), peer.iou(theirs, theirs, [0] * len(theirs)))
    yield (
        "encode",
        lambda: rle.encode_many(masks),
        lambda: [peer.encode(np.asfortranarray(mask.view(np.uint8))) for mask in masks],
    )
    yield (
        "decode",
        lambda: [rle.decode(one) for one in ours],
        lambda: [np.ascontiguousarray(peer.decode(one)) for one in theirs],
    )
    yield "area", lambda: [rle.area(r) for r in ours], lambda: [peer.area(r) for r in theirs]
    yield "box", lambda: [rle.box(r) for r in ours], lambda: [peer.toBbox(r) for r in theirs]
    yield (
        f"IoU, {len(ours)} x {len(ours)}",
        lambda: rle.iou(ours, ours),
        lambda: peer.iou(theirs, theirs, [0] * len(theirs)),
    )
    yield "union of all", lambda: rle.union(ours), lambda: peer.merge(theirs)


def milliseconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def measure(masks: int, side: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds by operation, ours and the peer's, added up over batches of masks."""
    rng, table = np.random.default_rng(3), {}
    for _ in range(masks // BATCH):
        for name, ours, theirs in jobs(blobs(BATCH, side, rng)):
            pairs = [(milliseconds(ours), milliseconds(theirs)) for _ in range(rounds)]
            row = table.setdefault(name, {"maskmill_ms": 0.0, "pycocotools_ms": 0.0})
            for key, times in zip(row, zip(*pairs, strict=True), strict=True):
                row[key] += statistics.median(times)
    for row in table.values():
        row["times_faster"] = row["pycocotools_ms"] / row["maskmill_ms"]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--masks", type=int, default=1000, help=f"a multiple of {BATCH}")
    parser.add_argument("--side", type=int, default=1024, help="pixels")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = measure(options.masks, options.side, options.rounds)
    print(f"{options.masks} masks of {options.side} x {options.side}, batches of {BATCH}, CPU ms")
    print(f"{'':16} {'maskmill':>10} {'pycocotools':>12} {'times faster':>13}")
    for name, row in table.items():
        print(f"{name:16} {row['maskmill_ms']:10.0f} {row['pycocotools_ms']:12.0f} ", end="")
        print(f"{row['times_faster']:13.2f}")
    result: dict[str, Any] = {
        "settings": vars(options) | {"batch": BATCH},
        "versions": {name: version(name) for name in ("numpy", "pycocotools")},
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "operations": table,
    }
    out = Path(__file__).parent / "results" / "rle.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

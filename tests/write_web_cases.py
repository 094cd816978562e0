"""Writes `web_cases.json`: masks and logits that both pytest and vitest read.

    python tests/write_web_cases.py

What Python answers is the expectation of the browser's TypeScript; `test_web_cases.py` tells when
Python answers otherwise by now.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.geometry import low_res_to_original, preprocess_size
from maskmill.rle import encode

CASES = Path(__file__).with_name("web_cases.json")
DRAWINGS = {
    "empty": ["....", "...."],
    "full": ["###", "###", "###", "###"],
    "one pixel": ["......", "....#.", "......"],
    "border": ["#..#", "....", "#..#"],
    "ring": ["#####..", "#...#.#", "#.#.#.#", "#...#..", "#####.."],
    "column ends": [".##..", "..#..", "..##.", "...#."],
}
UPSAMPLED = [(16, 64, 90, 60), (16, 64, 50, 75), (24, 96, 96, 96), (24, 96, 700, 31)]
"""Side of the logits, input side, height and width of the image."""


def cases() -> dict[str, Any]:
    """Return what the file holds."""
    return {
        "masks": [_drawn(name, rows) for name, rows in DRAWINGS.items()],
        "upsampled": [_upsampled(*sizes) for sizes in UPSAMPLED],
    }


def _drawn(name: str, rows: list[str]) -> dict[str, Any]:
    mask = np.array([[sign == "#" for sign in row] for row in rows])
    return {"name": name, "rows": rows, "counts": encode(mask).counts.decode()}


def _upsampled(low: int, side: int, height: int, width: int) -> dict[str, Any]:
    y, x = np.mgrid[:low, :low] / low
    logits = np.sin(7 * x + 2 * y) + np.cos(5 * y - 3 * x) - 0.4
    logits = logits.round(3).astype(np.float32)
    full = low_res_to_original(
        logits,
        input_side=side,
        input_size=preprocess_size((height, width), side),
        original_size=(height, width),
    )
    return {
        "low": low,
        "input_side": side,
        "height": height,
        "width": width,
        "logits": [round(float(value), 3) for value in logits.ravel()],
        "counts": encode(full > 0).counts.decode(),
    }


if __name__ == "__main__":
    CASES.write_text(json.dumps(cases(), indent=1) + "\n", "utf-8")

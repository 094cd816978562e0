"""Visual Prompting in a browser, against the clock: strokes on one image, 200 images segmented.

    python benchmarks/scribbling.py PHOTOGRAPHS [--images 200] [--strokes 20]

PHOTOGRAPHS is a folder; as many of its images as asked for are scaled to 512 pixels along the
longer side. Features are cached before anything is measured, as they are while images come in.
Measured in the page: from a stroke's end until what was found on its image is there to be painted,
and until all images were looked at; the first time, and after each further stroke. The load is
stated, and the time of a fixed matrix product tells what the machine gives at this moment.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from driving import CHROMIUM, FLAGS, Annotator, Server, free_port

SIDE = 512
LIMITS = {"stroke_to_found_median_ms": 300, "first_run_s": 5, "rerun_median_s": 3}

# Draws as the canvas does when the pointer lifts, and waits for what comes of it.
STROKE = """async ([stroke, images]) => {
  const {board} = maskmill.scribble, before = board.looked, started = performance.now();
  const told = document.querySelector('[data-testid=scribble]').dataset, run = +told.run;
  board.add(stroke);
  const tick = () => new Promise(done => setTimeout(done, 2));
  while (board.looked === before) await tick();
  const found = performance.now() - started;
  while (!(+told.run > run && told.phase === 'idle')) await tick();
  return [found, performance.now() - started, +told.found];
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--strokes", type=int, default=20)
    default = Path(__file__).parent / "results" / "scribbling.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "photographs"
        write_photographs(arguments.photographs, folder, arguments.images)
        server = Server(folder, free_port()).start()
        try:
            server.wait_for_embeddings(arguments.images)
            with sync_playwright() as playwright:
                found = measure(playwright, server, arguments)
        finally:
            server.kill()
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def write_photographs(source: Path, folder: Path, amount: int) -> None:
    folder.mkdir()
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if len(paths) < amount:
        sys.exit(f"{source} holds {len(paths)} photographs, not {amount}")
    for i in range(amount):
        with Image.open(paths[i * len(paths) // amount]) as image:
            scale = SIDE / max(image.size)
            size = (round(image.width * scale), round(image.height * scale))
            image.convert("RGB").resize(size).save(folder / f"{i:04}.jpg", quality=90)


def measure(playwright: Any, server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.goto(server.links[-1])
    person = Annotator(page).ready()
    person.fetch("/api/categories", "POST", {"name": "thing"})
    page.goto(f"{server.address}/#/scribble")
    person.until("!!window.maskmill?.scribble?.board.picture")
    features = server.project / "cache" / "features"
    while len([*features.glob("*.npz")]) < arguments.images:
        time.sleep(0.5)
    size = sum(path.stat().st_size for path in features.glob("*.npz"))
    time.sleep(2)
    load, product = os.getloadavg()[0], matrix_ms()
    rows = []
    for i in range(arguments.strokes + 1):
        x, y = 60 + 15 * (i % 20), 60 + 40 * (i % 5)
        stroke = {"category_id": (i + 1) % 2, "width": 5, "points": [[x, y], [x + 40, y + 8]]}
        if i == 0:  # one class alone trains nothing
            page.evaluate("stroke => maskmill.scribble.board.add(stroke)", stroke)
            person.until("maskmill.scribble.board.isSaved")
            time.sleep(2)
            continue
        rows.append(page.evaluate(STROKE, [stroke, arguments.images]))
        time.sleep(1)
    browser.close()
    first, again = rows[0], rows[1:]
    return {
        "images": arguments.images,
        "megabytes_of_features_per_image": size / arguments.images / 1e6,
        "load_before": load,
        "matrix_ms": product,
        "limits": LIMITS,
        "first_found_ms": first[0],
        "first_run_s": first[1] / 1e3,
        "stroke_to_found_median_ms": statistics.median(row[0] for row in again),
        "stroke_to_found_p95_ms": float(np.percentile([row[0] for row in again], 95)),
        "rerun_median_s": statistics.median(row[1] for row in again) / 1e3,
        "looked_at": min(row[2] for row in rows),
    }


def matrix_ms() -> float:
    a = np.random.default_rng(0).random((1000, 1000))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3


if __name__ == "__main__":
    main()

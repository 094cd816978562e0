"""Somebody sits down with the tool: fresh photographs, real clicks, and what it costs.

    python benchmarks/sitting.py LABELLED [--photographs 12] [--out benchmarks/results/sitting.json]

LABELLED is a folder of photographs with masks in SA-1B form; the tool sees the photographs alone,
and an oracle who knows the masks works as a person does: clicks the middle of an object, takes the
best of the three candidates with Tab, clicks where most is missing or too much until the mask is
good (IoU 0.85) or six clicks are spent, keeps it, and goes on; `N` brings the next photograph.
The server is killed after every fourth photograph. Counted are clicks, keys and the seconds that
the person waits for the tool; the person's own seconds are not in it.
"""

import argparse
import base64
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from driving import CHROMIUM, FLAGS, Annotator, Server, free_port

from maskmill.rle import Rle, decode

GOOD, MOST_CLICKS, MOST_OBJECTS = 0.85, 6, 6
KILL_EVERY = 4
TAKEN = "maskmill.session.editor.prompting.taken"
CANDIDATES = """maskmill.session.editor.prompting.candidates.map(({mask}) => {
  const {box, pixels} = mask;
  return {box, pixels: btoa(Array.from(pixels, p => p ? '1' : '0').join(''))};
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--photographs", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sitting.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "fresh"
        known = _choose(arguments.labelled, folder, arguments.photographs)
        started = time.perf_counter()
        server = Server(folder, free_port()).start()
        try:
            report = _sit(server, known, started)
        finally:
            server.kill()
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


def _choose(labelled: Path, folder: Path, amount: int) -> dict[str, list[np.ndarray]]:
    """Copy photographs from all over the folder; returns their largest objects by name."""
    folder.mkdir()
    records = [
        each for each in sorted(labelled.rglob("*.json")) if each.with_suffix(".jpg").exists()
    ]
    known = {}
    for record in records[:: max(1, len(records) // amount)][:amount]:
        name = f"{record.parent.name}-{record.stem}.jpg"
        shutil.copy(record.with_suffix(".jpg"), folder / name)
        masks = [each["segmentation"] for each in json.loads(record.read_text())["annotations"]]
        shapes = [decode(Rle(tuple(each["size"]), each["counts"].encode())) for each in masks]
        known[name] = sorted(shapes, key=lambda mask: -int(mask.sum()))[:MOST_OBJECTS]
    return known


def _sit(server: Server, known: dict[str, list[np.ndarray]], started: float) -> dict[str, Any]:
    load = os.getloadavg()[0]
    masks: list[dict[str, Any]] = []
    kills = lost = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
        page.goto(server.links[-1])
        person = Annotator(page).ready()
        first_click = time.perf_counter() - started
        opened = []
        for n in range(len(known)):
            name = page.evaluate("maskmill.session.image.name")
            masks += [_make(person, truth) for truth in known[name]]
            if n % KILL_EVERY == KILL_EVERY - 1:
                server.kill()
                kills += 1
                server.start()
            drawn = person.saved().shapes()
            person.page.reload()
            lost += len(drawn) - len(person.ready().shapes())
            before = time.perf_counter()
            person.press("n")
            if n + 1 < len(known):
                person.until("n => window.maskmill?.session?.image.name !== n", name)
                person.ready()
                opened.append(time.perf_counter() - before)
        report = {
            "chromium": browser.version,
            "machine": f"{os.cpu_count()} cores",
            "load_before": round(load, 2),
            "load_after": round(os.getloadavg()[0], 2),
            "photographs": len(known),
            "seconds_from_command_to_first_click": round(first_click, 1),
            "seconds_to_next_photograph_median": round(float(np.median(opened)), 2),
            "server_killed": kills,
            "masks_lost": lost,
            **_summary(masks),
        }
        browser.close()
    return report


def _make(person: Annotator, truth: np.ndarray) -> dict[str, Any]:
    """One object, from the first click to the mask that is kept."""
    clicks = keys = 0
    waited, found = 0.0, np.zeros_like(truth)
    while clicks < MOST_CLICKS and _iou(found, truth) < GOOD:
        missing, extra = truth & ~found, found & ~truth
        adds = missing.sum() >= extra.sum()
        x, y = _middle(missing if adds else extra)
        before = time.perf_counter()
        person.click(x, y, alt=not adds)
        waited += time.perf_counter() - before
        clicks += 1
        candidates = [_pixels(each, truth.shape) for each in person.page.evaluate(CANDIDATES)]
        taken = person.page.evaluate(TAKEN)
        if clicks == 1:
            best = int(np.argmax([_iou(each, truth) for each in candidates]))
            tabs = (best - taken) % len(candidates)
            for _ in range(tabs):
                person.press("Tab")
            keys, taken = keys + tabs, best
        found = candidates[taken]
    person.press("Enter")
    person.press("Escape")
    return {"clicks": clicks, "keys": keys + 1, "waited": waited, "iou": _iou(found, truth)}


def _pixels(candidate: dict[str, Any], shape: tuple[int, int]) -> np.ndarray:
    box = {name: int(value) for name, value in candidate["box"].items()}
    flat = np.frombuffer(base64.b64decode(candidate["pixels"]), np.uint8) == ord("1")
    mask = np.zeros(shape, bool)
    window = mask[box["y0"] : box["y1"], box["x0"] : box["x1"]]
    window[:] = flat.reshape(window.shape)
    return mask


def _middle(region: np.ndarray) -> tuple[float, float]:
    """The point farthest from the region's edge."""
    depth = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(x) + 0.5, float(y) + 0.5


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def _summary(masks: list[dict[str, Any]]) -> dict[str, Any]:
    of = {name: np.array([mask[name] for mask in masks]) for name in masks[0]}
    return {
        "masks": len(masks),
        "clicks_per_mask": round(float(of["clicks"].mean()), 2),
        "keys_per_mask": round(float(of["keys"].mean()), 2),
        "iou_mean": round(float(of["iou"].mean()), 3),
        "good_share": round(float((of["iou"] >= GOOD).mean()), 3),
        "seconds_waited_per_mask": round(float(of["waited"].mean()), 3),
    }


if __name__ == "__main__":
    main()

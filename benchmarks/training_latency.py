"""How much slower the page answers a click while a round trains: decoding, in turns with a rest.

    python benchmarks/training_latency.py [--clicks 40] [--turns 3] [--out FILE]

A real server over photographs of scikit-image with masks on them, a real browser, a real round of
the embedded default. The round is paused and resumed in turns, so that whatever else the machine
does hits both alike; each turn clicks on the same points. Needs PyTorch, Playwright and a Chromium.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from PIL import Image
from playwright.sync_api import sync_playwright

from maskmill import rle
from maskmill.store import Create, Made, Project

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from driving import CHROMIUM, FLAGS, Annotator, Server, free_port

PHOTOGRAPHS = ("coffee", "chelsea", "astronaut", "rocket")
DECODE = """async (points) => {
  const { prompting } = maskmill.session.editor;
  const times = [];
  for (const [x, y] of points) {
    prompting.clear();
    const began = performance.now();
    await prompting.click({ x, y }, 1);
    times.push(performance.now() - began);
  }
  prompting.clear();
  return times;
}"""


def main() -> None:
    """Measure, print, and keep it as JSON."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "kitchen"
        folder.mkdir()
        for name in PHOTOGRAPHS:
            photograph = Image.fromarray(getattr(skimage.data, name)())
            photograph.save(folder / f"{name}.jpg", quality=92)
        server = Server(folder, free_port()).start()
        server.wait_for_embeddings(len(PHOTOGRAPHS))
        server.kill()
        _label(server.project)
        server.start()
        try:
            report = _measure(server, arguments.clicks, arguments.turns)
        finally:
            server.kill()
    print(json.dumps(report, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _label(project: Path) -> None:
    with Project(project) as opened:
        for image in opened.images.page():
            opened.images.describe(image.id, split="train")
            height, width = image.size
            mask = np.zeros(image.size, bool)
            mask[height // 4 : height // 2, width // 4 : width // 2] = True
            made = Made(made_by="person", author="benchmark", stage="assisted")
            change = Create(image_id=image.id, rle=rle.encode(mask), made=made)
            opened.annotations.apply(f"label/{image.id}", [change], by="benchmark")


def _measure(server: Server, clicks: int, turns: int) -> dict[str, Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
        page.set_default_timeout(120_000)
        page.goto(server.links[-1])
        person = Annotator(page).ready()
        numbers = np.random.default_rng(0)
        width, height = page.evaluate(
            "[maskmill.session.image.width, maskmill.session.image.height]"
        )
        points = (numbers.random((clicks, 2)) * (width, height)).round(1).tolist()
        page.evaluate(DECODE, points)  # warm
        times: dict[str, list[float]] = {"rest": [], "training": []}
        person.fetch("/api/rounds", "POST", {"steps": 100_000})
        for turn in range(turns):
            if turn:
                person.fetch("/api/rounds/resume", "POST", {})
            _until_it_trains(person)
            times["training"] += page.evaluate(DECODE, points)
            person.fetch("/api/rounds/pause", "POST", {})
            time.sleep(1)
            times["rest"] += page.evaluate(DECODE, points)
        person.fetch("/api/rounds/cancel", "POST", {})
        browser.close()
    summary = {name: _summary(values) for name, values in times.items()}
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "clicks": clicks * turns,
        "decode_ms": summary,
        "ratio_of_medians": round(summary["training"]["median"] / summary["rest"]["median"], 2),
        "ratio_of_95th": round(summary["training"]["95th"] / summary["rest"]["95th"], 2),
    }


def _until_it_trains(person: Annotator) -> None:
    """Wait until two more steps are done: loading has ended, and the cores are taken."""
    before = None
    while True:
        working = person.fetch("/api/engine")["working"]
        if working is not None and working["phase"] == "train":
            before = working["step"] if before is None else before
            if working["step"] >= before + 2:
                return
        time.sleep(0.5)


def _summary(values: list[float]) -> dict[str, float]:
    middle, late = np.percentile(values, (50, 95))
    return {"median": round(float(middle), 1), "95th": round(float(late), 1)}


if __name__ == "__main__":
    main()

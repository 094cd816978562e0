"""100,000 images in the browser: the grid over HTTP, scrolled, jumped through and filtered.

    python benchmarks/grid.py [--images 100000] [--out benchmarks/results/grid.json]

The project's rows are 100,000 images with three masks on most of them; their files are links to 256
photographs, whose thumbnails and embeddings are there before anything is measured, as they are in
a project that people work in. Headless Chromium scrolls, jumps and filters as a person does. A
frame counts as late if it comes 50 ms after the one before. The load of the machine is stated.
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
from memory import Peak
from playwright.sync_api import sync_playwright
from synthetic import SIZE, masks_in_stock, write_photographs

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from driving import CHROMIUM, FLAGS, Annotator, Server, free_port

from maskmill.images import open_image
from maskmill.rle import Rle
from maskmill.store import Made, NewImage, Project
from maskmill.store.bulk import Labelled, NewMask, add_labelled

PHOTOGRAPHS = 256
MASKS = 3
KINDS = 8
AT_ONCE = 2000
FILTERS = {
    "unlabelled": "Without masks",
    "in review": ("State", "in_review"),
    "category": ("Category", "1"),
    "annotator": ("Annotator", "ann"),
    "low predicted IoU": ("Predicted IoU below", "0.35"),
}

SEEN = """() => {
  const list = document.querySelector('.list').getBoundingClientRect();
  const cells = [...document.querySelectorAll('.cell')].filter(each => {
    const box = each.getBoundingClientRect();
    return box.bottom > list.top && box.top < list.bottom;
  });
  return cells.length > 0 && cells.every(each => {
    const picture = each.querySelector('img');
    return picture && picture.complete && picture.naturalWidth > 0;
  });
}"""

SCROLL = """async (seconds) => {
  const list = document.querySelector('.list'), gaps = [];
  let last = await new Promise(requestAnimationFrame);
  const end = last + 1000 * seconds;
  while (last < end) {
    list.scrollTop += 40;
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    last = now;
  }
  return gaps;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/grid.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        project = Path(home) / "project"
        _fill(project, Path(home) / "photographs", arguments.images)
        server = Server(project, free_port(), project=project).start()
        server.wait_for_embeddings(PHOTOGRAPHS)
        try:
            report = _measure(server, arguments.images)
        finally:
            server.kill()
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


def _fill(project: Path, folder: Path, amount: int) -> None:
    """Write the rows, in the order in which an import would."""
    numbers = np.random.default_rng(0)
    write_photographs(folder / "originals", PHOTOGRAPHS, numbers)
    originals = sorted((folder / "originals").rglob("*.jpg"))
    hashes = [open_image(path).sha256 for path in originals]
    stock = [
        Rle.from_json(json.loads(f"{{{each}}}")["segmentation"]) for each in masks_in_stock(numbers)
    ]
    with Project.create(project) as opened:
        opened.categories.ensure([f"kind {n}" for n in range(KINDS)])
        for start in range(0, amount, AT_ONCE):
            new = [
                Labelled(
                    image=_image(folder, originals, hashes, i),
                    masks=tuple(_mask(stock, numbers) for _ in range(MASKS if i % 5 else 0)),
                )
                for i in range(start, min(start + AT_ONCE, amount))
            ]
            add_labelled(opened, "bench", new, by="bench")
        for image_id in range(1, amount, 997):
            opened.work.set_state(image_id, "in_review", name="bench")


def _image(folder: Path, originals: list[Path], hashes: list[str], i: int) -> NewImage:
    path = folder / f"{i // 1000:04}" / f"{i:07}.jpg"
    path.parent.mkdir(exist_ok=True)
    path.hardlink_to(originals[i % PHOTOGRAPHS])
    height, width = SIZE
    return NewImage(
        path=str(path),
        content_hash=hashes[i % PHOTOGRAPHS],
        height=height,
        width=width,
        source="bench",
    )


def _mask(stock: list[Rle], numbers: np.random.Generator) -> NewMask:
    made = Made(
        made_by="person",
        author=("ann", "bob")[int(numbers.integers(2))],
        stage="assisted",
        seconds=4.0,
        clicks=2,
        predicted_iou=float(numbers.uniform(0.3, 1)),
    )
    rle = stock[int(numbers.integers(len(stock)))]
    return NewMask(rle=rle, made=made, category=f"kind {numbers.integers(KINDS)}")


def _measure(server: Server, amount: int) -> dict[str, Any]:
    load = os.getloadavg()[0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 720}, locale="en-GB")
        page = context.new_page()
        page.goto(server.links[-1])
        person = Annotator(page)
        page.locator("nav").wait_for()
        with Peak(os.getpid()) as peak:
            report = {
                "chromium": browser.version,
                "machine": f"{os.cpu_count()} cores",
                "load_before": round(load, 2),
                "images": amount,
                "masks": amount * 4 // 5 * MASKS,
                "open_ms": _until_seen(person, lambda: page.goto(f"{server.address}/#/images")),
                "scrolling": _scrolling(page),
                "jumps_ms": _jumps(person),
                "filters_ms": _filters(person),
                "memory": _memory(context, page),
            }
        report["memory"]["browser_peak_mib"] = round(peak.mib)
        report["load_after"] = round(os.getloadavg()[0], 2)
        browser.close()
    return report


def _until_seen(person: Annotator, act: Any) -> int:
    """Milliseconds until every picture in sight is there."""
    started = time.perf_counter()
    act()
    person.until(f"({SEEN})()")
    return round(1000 * (time.perf_counter() - started))


def _scrolling(page: Any) -> dict[str, Any]:
    gaps = page.evaluate(SCROLL, 10)
    return {
        "frames": len(gaps),
        "median_ms": round(statistics.median(gaps), 1),
        "p95_ms": round(float(np.percentile(gaps, 95)), 1),
        "late_share": round(sum(gap > 50 for gap in gaps) / len(gaps), 3),
    }


JUMP = "s => { const l = document.querySelector('.list'); l.scrollTop = s * l.scrollHeight }"


def _jumps(person: Annotator) -> dict[str, Any]:
    took = []
    for share in np.random.default_rng(1).uniform(0.02, 0.98, 20).tolist():
        took.append(_until_seen(person, lambda s=share: person.page.evaluate(JUMP, s)))
    return {"median": round(statistics.median(took)), "slowest": max(took)}


def _filters(person: Annotator) -> dict[str, dict[str, int]]:
    found = {}
    for name, how in FILTERS.items():
        before = person.page.get_by_test_id("total").inner_text()
        took = _until_seen(person, lambda how=how, was=before: _apply(person, how, was))
        total = person.page.get_by_test_id("total").inner_text()
        found[name] = {"ms": took, "images": int("".join(filter(str.isdigit, total)))}
        _apply(person, (how[0], "") if isinstance(how, tuple) else how, total)
    return found


def _apply(person: Annotator, how: Any, total: str) -> None:
    if isinstance(how, str):
        person.page.get_by_role("button", name=how).click()
    elif how[0].startswith("Predicted"):
        person.page.get_by_label(how[0]).fill(how[1])
        person.press("Tab")
    else:
        person.page.get_by_label(how[0]).select_option(how[1])
    said = "document.querySelector('[data-testid=total]').innerText"
    person.until(f"was => {said} !== was", total)


def _memory(context: Any, page: Any) -> dict[str, Any]:
    session = context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = {
        each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]
    }
    return {"heap_mib": round(told["JSHeapUsedSize"] / 2**20, 1), "nodes": int(told["Nodes"])}


if __name__ == "__main__":
    main()

"""A project of 100,000 images and 2 million masks: in, looked at, and out again.

The dataset is made first (some 2 GB of photographs and 0.8 GB of COCO; `--folder` keeps it). Each
step runs in a process of its own, as a command would. Memory is the peak of that process and its
children together; on a machine that others use, CPU seconds say more than wall seconds.

    python benchmarks/scale.py [--images 100000] [--folder KEPT]
    MASKMILL_DATABASE_URL=postgresql://... python benchmarks/scale.py     # the same on PostgreSQL
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory import Peak
from synthetic import PER_IMAGE, write_dataset

REPEATS = 5
FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "unlabelled": {"has_masks": False},
    "labelled": {"has_masks": True},
    "in review": {"review": "unreviewed"},
    "accepted": {"review": "accepted"},
    "common category": {"category_id": 1},
    "rare category": {"category_id": 60},
    "annotator": {"author": "ann"},
    "importer": {"author": "bench"},
    "low predicted IoU": {"predicted_iou_below": 0.35},
    "split": {"split": "val"},
    "source": {"source": "field"},
    "category and split": {"category_id": 1, "split": "train"},
    "review and source": {"review": "unreviewed", "source": "street"},
    "five at once": {
        "category_id": 2,
        "review": "unreviewed",
        "predicted_iou_below": 0.5,
        "split": "train",
        "source": "kitchen",
    },
}
TARGETS = {
    "import_masks_per_s": 20_000,
    "slowest_page_ms": 50,
    "statistics_s": 2,
    "open_s": 1,
    "export_mib": 1000,
}


def step_import(project: Path, dataset: Path) -> dict[str, Any]:
    from maskmill.exchange import import_dataset
    from maskmill.store import Project

    with Project.create(project) as opened:
        report = import_dataset(opened, dataset, by="bench")
    return {"images": report.images, "masks": report.masks, "refused": len(report.refused)}


def step_review(project: Path, dataset: Path) -> dict[str, Any]:
    """Let people work, so that filters find reviews and annotators: 10,000 verdicts and masks."""
    from maskmill.store import Edit, Made, Project

    made = Made(made_by="person", author="ann", stage="assisted", seconds=4.0, clicks=3)
    changed = 0
    with Project(project) as opened:
        for image in opened.images.page_at(opened.images.count() // 3, limit=500):
            edits = [
                Edit(annotation_id=a.id, based_on=1, review="accepted", rle=a.rle, made=made)
                for a in opened.annotations.of_image(image.id)
            ]
            if edits:
                opened.annotations.apply(f"review {image.id}", edits, by="ann")
                changed += len(edits)
    return {"changed": changed}


def step_open(project: Path, dataset: Path) -> dict[str, Any]:
    from maskmill.store import Project

    seconds = timed(lambda: Project(project).close())
    return {"median_s": statistics.median(seconds)}


def step_pages(project: Path, dataset: Path) -> dict[str, Any]:
    from maskmill.store import ImageFilter, Project

    rows = {}
    with Project(project, writes=False) as opened:
        for name, asked in FILTERS.items():
            which = ImageFilter(**asked)
            total = opened.images.count(which)
            places = {"first": 0, "middle": total // 2, "last": max(total - 100, 0)}
            row: dict[str, Any] = {"images": total}
            for place, offset in places.items():
                ask = lambda: opened.images.page_at(offset, which, limit=100)  # noqa: B023, E731
                row[f"{place}_ms"] = statistics.median(timed(ask)) * 1e3
                row[f"{place}_cpu_ms"] = statistics.median(timed(ask, time.process_time)) * 1e3
            count = lambda: opened.images.count(which)  # noqa: B023, E731
            row["count_ms"] = statistics.median(timed(count)) * 1e3
            rows[name] = row
    return {"filters": rows}


def step_statistics(project: Path, dataset: Path) -> dict[str, Any]:
    from maskmill.store import Project
    from maskmill.store.statistics import statistics as look

    with Project(project, writes=False) as opened:
        seconds = timed(lambda: look(opened.database, opened.id))
        found = look(opened.database, opened.id)
    return {"median_s": statistics.median(seconds), "masks": found.masks}


def step_export(project: Path, dataset: Path) -> dict[str, Any]:
    from maskmill.exchange import export_dataset
    from maskmill.store import Project

    out = dataset.parent.parent / "images" / "exported.json"
    with Project(project, writes=False) as opened:
        written = export_dataset(opened, out, "coco", copy_images=False)
    return {"images": written.images, "masks": written.masks, "bytes": out.stat().st_size}


STEPS = {
    "import": step_import,
    "review": step_review,
    "open": step_open,
    "pages": step_pages,
    "statistics": step_statistics,
    "export": step_export,
}


def timed(
    work: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    seconds = []
    for _ in range(REPEATS):
        start = clock()
        work()
        seconds.append(clock() - start)
    return seconds


def matrix_ms() -> float:
    """Time a fixed matrix product, one thread: what this machine gives at this moment."""
    import numpy as np

    a = np.random.default_rng(0).random((1000, 1000))
    return statistics.median(timed(lambda: a @ a)) * 1e3


def run_step(name: str, project: Path, dataset: Path) -> dict[str, Any]:
    """Run a step in a process of its own; wall and CPU seconds and memory are of all of it."""
    product = matrix_ms()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, __file__, "--step", name, str(project), str(dataset)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with Peak(process.pid) as peak:
        told = process.communicate()[0]
    wall = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{name} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    row = {"matrix_ms": product, "wall_s": wall, "cpu_s": cpu, "peak_mib": peak.mib}
    row |= json.loads(told.splitlines()[-1])
    shown = ", ".join(f"{k} {v:,.2f}" for k, v in row.items() if isinstance(v, int | float))
    print(f"{name:12} {shown}", flush=True)
    return row


def imported(project: Path, dataset: Path) -> dict[str, Any]:
    """Import into a new project; the last one stays."""
    shutil.rmtree(project, ignore_errors=True)
    return run_step("import", project, dataset)


def summary(steps: dict[str, dict[str, Any]]) -> dict[str, float]:
    filters = steps["pages"]["filters"].values()
    places = ("first", "middle", "last")
    return {
        "import_masks_per_s": steps["import"]["masks"] / steps["import"]["wall_s"],
        "import_masks_per_two_cpu_s": 2 * steps["import"]["masks"] / steps["import"]["cpu_s"],
        "slowest_page_ms": max(row[f"{p}_ms"] for row in filters for p in places),
        "slowest_page_cpu_ms": max(row[f"{p}_cpu_ms"] for row in filters for p in places),
        "statistics_s": steps["statistics"]["median_s"],
        "open_s": steps["open"]["median_s"],
        "export_masks_per_s": steps["export"]["masks"] / steps["export"]["wall_s"],
        "export_mib": steps["export"]["peak_mib"],
        "import_mib": steps["import"]["peak_mib"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000, help=f"{PER_IMAGE} masks to each")
    parser.add_argument("--imports", type=int, default=3, help="how many, of which the median")
    parser.add_argument("--folder", type=Path, help="where the dataset is made, and stays")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, project, dataset = options.step
        print(json.dumps(STEPS[name](Path(project), Path(dataset))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)) / str(options.images)
        dataset = write_dataset(folder, options.images)
        project = folder / "project"
        load = os.getloadavg()
        imports = [imported(project, dataset) for _ in range(options.imports)]
        steps = {"import": sorted(imports, key=lambda row: row["wall_s"])[options.imports // 2]}
        steps["import"]["every_wall_s"] = [row["wall_s"] for row in imports]
        steps |= {name: run_step(name, project, dataset) for name in STEPS if name != "import"}
    kind = "postgresql" if os.environ.get("MASKMILL_DATABASE_URL") else "sqlite"
    found = summary(steps)
    for name, value in found.items():
        print(f"{name:28} {value:12,.1f}   {TARGETS.get(name, '')}")
    result = {
        "settings": {"images": options.images, "database": kind},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}",
        "load_before": load,
        "load_after": os.getloadavg(),
        "summary": found,
        "targets": TARGETS,
        "steps": steps,
    }
    out = Path(__file__).parent / "results" / f"scale_{kind}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Time the reading of a large COCO file, and what memory it takes, beside its peers.

The file is made here: ragged ellipses as run lengths, 20 to a photograph of 640 x 480, all
photographs links to a few. Every reader runs in its own process, one after the other, so that its
peak of memory is its own; what the process takes before it reads is given beside it. Ours checks
every run length and opens the header of every photograph; `json.load` and pycocotools check none.
Datumaro wants older libraries than ours: it is measured where an interpreter has it installed.

    python benchmarks/formats.py [--masks 100000] [--datumaro OTHER/bin/python]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

SIZE = (480, 640)
PER_IMAGE = 20
MAX_LINKS = 50_000  # a file system allows 65,000 to one file


def write_file(folder: Path, masks: int) -> Path:
    import cv2
    import numpy as np
    from PIL import Image

    from maskmill import rle

    # Laid out as COCO's own release is, by which some readers find the photographs.
    path = folder / "annotations" / "instances_all.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    stock = []
    for _ in range(200):
        cy, cx = rng.uniform(40, 440), rng.uniform(40, 600)
        radius, squash = np.exp(rng.uniform(np.log(6), np.log(140))), rng.uniform(0.5, 2)
        waves = rng.standard_normal((60, 80)).astype(np.float32)
        waves = cv2.resize(cv2.GaussianBlur(waves, (0, 0), 3), SIZE[::-1]) * 8
        blob = np.hypot((y - cy) * squash, x - cx) / radius + 0.3 * waves < 1
        if not blob.any():
            continue
        one = rle.encode(blob)
        x0, y0, x1, y1 = rle.box(one)
        stock.append((one.to_json(), rle.area(one), [x0, y0, x1 - x0, y1 - y0]))
    picture = Image.fromarray(rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8))
    images = folder / "images"
    images.mkdir(exist_ok=True)
    picks = rng.integers(len(stock), size=masks)
    with path.open("w") as file:
        file.write('{"info": {}, "images": [')
        for i in range(masks // PER_IMAGE):
            name = images / f"{i:012}.jpg"
            photograph = folder / f"photograph{i // MAX_LINKS}.jpg"
            if not photograph.exists():
                picture.save(photograph)
            if not name.exists():
                os.link(photograph, name)
            info = {"id": i, "file_name": name.name, "width": SIZE[1], "height": SIZE[0]}
            file.write(", " * (i > 0) + json.dumps(info))
        file.write('], "annotations": [')
        for i, pick in enumerate(picks):
            runs, area, bbox = stock[pick]
            entry: dict[str, Any] = {"segmentation": runs, "area": area, "iscrowd": 0}
            entry |= {"image_id": i // PER_IMAGE, "bbox": bbox, "category_id": 1, "id": i}
            file.write(", " * (i > 0) + json.dumps(entry))
        file.write('], "categories": [{"id": 1, "name": "thing"}]}')
    return path


def read_maskmill(path: Path, images: Path) -> int:
    from maskmill.formats import LabelledImage, stream_coco

    items = stream_coco(path, images)
    return sum(len(one.annotations) for one in items if isinstance(one, LabelledImage))


def read_json(path: Path, images: Path) -> int:
    with path.open() as file:
        return len(json.load(file)["annotations"])


def read_pycocotools(path: Path, images: Path) -> int:
    from pycocotools.coco import COCO

    return len(COCO(str(path)).anns)


def read_datumaro(path: Path, images: Path) -> int:
    from datumaro.components.dataset import Dataset

    dataset = Dataset.import_from(str(path.parent.parent), "coco_instances")
    return sum(len(item.annotations) for item in dataset)


READERS = {
    "maskmill": read_maskmill,
    "json.load": read_json,
    "pycocotools": read_pycocotools,
    "datumaro": read_datumaro,
}
IMPORTS = {
    "maskmill": "import maskmill.formats",
    "json.load": "import json",
    "pycocotools": "import pycocotools.coco",
    "datumaro": "import datumaro.components.dataset",
}


def peak_mib() -> float:
    """The most memory that this process has held, MiB; `ru_maxrss` would count the parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measure_here(name: str, path: Path, images: Path) -> None:
    """Read in this process and print the row as JSON; called in a process of its own."""
    exec(IMPORTS[name])
    before, wall, start = peak_mib(), time.perf_counter(), time.process_time()
    masks = READERS[name](path, images)
    row = {
        "masks": masks,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - start,
        "memory_before_mib": before,
        "memory_peak_mib": peak_mib(),
    }
    print("\n" + json.dumps(row))


def measure(name: str, python: str, path: Path, images: Path) -> dict[str, float] | None:
    command = [python, __file__, "--read", name, "--file", str(path), str(images)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["killed"])[-1]
        print(f"{name:12} not measured: {last[:80]}")
        return None
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{name:12} {row['masks']:>9,} {row['wall_s']:8.1f} {row['cpu_s']:8.1f} "
        f"{row['masks'] / row['cpu_s']:12,.0f} {row['memory_before_mib']:10,.0f} "
        f"{row['memory_peak_mib']:10,.0f}"
    )
    return row | {"masks_per_cpu_s": row["masks"] / row["cpu_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--masks", type=int, default=100_000, help=f"a multiple of {PER_IMAGE}")
    parser.add_argument("--folder", type=Path, help="where to make the file, and leave it")
    parser.add_argument("--readers", nargs="*", default=list(READERS), choices=list(READERS))
    parser.add_argument("--datumaro", default=sys.executable, help="interpreter that has it")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        measure_here(options.read, *options.file)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)) / str(options.masks)
        path = write_file(folder, options.masks)
        megabytes = path.stat().st_size / 2**20
        print(f"{options.masks:,} masks in {megabytes:,.0f} MiB")
        print(f"{'':12} {'masks':>9} {'wall s':>8} {'CPU s':>8} {'masks/CPU s':>12} ", end="")
        print(f"{'MiB before':>10} {'MiB peak':>10}")
        images = folder / "images"
        pythons = {"datumaro": options.datumaro}
        rows = {
            name: measure(name, pythons.get(name, sys.executable), path, images)
            for name in options.readers
        }
    result = {
        "settings": {"masks": options.masks, "file_mib": megabytes, "per_image": PER_IMAGE},
        "versions": {name: version(name) for name in ("numpy", "pillow", "pycocotools")},
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "readers": {name: row for name, row in rows.items() if row},
    }
    out = Path(__file__).parent / "results" / "formats.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

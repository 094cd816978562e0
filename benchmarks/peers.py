"""Import and export the same COCO file beside Datumaro, and let Datumaro read what we write.

Datumaro wants other libraries than ours, so it gets a virtual environment of its own (`--venv`,
made by pip where it is missing). Each of the two reads the file and writes it as COCO, in a process
of its own; ours also keeps everything in a project on the disk. Then Datumaro reads our COCO and
SA-1B, and every mask is compared.

    python benchmarks/peers.py [--images 5000] [--venv FOLDER]
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

CHECKED = 100
"""Images whose masks are compared."""


class Clock:
    """CPU seconds of this process and of its children that have ended, since it was last asked.

    Starting Python and loading libraries is not in them; `cpu_s` of the whole step has it.
    """

    def __init__(self) -> None:
        self._before = sum(os.times()[:4])

    def spent(self, name: str) -> dict[str, float]:
        """Tell them under a name, and begin anew."""
        now = sum(os.times()[:4])
        seconds, self._before = now - self._before, now
        return {f"{name}_cpu_s": seconds}


def datumaro_passes(dataset: Path, out: Path) -> dict[str, Any]:
    import datumaro

    clock = Clock()
    found = datumaro.Dataset.import_from(str(dataset), "coco_instances")
    masks = sum(isinstance(a, datumaro.Mask) for item in found for a in item.annotations)
    spent = clock.spent("import")
    found.export(str(out), "coco_instances", save_media=False)
    return {"masks": masks, **spent, **clock.spent("export")}


def datumaro_digests(folder: Path, form: str) -> dict[str, Any]:
    """Hash the masks of each image, as Datumaro reads them."""
    import datumaro
    import numpy as np

    digests = {}
    for item in datumaro.Dataset.import_from(str(folder), form):
        # It makes a box beside every mask, so annotations are twice as many as masks.
        found = [a for a in item.annotations if isinstance(a, datumaro.Mask)]
        masks = [np.asarray(a.image, bool) for a in found]
        each = sorted(hashlib.sha256(np.packbits(m).tobytes()).hexdigest() for m in masks)
        digests[Path(item.id).name] = each
    return {"digests": digests}


def maskmill_passes(dataset: Path, out: Path) -> dict[str, Any]:
    from maskmill.exchange import export_dataset, import_dataset
    from maskmill.store import Project

    clock = Clock()
    with Project.create(out / "project") as project:
        source = dataset / "annotations" / "instances_all.json"
        report = import_dataset(project, source, images=dataset / "images", by="bench")
        spent = clock.spent("import")
        exported = dataset / "images" / "exported.json"
        export_dataset(project, exported, "coco", copy_images=False)
        exported.unlink()
    return {"masks": report.masks, **spent, **clock.spent("export")}


def maskmill_exports(dataset: Path, out: Path) -> dict[str, Any]:
    """Write some images as COCO and SA-1B, and hash their masks as we know them."""
    import numpy as np

    from maskmill import rle
    from maskmill.formats import LabelledImage, read_coco, write_coco, write_sa1b_folder

    source = dataset / "annotations" / "instances_all.json"
    images = [each for each in read_coco(source) if isinstance(each, LabelledImage)][:CHECKED]
    write_coco(out / "coco" / "annotations" / "instances_all.json", images, copy_images=True)
    write_sa1b_folder(out / "sa1b", images, copy_images=True)
    digests = {}
    for image in images:
        masks = [rle.decode(mask.rle) for mask in image.annotations]
        each = sorted(hashlib.sha256(np.packbits(m).tobytes()).hexdigest() for m in masks)
        digests[image.path.stem] = each
    return {"digests": digests}


STEPS = {
    "datumaro_passes": datumaro_passes,
    "datumaro_digests": datumaro_digests,
    "maskmill_passes": maskmill_passes,
    "maskmill_exports": maskmill_exports,
}


def run_step(python: str, name: str, *words: object) -> dict[str, Any]:
    from memory import Peak

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [python, __file__, "--step", name, *map(str, words)]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" or python == sys.executable}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    with Peak(process.pid) as peak:
        told = process.communicate()[0]
    if process.returncode:
        sys.exit(f"{name} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    wall = time.perf_counter() - start
    return {"wall_s": wall, "cpu_s": cpu, "peak_mib": peak.mib, **json.loads(told.splitlines()[-1])}


def interpreter(folder: Path) -> str:
    """Return a Python that has Datumaro; make it where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "datumaro>=1.10,<2"]
        subprocess.run(command, check=True)
    return str(python)


def differing(ours: dict[str, list[str]], theirs: dict[str, list[str]]) -> int:
    """Count images whose masks are not the same ones; those that only one of both has, too."""
    return sum(ours.get(name) != theirs.get(name) for name in ours.keys() | theirs.keys())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=5000, help="20 masks to each")
    parser.add_argument("--venv", type=Path, default=Path(".venv-datumaro"))
    parser.add_argument("--folder", type=Path, help="where the dataset is made, and stays")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        name, path, word = options.step
        second: Any = word if name == "datumaro_digests" else Path(word)
        print("\n" + json.dumps(STEPS[name](Path(path), second)))
        return
    from synthetic import write_dataset

    theirs = interpreter(options.venv)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        folder = (options.folder or out) / str(options.images)
        write_dataset(folder, options.images)
        rows = {
            "datumaro": run_step(theirs, "datumaro_passes", folder, out / "datumaro"),
            "maskmill": run_step(sys.executable, "maskmill_passes", folder, out),
        }
        for name, row in rows.items():
            print(name, ", ".join(f"{k} {v:,.1f}" for k, v in row.items()))
        if rows["datumaro"]["masks"] != rows["maskmill"]["masks"]:
            sys.exit("the two did not read the same number of masks, so their times say nothing")
        ours = run_step(sys.executable, "maskmill_exports", folder, out)["digests"]
        checks = {}
        for name, form in (("coco", "coco_instances"), ("sa1b", "segment_anything")):
            read = run_step(theirs, "datumaro_digests", out / name, form)["digests"]
            checks[name] = {"images": len(ours), "masks": sum(map(len, ours.values()))}
            checks[name]["differing"] = differing(ours, read)
            print(f"Datumaro reads our {name}: {checks[name]}")
    result = {"images": options.images, "load": os.getloadavg(), "rows": rows, "checks": checks}
    results = Path(__file__).parent / "results"
    (results / "peers.json").write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(any(check["differing"] for check in checks.values()))


if __name__ == "__main__":
    main()

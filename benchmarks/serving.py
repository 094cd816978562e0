"""A deployed folder under load: images a second, waiting times, memory, and whether answers agree.

Usage:
    python benchmarks/serving.py DEPLOYED IMAGES [--python PYTHON] [--seconds 20]

DEPLOYED is what `maskmill deploy` wrote, IMAGES a folder of photographs, PYTHON the interpreter
that serves: that of an environment with nothing but `pip install maskmill` shows that nothing else
is needed. One, two, four and eight clients ask without a pause; every answer is held against what
this environment's own code says of the same file. Printed and written to `results/serving.json`.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from maskmill.client import ask
from maskmill.deploy import DeployedClassifier, Deployment, load_deployment
from maskmill.images import OpenedImage, open_image
from maskmill.predict import Predictor
from maskmill.scribble.features import Features, extract
from maskmill.scribble.folder import Source
from maskmill.store.embeddings import Embeddings

RESULT = Path(__file__).parent / "results" / "serving.json"
CLIENTS = (1, 2, 4, 8)
MOST_IMAGES = 50


def said(answer: dict[str, Any]) -> dict[str, Any]:
    """Return what of an answer is not a clock's."""
    return {name: value for name, value in answer.items() if name != "seconds"}


class Load:
    """Clients that ask about the same images again and again."""

    def __init__(self, url: str, images: dict[str, bytes], expected: dict[str, Any]) -> None:
        self.url, self.images, self.expected = url, list(images.items()), expected
        self.seconds: list[float] = []
        self.differing: set[str] = set()

    def run(self, clients: int, seconds: float) -> dict[str, float]:
        """Ask for so long; returns what it came to."""
        self.seconds = []
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._ask, args=(place, clients, end))
            for place in range(clients)
        ]
        began = time.monotonic()
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        took = time.monotonic() - began
        p50, p95, p99 = (float(np.percentile(self.seconds, p)) for p in (50, 95, 99))
        return {
            "images": len(self.seconds), "images a second": len(self.seconds) / took,
            "p50_ms": 1e3 * p50, "p95_ms": 1e3 * p95, "p99_ms": 1e3 * p99,
        }  # fmt: skip

    def _ask(self, place: int, step: int, end: float) -> None:
        while time.monotonic() < end:
            name, content = self.images[place % len(self.images)]
            began = time.monotonic()
            answer = ask(self.url, content)
            self.seconds.append(time.monotonic() - began)
            if said(answer) != self.expected[name]:
                self.differing.add(name)
            place += step


class Keeping(Source):
    """Images as a project reads them: their embeddings lie on the disk first."""

    def __init__(self, predictor: Predictor, folder: Path) -> None:
        super().__init__(predictor)
        self.embeddings = Embeddings(folder)

    def read(self, path: Path | bytes) -> tuple[OpenedImage, Features]:
        """Open an image and return the features that a project has of it."""
        opened = open_image(path)
        self.embeddings.put(opened.sha256, self.predictor.embed(opened.array))
        kept = self.embeddings.get(opened.sha256, self.predictor.model_id)
        return opened, extract(opened.array, kept)


def expect(deployment: Deployment, images: dict[str, bytes]) -> dict[str, Any]:
    """Return this environment's own answers, as JSON would bring them."""
    with TemporaryDirectory() as scratch:
        if isinstance(deployment, DeployedClassifier):
            source = Keeping(deployment.source.predictor, Path(scratch))
            deployment = replace(deployment, source=source)
        return {
            name: said(json.loads(json.dumps(deployment.answer(content))))
            for name, content in images.items()
        }


def serve(
    python: str, deployed: Path, threads: int | None
) -> tuple[subprocess.Popen[str], str, float]:
    """Start the server; returns it, its address and the seconds until it answered."""
    began = time.monotonic()
    command = [python, "-m", "maskmill", "serve-model", str(deployed), "--port", "0"]
    command += [] if threads is None else ["--threads", str(threads)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=deployed.parent, env=environment
    )
    assert process.stdout is not None
    for line in process.stdout:
        words = [word for word in line.split() if word.startswith("http://")]
        if words:
            return process, words[0].rstrip(";,").removesuffix("/predict"), time.monotonic() - began
    raise SystemExit(f"{' '.join(command)} ended without an address")


def peak_mib(pid: int) -> float:
    """Return the greatest resident memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def main() -> None:
    """Serve, ask, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deployed", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--threads", type=int, help="of the server; by default its own choice")
    options = parser.parse_args()
    paths = sorted(p for p in options.images.iterdir() if p.suffix in (".jpg", ".png"))
    images = {path.name: path.read_bytes() for path in paths[:MOST_IMAGES]}
    expected = expect(load_deployment(options.deployed, threads=1), images)
    process, url, starts = serve(options.python, options.deployed.absolute(), options.threads)
    try:
        load = Load(url, images, expected)
        rows = {str(clients): load.run(clients, options.seconds) for clients in CLIENTS}
        told = {
            "images": len(images),
            "same environment": options.python == sys.executable,
            "starts_s": starts,
            "peak_mib": peak_mib(process.pid),
            "differing answers": sorted(load.differing),
            "clients": rows,
        }
    finally:
        process.terminate()
        process.wait(10)
    table = Table(title=f"{len(images)} images, {told['peak_mib']:.0f} MiB, up in {starts:.1f} s")
    for column in ("clients", "images/s", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for clients, row in rows.items():
        numbers = (row["images a second"], row["p50_ms"], row["p95_ms"], row["p99_ms"])
        table.add_row(clients, *(f"{number:.1f}" for number in numbers))
    Console().print(table)
    print("answers that differ:", told["differing answers"] or "none")
    RESULT.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

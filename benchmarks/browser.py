"""How long a click takes in a browser: the decoder's worker in headless Chromium.

    python benchmarks/browser.py LABELLED [--prompts 200] [--out benchmarks/results/browser.json]

LABELLED is a folder of photographs with masks in SA-1B form. Each prompt is one point on one of
their masks; every second prompt then gets a second click with the first answer fed back. The page
is built from the very worker that the tool uses, and is served with the headers that allow threads. The
load of the machine is stated, because both figures depend on it. Needs Node and Chromium.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page, async_playwright

import maskmill
from maskmill.config import ModelConfig
from maskmill.rle import Rle, decode
from maskmill.weights import model_folder

WEB = Path(__file__).parents[1] / "web"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
).split()
PROMPTS_PER_IMAGE = 10


def main() -> None:
    arguments = _arguments()
    predictor = maskmill.Predictor.load("tiny", backend="onnx")
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder)
        _build_page(served)
        (served / "model").symlink_to(model_folder("tiny"))
        images = _embed(predictor, arguments.labelled, served, arguments.prompts)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Isolated, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/index.html"
        report = asyncio.run(_measure(address, predictor.config, images, arguments.threads))
        server.shutdown()
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/browser.json"))
    return parser.parse_args()


class _Isolated(SimpleHTTPRequestHandler):
    """Files with the headers that give a page threads."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *args: object) -> None:
        pass


def _build_page(served: Path) -> None:
    command = ["npx", "vite", "build", "--mode", "bench", "--logLevel", "error"]
    environment = os.environ | {"MASKMILL_BENCH_OUTPUT": str(served)}
    subprocess.run(command, cwd=WEB, env=environment, check=True)


def _embed(
    predictor: maskmill.Predictor, labelled: Path, served: Path, prompts: int
) -> list[dict[str, Any]]:
    """Write embeddings as the server sends them, and choose points on the photographs' masks."""
    random = np.random.default_rng(0)
    (served / "embeddings").mkdir()
    images: list[dict[str, Any]] = []
    for record in sorted(labelled.rglob("*.json")):
        if len(images) * PROMPTS_PER_IMAGE >= prompts:
            break
        masks = json.loads(record.read_text())["annotations"]
        photograph = record.with_suffix(".jpg")
        if not masks or not photograph.exists():
            continue
        embedding = predictor.embed(maskmill.read_image(photograph))
        arrays = (embedding.array, *embedding.high_res)
        key = str(len(images))
        halves = b"".join(np.ascontiguousarray(a, "<f2").tobytes() for a in arrays)
        (served / "embeddings" / key).write_bytes(halves)
        height, width = embedding.original_size
        images.append(
            {
                "key": key,
                "bytes": len(halves),
                "size": {"width": width, "height": height},
                "shapes": [list(a.shape) for a in arrays],
                "points": [_point_on(masks, random) for _ in range(PROMPTS_PER_IMAGE)],
            }
        )
    return images


def _point_on(masks: list[dict[str, Any]], random: np.random.Generator) -> tuple[float, float]:
    chosen = masks[random.integers(len(masks))]["segmentation"]
    y, x = np.nonzero(decode(Rle(tuple(chosen["size"]), chosen["counts"].encode())))
    at = random.integers(len(x))
    return float(x[at]) + 0.5, float(y[at]) + 0.5


async def _measure(
    address: str, config: ModelConfig, images: list[dict[str, Any]], threads: list[int]
) -> dict[str, Any]:
    model = {
        "inputSide": config.input_side,
        "lowResSide": config.low_res_side,
        "maskThreshold": config.mask_threshold,
        "embeddingShapes": images[0]["shapes"],
        "embeddingInputs": ["embedding", "high_res_8", "high_res_4"],
    }
    runs = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=os.environ.get("MASKMILL_CHROMIUM", "/usr/bin/chromium"), args=FLAGS
        )
        for count in threads:
            page = await browser.new_page()
            await page.goto(address)
            runs.append(await _run(page, model, images, count))
            await page.close()
        version = browser.version
        await browser.close()
    return {
        "chromium": version,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "bytes_per_embedding": images[0]["bytes"],
        "runs": runs,
    }


async def _run(
    page: Page, model: dict[str, Any], images: list[dict[str, Any]], threads: int
) -> dict[str, Any]:
    load = os.getloadavg()[0]
    opened = await page.evaluate("([m, t]) => bench.open(m, t)", [model, threads])
    first, second = [], []
    for image in images:
        await page.evaluate("k => bench.load(k)", image["key"])
        for i, (x, y) in enumerate(image["points"]):
            question = _question(image, [(x, y, 1)], None)
            first.append(await page.evaluate("q => bench.ask(q)", question))
            if i % 2:
                other = image["points"][i - 1]
                question = _question(image, [(x, y, 1), (*other, 0)], model["lowResSide"])
                second.append(await page.evaluate(_ASK_WITH_MASK, question))
    return {
        "threads": threads,
        "isolated": await page.evaluate("bench.isolated()"),
        "load_before": round(load, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "open_ms": round(opened),
        "first_click": _summary(first[1:]),
        "second_click": _summary(second[1:]),
    }


# Real logits differ from click to click, but the arithmetic does not look at them.
_ASK_WITH_MASK = "q => bench.ask({...q, maskInput: new Float32Array(q.maskInput ** 2).fill(-1)})"


def _question(
    image: dict[str, Any], clicks: list[tuple[float, float, int]], mask_side: int | None
) -> dict[str, Any]:
    prompt = {
        "clicks": [{"point": {"x": x, "y": y}, "label": label} for x, y, label in clicks],
        "box": None,
    }
    return {
        "imageKey": image["key"],
        "size": image["size"],
        "prompt": prompt,
        "maskInput": mask_side,
        "longestSide": 1024,
    }


def _summary(answers: list[dict[str, float]]) -> dict[str, Any]:
    """Milliseconds: inside the runtime, and from asking to the candidates' masks on the page."""
    result: dict[str, Any] = {"prompts": len(answers)}
    for name in ("decode", "waited"):
        values = [answer[name] for answer in answers]
        for label, share in (("median", 50), ("p95", 95)):
            result[f"{name}_{label}_ms"] = round(float(np.percentile(values, share)), 1)
    return result


if __name__ == "__main__":
    main()

"""What smaller numbers cost: IoU, size and time of float32, float16 and int8 forms of one model.

Usage:
    python benchmarks/precision.py LABELLED [--model tiny] [--float32 FOLDER] [--limit 60]

Forms: the weights as they were trained (only with `--float32`, the run's own model, exported
without rounding); the shipped ones, rounded to float16 and computed in float32; the same with every
embedding rounded to float16, as the store and the browser keep them; and int8 weights, activations
quantised as they come (ONNX Runtime's dynamic quantisation), in the decoder, then in the encoder
too. Each is measured on the same photographs of the val split and the same clicks, and timed in
turns within the run. Printed and written to `results/precision.json`.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from maskmill.config import EvaluateConfig
from maskmill.formats import LabelledImage, read_pixels
from maskmill.predict import Predictor
from maskmill.train.evaluate import evaluate, evaluation_images
from maskmill.values import Embedding, point_prompt
from maskmill.weights import model_folder, read_card, write_card

RESULT = Path(__file__).parent / "results" / "precision.json"
DECODERS = ("decoder.onnx", "decoder_mask.onnx")


class RoundingPredictor(Predictor):
    """A predictor whose embeddings went through float16 on their way, as stored ones do."""

    def embed(self, image: np.ndarray) -> Embedding:
        """Embed, round, and widen again."""
        embedding = super().embed(image)
        return replace(
            embedding,
            array=_rounded(embedding.array),
            high_res=tuple(_rounded(x) for x in embedding.high_res),
        )


def forms(model: str, float32: Path | None, scratch: Path) -> Iterator[tuple[str, Path, bool]]:
    """Give each form's name, its folder, and whether its embeddings are rounded."""
    shipped = model_folder(model)
    if float32 is not None:
        yield "float32", float32, False
    yield "float16 weights", shipped, False
    yield "float16 weights and embeddings", shipped, True
    for name, files in (
        ("int8 decoder", DECODERS),
        ("int8 decoder and encoder", (*DECODERS, "encoder.onnx")),
    ):
        folder = scratch / name.replace(" ", "_")
        shutil.copytree(shipped, folder)
        for file in files:
            quantise(shipped / file, folder / file)
        write_card(folder, read_card(folder))  # which vouches for the files as they are now
        yield name, folder, True


def quantise(source: Path, target: Path) -> None:
    """Write a graph with int8 weights; activations are quantised while it runs."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)  # weights widened, where the quantiser sees them
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    quantize_dynamic(target, target, weight_type=QuantType.QUInt8)


def time_calls(
    predictors: dict[str, Predictor], image: LabelledImage, rounds: int
) -> dict[str, dict[str, float]]:
    """Return the median milliseconds to encode and to decode one click, all forms in turns."""
    pixels = read_pixels(image)
    prompt = [point_prompt((pixels.shape[1] // 2, pixels.shape[0] // 2))]
    taken: dict[str, dict[str, list[float]]] = {n: {"encode": [], "decode": []} for n in predictors}
    for i in range(rounds + 1):
        for name, predictor in predictors.items():
            began = time.perf_counter()
            embedding = predictor.embed(pixels)
            encoded = time.perf_counter()
            predictor.predict(embedding, prompt, multimask_output=True)
            ended = time.perf_counter()
            if i:  # the first round loads and warms up
                taken[name]["encode"].append(1000 * (encoded - began))
                taken[name]["decode"].append(1000 * (ended - encoded))
    return {n: {k: statistics.median(v) for k, v in t.items()} for n, t in taken.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--float32", type=Path, help="the model before rounding, exported")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    config = EvaluateConfig(split="val", limit=options.limit, everything_images=0)
    images = evaluation_images(options.labelled, config).images
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        predictors = {}
        for name, folder, rounds in forms(options.model, options.float32, Path(scratch)):
            kind = RoundingPredictor if rounds else Predictor
            predictors[name] = kind.load(folder, backend="onnx", threads=1)
            found = evaluate(predictors[name], images, config).overall
            files = (*DECODERS[:1], "encoder.onnx")
            rows[name] = {
                "1 click": found.iou_at_click["1"],
                "3 clicks": found.iou_at_click["3"],
                "best of three": found.best_of_three,
                "box": found.iou_from_box,
                "encoder and decoder, MB": sum((folder / f).stat().st_size for f in files) / 1e6,
            }
        for name, times in time_calls(predictors, images[0], options.rounds).items():
            rows[name] |= {f"{what}, ms": value for what, value in times.items()}
    table = Table("form", *next(iter(rows.values())), title=f"{len(images)} val photographs")
    for name, row in rows.items():
        table.add_row(
            name, *(f"{v:.1f}" if k.endswith(("MB", "ms")) else f"{v:.4f}" for k, v in row.items())
        )
    Console().print(table)
    result = {"images": len(images), "threads": 1, "forms": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def _rounded(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


if __name__ == "__main__":
    main()

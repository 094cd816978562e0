"""What the data engine's choices are worth: the simulator's small preset with one thing changed.

Usage:
    python benchmarks/engine_ablations.py SET --out FOLDER [--seeds 3] [--only NAME ...]

SET is a folder of labelled images. Each ablation is played with several seeds, each in a folder
of its own under FOLDER. A play that is done is read back and one that was killed goes on, so the
whole may be stopped and started at will: on two cores it takes hours. Printed as a table, and
written to `results/engine_ablations.json` and, as a page, to FOLDER/ablations.md.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.engine.rounds import RoundConfig
from maskmill.engine.simulate import SimulateConfig, simulate
from maskmill.formats import even_sample, read_dataset

RESULT = Path(__file__).parent / "results" / "engine_ablations.json"
SMALL = SimulateConfig(
    images_per_round=4,
    assisted_rounds=2,
    semi_rounds=1,
    points_per_side=8,
    precision=0.5,
    automatic_precision=0.8,
    audit_sample=50,
    round=RoundConfig(
        masks="all",
        export=False,
        holdout_limit=2,
        training={
            "steps": 20, "warmup_steps": 4, "threads": 1, "batch_images": 4, "masks_per_image": 2,
            "input_side": 128, "grid_iou_images": 2,
        },
        detector_training={"steps": 30, "batch_images": 2, "views": 1},
        regions_training={"steps": 100, "batch_images": 2, "crop": 96},
    ),
)  # fmt: skip
"""The preset that everything is compared with: its rounds take minutes, where real ones take a
quarter of an hour, so what long training would change is not seen."""
LIMIT = 24
MOST_OBJECTS = 30
"""Images with more take most of the time and teach nothing else."""


def changed(**settings: Any) -> SimulateConfig:
    """Return the preset with other settings of its rounds."""
    return replace(SMALL, round=replace(SMALL.round, **settings))


ABLATIONS = {
    "preset": SMALL,
    "only new masks": changed(masks="new"),
    "from the default each round": changed(start="default"),
    "from random weights each round": changed(
        training={
            **SMALL.round.training,
            "start_from": "",
            "start_share": 0.0,
            "keep_statistics": False,
        },
    ),
    "random queue": replace(SMALL, queue_by="random"),
    "no detector": changed(detector=False),
    "rounds half as long": replace(SMALL, images_per_round=2, assisted_rounds=4, semi_rounds=2),
    "rounds half again as long": replace(
        SMALL, images_per_round=6, assisted_rounds=1, semi_rounds=1
    ),
}
NUMBERS = {
    "s a mask, first": lambda t: t["rounds"][0]["seconds_per_mask"],
    "s a mask, last": lambda t: t["rounds"][-1]["seconds_per_mask"],
    "times as fast": lambda t: t["overall"]["faster_from_first_to_last_round"],
    "hours": lambda t: t["overall"]["hours"],
    "pre-filled, kept": lambda t: sum(r["prefilled_kept"] for r in t["rounds"]),
    "stage 3 recall": lambda t: t["automatic"]["recall"],
    "above 0.75": lambda t: t["automatic"]["audit"][1]["share"] if t["automatic"]["audit"] else 0.0,
}


def play(folder: Path, data: Path, config: SimulateConfig) -> dict[str, Any]:
    """Play one simulation, go on with it, or read what it said."""
    done = folder / "simulation.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        small = [i for i in read_dataset(data).images if len(i.annotations) <= MOST_OBJECTS]
        images = even_sample(small, LIMIT)
        told = simulate(images, folder, config, say=lambda line: print(f"  {line}", flush=True))
        done.write_text(json.dumps(told) + "\n", "utf-8")
    return json.loads(done.read_text("utf-8"))  # type: ignore[no-any-return]


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Return the page: mean and range over the seeds of each number."""
    lines = [
        f"| played | seeds | {' | '.join(NUMBERS)} |",
        "| --- " * (2 + len(NUMBERS)) + "|",
    ]
    for name, plays in found.items():
        cells = []
        for number in NUMBERS:
            values = np.array([each[number] for each in plays])
            reach = f" ({values.min():.2f} to {values.max():.2f})" if len(values) > 1 else ""
            cells.append(f"{values.mean():.2f}{reach}")
        lines.append(f"| {name} | {len(plays)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Play what is missing, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(ABLATIONS))
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.seeds):  # every ablation once before any is repeated
        for name in options.only or ABLATIONS:
            print(f"{name}, seed {seed}", flush=True)
            folder = options.out / name.replace(" ", "-") / str(seed)
            told = play(folder, options.data, replace(ABLATIONS[name], seed=seed))
            numbers = {number: float(read(told)) for number, read in NUMBERS.items()}
            found.setdefault(name, []).append(numbers)
            RESULT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
            (options.out / "ablations.md").write_text(table(found), "utf-8")
    print(table(found))


if __name__ == "__main__":
    main()

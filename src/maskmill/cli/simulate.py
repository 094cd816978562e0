"""`maskmill simulate`: play the data engine on labelled images, and print what it would cost."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from maskmill.cli.options import JsonFlag, print_result, require, warn, warn_refused
from maskmill.errors import StoreError


def simulate(
    dataset: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    limit: int | None = None,
    images_per_round: int = 10,
    assisted_rounds: int = 3,
    semi_rounds: int = 2,
    automatic: Annotated[bool, Parameter(negative="--no-automatic")] = True,
    points_per_side: int = 32,
    queue_by: Literal["doubt", "random"] = "doubt",
    masks: Literal["new", "all"] = "all",
    start: Literal["current", "default"] = "current",
    steps: int | None = None,
    accept: float = 0.85,
    miss: float = 0.05,
    seed: int = 0,
    as_json: JsonFlag = False,
) -> None:
    """Play the data engine on labelled images: what would it cost to label them?

    Simulated people label with the real engine; they see the labels, it does not. Writes
    simulation.json and report.html, and leaves the project that was made.

    Args:
        dataset: Labelled images in any form that `maskmill import` reads.
        out: A new folder.
        limit: Use only so many images, evenly over their sources.
        images_per_round: Images labelled before each training.
        assisted_rounds: Rounds of stage 1, by hand.
        semi_rounds: Rounds of stage 2, with sure masks pre-filled.
        automatic: Let stage 3 label what is left, and audit a sample of it.
        points_per_side: Everything mode's grid.
        queue_by: Choose images by the model's doubt, or at random.
        masks: Train each round on the masks made since the last promotion, or on all.
        start: Train each round from the current model, or from the embedded default.
        steps: Optimiser steps a round; by default the recipe's.
        accept: IoU with the truth at which the simulated person is content.
        miss: Share of objects that the simulated person overlooks.
        seed: Decides everything that is drawn.
    """
    require("train", "torch", "safetensors", "matplotlib")
    from maskmill.engine.oracle import OracleConfig
    from maskmill.engine.report import COLUMNS, rows, write_report
    from maskmill.engine.rounds import RoundConfig
    from maskmill.engine.simulate import SimulateConfig
    from maskmill.engine.simulate import simulate as play
    from maskmill.formats import even_sample, read_dataset

    if out.exists() and any(out.iterdir()):
        raise StoreError(f"{out} is not empty; name a new folder for the simulation")
    found = read_dataset(dataset)
    warn_refused(found.refused)
    round_ = RoundConfig(masks=masks, start=start, export=False)
    if steps is not None:
        round_ = replace(round_, training={"steps": steps})
    config = SimulateConfig(
        images_per_round=images_per_round, assisted_rounds=assisted_rounds,
        semi_rounds=semi_rounds, automatic=automatic, points_per_side=points_per_side,
        queue_by=queue_by, round=round_, oracle=OracleConfig(accept=accept, miss=miss), seed=seed,
    )  # fmt: skip
    told = play(even_sample(found.images, limit), out, config, say=warn)
    (out / "simulation.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    write_report(out / "report.html", f"Simulation on {dataset.name}", told)
    table = [[head for head, _, _ in COLUMNS], *rows(told["rounds"])]
    widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in table]
    text = "\n".join([*lines, f"Report in {out / 'report.html'}"])
    print_result({"out": out, **told}, as_json=as_json, text=text)

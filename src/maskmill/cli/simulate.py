"""`maskmill simulate`: play the data engine on labelled images, and print what it would cost."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from maskmill.cli.options import (
    JsonFlag,
    print_result,
    require,
    warn,
    warn_refused,
    with_numbers,
)
from maskmill.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskmill.engine.oracle import HandMade
    from maskmill.engine.time_model import TimeModel
    from maskmill.formats import LabelledImage


def simulate(
    dataset: Path | None = None,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    replay: Path | None = None,
    limit: int | None = None,
    images_per_round: int = 10,
    assisted_rounds: int = 3,
    semi_rounds: int = 2,
    automatic: Annotated[bool, Parameter(negative="--no-automatic")] = True,
    points_per_side: int = 32,
    crop_n_layers: int = 0,
    precision: float = 0.95,
    automatic_precision: float = 0.95,
    detector: Annotated[bool, Parameter(negative="--no-detector")] = True,
    follows: Annotated[bool, Parameter(negative="--no-follows")] = True,
    queue_by: Literal["doubt", "random"] = "doubt",
    masks: Literal["new", "all"] = "all",
    start: str = "current",
    steps: int | None = None,
    head_steps: int | None = None,
    accept: float = 0.85,
    miss: float = 0.05,
    person: Annotated[Sequence[str], Parameter(negative="", show_default=False)] = (),
    seconds: Annotated[Sequence[str], Parameter(negative="", show_default=False)] = (),
    forecast: int = 1000,
    seed: int = 0,
    as_json: JsonFlag = False,
) -> None:
    """Play the data engine on labelled images: what would it cost to label them?

    Simulated people label with the real engine; they see the labels, it does not. Writes
    simulation.json and report.html, and leaves the project that was made. Killed at any moment,
    the same command goes on.

    Args:
        dataset: Labelled images in any form that `maskmill import` reads.
        out: A new folder, or that of the same simulation.
        replay: A project instead of a dataset: what its people made is played again, in their
            order and with their seconds, through the rounds asked for here.
        limit: Use only so many images, evenly over their sources.
        images_per_round: Images labelled before each training.
        assisted_rounds: Rounds of stage 1, by hand.
        semi_rounds: Rounds of stage 2, with sure masks pre-filled.
        automatic: Let stage 3 label what is left, and audit a sample of it.
        points_per_side: Everything mode's grid.
        crop_n_layers: Layers of overlapping crops that stage 3 looks at too.
        precision: Share of pre-filled masks that has to be right at IoU 0.75, on the hold-out.
        automatic_precision: The same for the masks of stage 3, which nobody looks at.
        detector: Train the box detector and the region head in each round, and let them propose.
        follows: Let pre-filled masks and offered regions follow what is mended on their image.
        queue_by: Choose images by the model's doubt, or at random.
        masks: Train each round on the masks made since the last promotion, or on all.
        start: Train each round from the current model (current), from the embedded default
            (default), or from another model: the path of its folder or published checkpoint.
        steps: Optimiser steps of the model, a round; by default the recipe's.
        head_steps: The same of the box detector and of the region head; by default 600 each.
        accept: IoU with the truth at which the simulated person is content.
        miss: Share of objects that the simulated person overlooks.
        person: What else the simulated person is like, NAME=NUMBER, again for each: accept,
            max_clicks, stall, max_strokes, mend, mend_strokes, miss, slip. Wins over --accept and
            --miss.
        seconds: What an action takes, NAME=SECONDS, again for each: first_click, further_click,
            look, stroke, check, open_image, scan, and polygon, the comparison.
        forecast: Images for which people's hours are foretold, from the last stage's.
        seed: Decides everything that is drawn.
    """
    require("export", "torch", "safetensors", "matplotlib", "skimage", "onnx", "onnxscript")
    from maskmill.engine.oracle import OracleConfig
    from maskmill.engine.report import (
        COLUMNS,
        forecast_in_words,
        foretell,
        rows,
        write_report,
    )
    from maskmill.engine.rounds import RoundConfig
    from maskmill.engine.simulate import STATE, SimulateConfig
    from maskmill.engine.simulate import simulate as play
    from maskmill.engine.time_model import TimeModel
    from maskmill.formats import even_sample

    if (dataset is None) == (replay is None):
        raise ConfigError("simulate plays a dataset or --replay PROJECT; name one of them")
    if forecast < 1:
        raise ConfigError(f"--forecast is {forecast}; it must be at least 1")
    if out.exists() and any(out.iterdir()) and not (out / STATE).is_file():
        raise StoreError(f"{out} is not empty; name a new folder for the simulation")
    oracle = with_numbers(OracleConfig(accept=accept, miss=miss), person, "--person")
    times = with_numbers(TimeModel(), seconds, "--seconds")
    images, recorded = _images(dataset) if dataset else _recorded(replay or Path(), times)
    round_ = RoundConfig(masks=masks, start=start, export=False, detector=detector)
    if steps is not None:
        round_ = replace(round_, training={"steps": steps})
    if head_steps is not None:
        heads = {"steps": head_steps}
        round_ = replace(round_, detector_training=heads, regions_training=heads)
    config = SimulateConfig(
        images_per_round=images_per_round, assisted_rounds=assisted_rounds,
        semi_rounds=semi_rounds, automatic=automatic, points_per_side=points_per_side,
        crop_n_layers=crop_n_layers, precision=precision,
        automatic_precision=automatic_precision, queue_by=queue_by, follows=follows,
        round=round_, oracle=oracle, times=times, seed=seed,
    )  # fmt: skip
    limited = even_sample(images, limit)
    told = play(limited, out, config, recorded=recorded, say=warn)
    told["forecast"] = foretell(told["rounds"], forecast)
    (out / "simulation.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    name = (dataset or replay or out).name
    write_report(out / "report.html", f"Simulation on {name}", told, forecast=forecast)
    table = [[head for head, _, _ in COLUMNS], *rows(told["rounds"])]
    widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in table]
    foretold = forecast_in_words(told["forecast"])
    text = "\n".join([*lines, foretold, f"Report in {out / 'report.html'}"])
    print_result({"out": out, **told}, as_json=as_json, text=text)


def _images(dataset: Path) -> "tuple[Sequence[LabelledImage], None]":
    from maskmill.formats import read_dataset

    found = read_dataset(dataset)
    warn_refused(found.refused)
    return found.images, None


def _recorded(
    folder: Path, times: "TimeModel"
) -> "tuple[Sequence[LabelledImage], Mapping[str, Sequence[HandMade]]]":
    """Read what a project's people made, and the images on which they did."""
    from maskmill.engine.people import record_of
    from maskmill.formats import LabelledImage
    from maskmill.store import Project

    with Project(folder, writes=False) as project:
        record = record_of(project, times)
        known = project.images.by_path(list(record))
    if not record:
        raise StoreError(f"{folder} holds no mask whose seconds were recorded; nothing to replay")
    images = [
        LabelledImage(
            image_id=str(image.id), path=Path(path), size=image.size, source=image.source,
            group=image.group_name,
        )
        for path, image in known.items()
    ]  # fmt: skip
    return images, record

"""The child process of the gate: both models on the hold-out, and a verdict in the round's folder.

    python -m maskmill.engine.judging PROJECT ROUND

It measures the files that people will run, takes minutes, and writes nothing to the project: a page
that is served meanwhile stays quick.
"""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from maskmill.config import Backend, EvaluateConfig, TinyConfig, VitConfig
from maskmill.durable import write_atomically
from maskmill.engine.children import as_child
from maskmill.engine.dataset import labelled_images
from maskmill.engine.gate import Verdict, judge
from maskmill.engine.lineage import model_path, round_named, run_folder
from maskmill.formats import LabelledImage, even_sample, read_pixels
from maskmill.predict import Predictor
from maskmill.store import Project
from maskmill.store.models import Model, Round
from maskmill.weights import config_of, read_card

VERDICT = "verdict.json"


def judge_round(project: Project, round_: Round) -> Verdict:
    """Measure a round's candidate and its incumbent on the hold-out.

    Args:
        project: Open for reading.
        round_: With its snapshot and its candidate.

    Raises:
        StoreError: If one of the models' files is missing.
    """
    from maskmill.train.evaluate import counted_annotations, measure_each

    settings = dict(round_.settings or {})
    measured = EvaluateConfig(everything_images=0)
    snapshot = next(s for s in project.snapshots.all() if s.id == round_.snapshot_id)
    found = labelled_images(project, snapshot, "val")
    holdout = even_sample(
        [i for i in found if counted_annotations(i, measured)], settings["holdout_limit"]
    )
    if not holdout:
        return Verdict(
            promoted=None,
            reason="no hold-out image has a mask that a person made: a person decides",
            comparisons=(),
            images=0,
            groups=0,
        )
    models = {m.id: m for m in project.models.all()}
    rows = (models[round_.incumbent_id or 0], models[round_.candidate_id or 0])
    runtime: Backend = "auto" if settings["export"] else "torch"
    old, new = (
        Predictor.load(model_path(project, row), backend=runtime, threads=1) for row in rows
    )
    (before, refused), (after, _) = (measure_each(each, holdout, measured) for each in (old, new))
    usable = [i for i in holdout if i.path not in {each.path for each in refused}]
    return judge(
        before,
        after,
        target=settings["target"],
        groups=[_group(project, image) for image in usable],
        categories=[[m.category for m in counted_annotations(i, measured)] for i in usable],
        encode_seconds=_encode_seconds(old, new, usable[0]) if usable else None,
        other_encoder=_eyes(project, rows[0]) != _eyes(project, rows[1]),
    )


def read_verdict(folder: Path) -> dict[str, Any] | None:
    """Return what the gate said in a round's folder; None if it has not spoken."""
    path = folder / VERDICT
    said: dict[str, Any] | None = json.loads(path.read_text("utf-8")) if path.is_file() else None
    return said


def _group(project: Project, image: LabelledImage) -> str:
    """Name what the splits keep together: copies of one photograph are a group too."""
    return image.group or project.images.get(int(image.image_id)).content_hash


def _eyes(project: Project, row: Model) -> tuple[VitConfig | TinyConfig, int]:
    """Return a model's image encoder and the side of the frame that it is shown, off its card."""
    config = config_of(read_card(model_path(project, row)))
    return config.encoder, config.input_side


def _encode_seconds(old: Predictor, new: Predictor, image: LabelledImage) -> tuple[float, float]:
    """Time both models in turns, so that other work on the machine hits both alike."""
    pixels = read_pixels(image)
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(5):
        for predictor, times in zip((old, new), taken, strict=True):
            began = time.perf_counter()
            predictor.embed(pixels)
            times.append(time.perf_counter() - began)
    return statistics.median(taken[0]), statistics.median(taken[1])


def main() -> int:
    """Judge the round that the command line names; what went wrong is the last line of stderr."""
    folder, number = Path(sys.argv[1]), int(sys.argv[2])

    def work() -> None:
        with Project(folder, writes=False) as project:
            round_ = round_named(project, number)
            said = json.dumps(judge_round(project, round_).to_json(), indent=1)
            write_atomically(run_folder(project, round_) / VERDICT, said.encode())

    return as_child(work)


if __name__ == "__main__":
    sys.exit(main())

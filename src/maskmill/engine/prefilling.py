"""Stage 2 in a project: sure masks on the images that people will see next.

    python -m maskmill.engine.prefilling PROJECT OUT POINTS_PER_SIDE PRECISION IMAGE_ID ...

A child process measures on the hold-out which way to propose is precise enough, and from which
score; then it writes a file for each image. Whoever holds the project commits those files, each as
one operation with a name of its own: killed anywhere and run again, no mask is missing or double.
A mask that is committed so is the model's until a person has looked at it, and an image that a
person has taken up meanwhile gets none: that is looked at in the transaction that would write it.
"""

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from maskmill.config import AutomaskConfig
from maskmill.durable import write_atomically
from maskmill.engine import proposals
from maskmill.engine.calibration import FALLBACKS, calibrate_ways, holdout
from maskmill.engine.children import as_child, run_child
from maskmill.engine.heads import Heads, heads_of
from maskmill.engine.lineage import current_model, model_path
from maskmill.engine.proposals import Calibration, Proposal
from maskmill.errors import Conflict, ImageError, NotFound
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.store import Create, Edit, Made, Project

CALIBRATION = "calibration.json"


def prefill_images(
    project: Project,
    image_ids: Sequence[int],
    folder: Path,
    *,
    points_per_side: int = 32,
    precision: float = proposals.PRECISION,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] = lambda images, masks: None,
) -> Calibration:
    """Put the masks that the model is sure of on some images.

    Args:
        project: Open for writing.
        image_ids: The images; those that a person has taken up by then are passed over.
        folder: Where the child leaves what it found; named again, the work goes on.
        points_per_side: Everything mode's grid.
        precision: Share of the masks that has to be right, on the hold-out.
        stop: Set when the work is to rest.
        progress: Called with the images done and the masks on them.

    Returns:
        What the hold-out says of the way that was chosen; without a threshold nothing was done.

    Raises:
        MaskmillError: If it cannot be done, or was stopped; or masks could not be committed, which
            the same call tries again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ended = threading.Event()
    failed: list[Exception] = []

    def commit() -> None:
        try:
            _commit_all(project, image_ids, folder, ended, progress)
        except Exception as error:  # nobody sees what ends a thread
            failed.append(error)

    watching = threading.Thread(target=commit, daemon=True)
    watching.start()
    try:
        told = map(str, (project.folder, folder, points_per_side, precision, *image_ids))
        run_child("maskmill.engine.prefilling", *told, stop=stop)
    finally:
        ended.set()
        watching.join()
    if failed:
        raise failed[0]
    calibration, _ = _read_calibration(folder)
    return calibration


def is_prefilled(made: Made) -> bool:
    """Tell whether a model made a mask for people to look at."""
    return made.made_by == "model" and made.stage == "semi"


def look_over(project: Project, image_id: int, *, by: str) -> int:
    """Say that a person has seen an image whole: the pre-filled masks they left are accepted.

    Returns:
        How many there were.
    """
    left = [
        mask
        for mask in project.annotations.of_image(image_id)
        if is_prefilled(mask.made) and mask.review is None
    ]
    if left:
        edits = [Edit(annotation_id=m.id, based_on=m.version, review="accepted") for m in left]
        newest = max(mask.sequence for mask in left)
        project.annotations.apply(f"seen/{image_id}/{newest}", edits, by=by)
    return len(left)


def _commit_all(
    project: Project,
    image_ids: Sequence[int],
    folder: Path,
    ended: threading.Event,
    progress: Callable[[int, int], None],
) -> None:
    """Write what the child has found so far, until it has ended and nothing is left."""
    done, masks = 0, 0
    left = list(image_ids)
    while left:
        last = ended.is_set()
        there = [image_id for image_id in left if (folder / f"{image_id}.json").is_file()]
        for image_id in there:
            masks += _commit(project, image_id, folder)
            done += 1
            progress(done, masks)
        left = [image_id for image_id in left if image_id not in there]
        if last and not there:
            return
        ended.wait(0.5)


def _commit(project: Project, image_id: int, folder: Path) -> int:
    found: list[dict[str, Any]] = json.loads((folder / f"{image_id}.json").read_text("utf-8"))
    if not found:
        return 0
    operation = f"prefill/{folder.name}/{image_id}"
    done = project.annotations.done(operation)
    if done is not None:
        return len(done)
    known = {category.name: category.id for category in project.categories.all()}
    changes = [
        Create(
            image_id=image_id,
            category_id=known.get(each.get("category") or ""),
            rle=Rle((each["size"][0], each["size"][1]), each["counts"].encode()),
            made=Made(
                made_by="model",
                author=each["by"],
                stage="semi",
                model_id=each["model"],
                predicted_iou=each["predicted_iou"],
                stability_score=each["stability_score"],
                prompts=[{"points": [each["point"]]}],
            ),
        )
        for each in found
    ]

    def refuse_taken(connection: Connection) -> None:
        if not project.work.untouched_in(connection, [image_id]):
            raise Conflict(f"somebody has taken image {image_id} up; its masks are theirs")

    try:
        project.annotations.apply(operation, changes, by=found[0]["by"], before=refuse_taken)
    except Conflict:
        return 0
    return len(changes)


def propose_all(
    project: Project,
    folder: Path,
    image_ids: Sequence[int],
    *,
    points_per_side: int,
    precision: float,
) -> None:
    """Find the masks of each image; what the child process does.

    Args:
        project: Open for reading.
        folder: Where the files go; those that are there stay. A calibration stays too, unless
            another model or other heads are in use by now.
        image_ids: The images.
        points_per_side: Everything mode's grid.
        precision: As of `prefill_images`.
    """
    model = current_model(project)
    predictor = Predictor.load(model_path(project, model), threads=1)
    heads = heads_of(project, model)
    grid = proposals.nearly_open(AutomaskConfig(points_per_side=points_per_side))
    row = None if model is None else model.id
    measured = {"model": row, "head_rounds": _head_rounds(heads)}
    calibration: Calibration | None = None
    if (folder / CALIBRATION).is_file():
        kept, earlier = _read_calibration(folder)
        calibration = kept if earlier == measured else None
    if calibration is None:
        calibration = _calibrate(project, predictor, heads, grid, precision)
        told = {**asdict(calibration), **measured}
        write_atomically(folder / CALIBRATION, json.dumps(told).encode())
    if calibration.threshold is None:
        return
    for image_id in image_ids:
        path = folder / f"{image_id}.json"
        if path.is_file():
            continue
        try:
            pixels = read_image(Path(project.images.get(image_id).path))
        except (ImageError, NotFound):
            write_atomically(path, b"[]")  # one bad image stops nobody
            continue
        found = proposals.found_by(calibration.way, predictor, pixels, heads, grid)
        sure = proposals.propose(found, calibration)
        write_atomically(path, json.dumps([_told(each, row) for each in sure]).encode())


def _calibrate(
    project: Project, predictor: Predictor, heads: Heads, grid: AutomaskConfig, precision: float
) -> Calibration:
    """Choose the way that finds most; where none is good, say at which precisions one would be."""
    tried = [precision, *(each for each in FALLBACKS if each < precision)]
    told = calibrate_ways(predictor, heads, holdout(project), grid, precisions=tried)
    calibration, *lower = map(proposals.best_way, told)
    if calibration.threshold is not None:
        return calibration
    could = tuple(
        (asked, other.found)
        for asked, other in zip(tried[1:], lower, strict=True)
        if other.threshold is not None
    )
    return replace(calibration, instead=could)


def _head_rounds(heads: Heads) -> list[int | None]:
    """Return the rounds that trained the heads which propose; a model may get new ones."""
    there = [head for head in (heads.detector, heads.regions) if head is not None]
    return [head.card.get("round") for head in there]


def _read_calibration(folder: Path) -> tuple[Calibration, dict[str, Any]]:
    """Return a run's calibration, and of which model and heads it is."""
    told = json.loads((folder / CALIBRATION).read_text("utf-8"))
    measured = {"model": told.pop("model", None), "head_rounds": told.pop("head_rounds", [])}
    return Calibration.from_json(told), measured


def _told(mask: Proposal, model_row: int | None) -> dict[str, Any]:
    return {
        "model": model_row,
        "size": list(mask.rle.size),
        "counts": mask.rle.counts.decode("ascii"),
        "predicted_iou": float(mask.predicted_iou),
        "stability_score": float(mask.stability_score),
        "point": [float(each) for each in mask.point],
        "by": mask.by,
        "category": mask.category,
    }


def main() -> int:
    """Do what the command line says; what went wrong is the last line of stderr."""
    points, precision = int(sys.argv[3]), float(sys.argv[4])
    ids = [int(each) for each in sys.argv[5:]]

    def work() -> None:
        with Project(Path(sys.argv[1]), writes=False) as project:
            propose_all(
                project, Path(sys.argv[2]), ids, points_per_side=points, precision=precision
            )

    return as_child(work)


if __name__ == "__main__":
    sys.exit(main())

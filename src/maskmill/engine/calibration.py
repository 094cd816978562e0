"""What the project's own hold-out says of each way to propose masks, and what is chosen from that.

The hold-out's images were labelled whole by people and taught no model and no detector, so what is
right on them is right as often elsewhere. Few of them say little: a threshold needs `LEAST` right
masks, and its precision is stated with the number it rests on.

    python -m maskmill.engine.calibration PROJECT PRECISION

is the child process that a server has choose for stage 3, so that its pages stay quick.
"""

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from maskmill.config import AutomaskConfig
from maskmill.durable import write_atomically
from maskmill.engine import proposals
from maskmill.engine.children import as_child, run_child
from maskmill.engine.dataset import answered_for, whole_images
from maskmill.engine.heads import Heads, heads_of
from maskmill.engine.labelling import DATA_ENGINE, LabelSettings
from maskmill.engine.lineage import current_model, holdout_share, model_path
from maskmill.engine.proposals import Calibration, Proposal, Way
from maskmill.formats import even_sample
from maskmill.images import read_image
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.store import Image, Project
from maskmill.store.models import Model
from maskmill.store.snapshots import SnapshotConfig

MOST_IMAGES = 60
"""Hold-out images that are looked at; more only narrow what is known."""
FALLBACKS = (0.9, 0.8, 0.7, 0.6, 0.5)
"""Precisions that stage 3 asks for when none is as high as was wanted: what a way is known to get
right half of the time is more than what nothing is known of."""


def holdout(
    project: Project, *, val_share: float | None = None, limit: int = MOST_IMAGES
) -> list[tuple[Image, list[Rle]]]:
    """Return hold-out images that people have labelled whole, with their masks.

    An image that was finished as empty is one of them: whatever is found there is wrong.

    Args:
        project: Open for reading or writing.
        val_share: Share of the groups that is held out; by default the project's.
        limit: Most images, taken as evenly over the sources as they allow.
    """
    share = holdout_share(project) if val_share is None else val_share
    splits = project.snapshots.splits_now(SnapshotConfig(val_share=share))
    ids = [image_id for image_id, split in splits.items() if split == "val"]
    masks = project.annotations.of_images(ids)
    objects = {
        image_id: [m.rle for m in masks.get(image_id, ()) if answered_for(m) and not m.is_crowd]
        for image_id in whole_images(project, masks, ids)
    }
    labelled = [
        project.images.get(image_id)
        for image_id, found in sorted(objects.items())
        if found or not any(mask.is_crowd for mask in masks.get(image_id, ()))
    ]
    return [(image, objects[image.id]) for image in even_sample(labelled, limit)]


def calibrate_ways(
    predictor: Predictor,
    heads: Heads,
    labelled: Sequence[tuple[Image, list[Rle]]],
    grid: AutomaskConfig,
    *,
    precisions: Sequence[float] = (proposals.PRECISION,),
    together: bool = False,
) -> list[dict[Way, Calibration]]:
    """Hold each way to propose masks against images that people labelled whole.

    Args:
        predictor: The model.
        heads: Its heads.
        labelled: Hold-out images and all their objects.
        grid: Everything mode's settings.
        precisions: Shares of the masks kept that have to be right.
        together: Whether all ways will propose, the best first: each further one is held to what
            those before it left.

    Returns:
        For each precision everything mode, the region head, and of the detector's two ways the one
        that finds more; the one that finds most first.
    """
    truths = [masks for _, masks in labelled]
    found: dict[Way, list[list[Proposal]]] = {"everything mode": []}
    for image, _ in labelled:
        pixels = read_image(Path(image.path))
        found["everything mode"].append(proposals.candidates(predictor, pixels, grid))
        embedding = predictor.embed(pixels)
        if heads.regions is not None:
            outlined = proposals.outlined(heads.regions, pixels, embedding)
            found.setdefault("regions", []).append(outlined)
        if heads.detector is not None:
            boxed = proposals.detected(predictor, embedding, heads.detector)
            found.setdefault("detector", []).append(boxed)
            edged = proposals.along_edges(boxed, pixels)
            found.setdefault("detector along edges", []).append(edged)
    return [_at_precision(found, truths, precision, together=together) for precision in precisions]


def _at_precision(
    found: Mapping[Way, Sequence[Sequence[Proposal]]],
    truths: Sequence[Sequence[Rle]],
    precision: float,
    *,
    together: bool,
) -> dict[Way, Calibration]:
    ways = {
        way: proposals.calibrate(masks, truths, precision=precision, way=way)
        for way, masks in found.items()
    }
    if "detector" in ways:  # the same boxes twice would be no second opinion
        both: tuple[Way, Way] = ("detector", "detector along edges")
        del ways[min(both, key=lambda way: proposals.worth(ways[way]))]
    best_first = sorted(ways, key=lambda way: proposals.worth(ways[way]), reverse=True)
    if not together:
        return {way: ways[way] for way in best_first}
    ordered = {way: found[way] for way in best_first}
    return proposals.calibrate_together(ordered, truths, precision=precision)


def stage_three(
    project: Project,
    *,
    precision: float = proposals.PRECISION,
    use_detector: bool = True,
    grid: AutomaskConfig = DATA_ENGINE,
) -> tuple[LabelSettings, list[str]]:
    """Choose how the whole project is to be labelled.

    Args:
        project: Open for reading or writing.
        precision: Share of the masks kept that has to be right, on the hold-out. Where no way
            reaches it, the first of `FALLBACKS` that one does reach is asked for.
        use_detector: Whether the box detector and the region head may propose.
        grid: Everything mode's settings.

    Returns:
        The settings, and in words what they rest on.
    """
    model = current_model(project)
    folder = model_path(project, model)
    predictor = Predictor.load(folder, threads=1)
    heads = heads_of(project, model) if use_detector else Heads()
    labelled = holdout(project)
    settings = LabelSettings(
        model=str(folder),
        detector=None if heads.detector is None else str(heads.detector.folder),
        regions=None if heads.regions is None else str(heads.regions.folder),
        categories=None if heads.categories is None else str(heads.categories.folder),
        automask=grid,
        model_id=None if model is None else model.id,
        round_id=_round_of(project, model),
    )
    told: list[str] = []
    if not labelled:
        return settings, [
            "no hold-out image is labelled whole: everything mode's masks are kept by the model's "
            "own thresholds, and nothing is known of their precision; run `maskmill audit draw` "
            "then"
        ]
    opened = proposals.nearly_open(grid)
    tried = [precision, *(each for each in FALLBACKS if each < precision)]
    calibrated = calibrate_ways(predictor, heads, labelled, opened, precisions=tried, together=True)
    for asked, ways in zip(tried, calibrated, strict=True):
        told += [in_words(each, len(labelled), asked) for each in ways.values()]
        thresholds: dict[Way, float | None] = {
            way: each.threshold for way, each in ways.items() if each.threshold is not None
        }
        if thresholds:
            return replace(settings, thresholds=thresholds), told
        told.append(f"so {asked:.0%} cannot be had, and less is asked for")
    told[-1] = "so everything mode's masks are kept by the model's own thresholds"
    return settings, told


def choose(
    project: Project, *, precision: float, stop: threading.Event
) -> tuple[LabelSettings, list[str]]:
    """Do what `stage_three` does in a child process, and keep what it said in the project.

    Raises:
        Interrupted: If `stop` was set.
        MaskmillError: As the child says.
    """
    run_child("maskmill.engine.calibration", str(project.folder), str(precision), stop=stop)
    found = chosen(project)
    assert found is not None  # the child ended well
    return found


def chosen(project: Project) -> tuple[LabelSettings, list[str]] | None:
    """Return what was chosen last, and in words what it rests on; None if nothing was."""
    path = _chosen_file(project)
    if not path.is_file():
        return None
    told = json.loads(path.read_text("utf-8"))
    return LabelSettings.from_json(told["settings"]), list(told["words"])


def _chosen_file(project: Project) -> Path:
    return project.folder / "labelling" / "chosen.json"


def in_words(calibration: Calibration, images: int, precision: float) -> str:
    """Say what hold-out images showed of a way to propose masks."""
    if calibration.threshold is None:
        return (
            f"{calibration.way}: no threshold makes {precision:.0%} of its masks right on "
            f"{images} hold-out images ({calibration.precision:.0%} of all are)"
        )
    return (
        f"{calibration.way}: from score {calibration.threshold:.3f} on, "
        f"{calibration.precision:.0%} of {calibration.kept} masks on {images} hold-out images are "
        f"right, and they find {calibration.found:.0%} of the objects"
    )


def _round_of(project: Project, model: Model | None) -> int | None:
    if model is None:
        return None
    made = [r for r in project.models.rounds() if r.candidate_id == model.id]
    return made[0].id if made else None


def main() -> int:
    """Choose as the command line says; what went wrong is the last line of stderr."""

    def work() -> None:
        with Project(Path(sys.argv[1]), writes=False) as project:
            settings, words = stage_three(project, precision=float(sys.argv[2]))
            told = json.dumps({"settings": asdict(settings), "words": words}, indent=1)
            path = _chosen_file(project)
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, told.encode())

    return as_child(work)


if __name__ == "__main__":
    sys.exit(main())

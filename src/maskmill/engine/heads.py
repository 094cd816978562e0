"""The heads of a model: what a round trained beside it to propose masks."""

from dataclasses import dataclass
from pathlib import Path

from maskmill.engine.categories import Categoriser, CategoryCheck, check_from_json
from maskmill.engine.detector import Detector
from maskmill.engine.head_files import FOLDERS, Kind, has_head, head_folder, read_head_card
from maskmill.engine.lineage import model_path
from maskmill.engine.region_finder import RegionFinder
from maskmill.store import Project
from maskmill.store.models import Model, Round
from maskmill.weights import model_id_of, read_card


@dataclass(frozen=True, kw_only=True)
class Heads:
    """What a model has.

    Attributes:
        detector: Finds boxes, of which the mask decoder makes masks.
        regions: Outlines objects pixel by pixel.
        categories: Names what masks show.
    """

    detector: Detector | None = None
    regions: RegionFinder | None = None
    categories: Categoriser | None = None


def heads_of(project: Project, model: Model | None) -> Heads:
    """Load the heads that belong to a project's model.

    Args:
        project: Open.
        model: Its row; None for the embedded default.

    Raises:
        CheckpointError: If one cannot be used.
    """
    model_id = model_id_of(read_card(model_path(project, model)))
    return open_heads(
        {
            kind: folder
            for kind in FOLDERS
            if has_head(folder := _folder(project, kind, model_id), kind)
        }
    )


def open_heads(folders: dict[Kind, Path]) -> Heads:
    """Load heads from where they lie."""
    detector, regions, categories = (folders.get(kind) for kind in FOLDERS)
    return Heads(
        detector=None if detector is None else Detector(detector),
        regions=None if regions is None else RegionFinder(regions),
        categories=None if categories is None else Categoriser(categories),
    )


def missing_heads(project: Project, round_: Round, model_id: str) -> list[Kind]:
    """Return which heads of a model a round has not trained yet."""
    return [
        kind
        for kind in FOLDERS
        if not has_head(folder := _folder(project, kind, model_id), kind)
        or read_head_card(folder, kind, {"round"})["round"] != round_.number
    ]


def naming_of(project: Project, round_: Round) -> CategoryCheck | None:
    """Return how the category head that a round trained names the hold-out, if it trained one."""
    rows = {model.id: model.model_id for model in project.models.all()}
    for model_id in (rows.get(round_.candidate_id or 0), rows.get(round_.incumbent_id or 0)):
        if model_id is None:
            continue
        folder = _folder(project, "categories", model_id)
        if not has_head(folder, "categories"):
            continue
        card = read_head_card(folder, "categories", {"round"})
        if card["round"] == round_.number and card.get("holdout"):
            return check_from_json(card["holdout"])
    return None


def _folder(project: Project, kind: Kind, model_id: str) -> Path:
    return head_folder(project.folder, kind, model_id)

"""What a project's rounds made: which model is in use, from which it came, what judges it."""

from pathlib import Path

from maskmill.errors import NotFound, StoreError
from maskmill.store import Project
from maskmill.store.models import Model, Round
from maskmill.weights import builtin_models, model_folder, model_id_of, read_card

DEFAULT = "tiny"
"""The model of a project that has not made one yet."""
VAL_SHARE = 0.2
"""Share of the image groups that a project holds out, unless its first round names another."""


def run_folder(project: Project, round_: Round) -> Path:
    """Return the folder in which a round trains."""
    return project.folder / "rounds" / f"{round_.number:03d}"


def round_named(project: Project, number: int) -> Round:
    """Return a round by its number.

    Raises:
        NotFound: If there is none.
    """
    found = [r for r in project.models.rounds() if r.number == number]
    if not found:
        raise NotFound(
            f"{project.folder} has no round {number}; `maskmill round --history` lists them"
        )
    return found[0]


def holdout_share(project: Project) -> float:
    """Return the share of the image groups that a project holds out, fixed or not yet."""
    fixed = fixed_share(project)
    return VAL_SHARE if fixed is None else fixed


def fixed_share(project: Project) -> float | None:
    """Return the share that a project's first round has fixed; None before it.

    With another share, images that taught the model would come to judge it. A round that failed
    taught none.
    """
    for round_ in project.models.rounds():
        settings = round_.settings or {}
        if round_.status != "failed" and "val_share" in settings:
            return float(settings["val_share"])
    return None


def current_model(project: Project) -> Model | None:
    """Return the model that was promoted last; None while the embedded default is in use."""
    known = {model.id: model for model in project.models.all()}
    for round_ in reversed(project.models.rounds()):
        if round_.status == "promoted" and round_.candidate_id is not None:
            return known[round_.candidate_id]
    return None


def model_path(project: Project, model: Model | None) -> Path:
    """Return the folder of a project's model.

    Raises:
        StoreError: If it is not there any more.
    """
    if model is None:
        return model_folder(DEFAULT)
    folder = project.folder / "models" / model.model_id
    if folder.is_dir():
        return folder
    for name in builtin_models():
        if model_id_of(read_card(model_folder(name))) == model.model_id:
            return model_folder(name)
    raise StoreError(
        f"{folder} is missing; restore it from a backup, or roll back to another model"
    )


def model_before(project: Project) -> Model | None:
    """Return the model that the current one replaced; None if nothing was ever promoted."""
    known = {model.id: model for model in project.models.all()}
    for round_ in reversed(project.models.rounds()):
        if round_.status == "promoted" and round_.candidate_id is not None:
            return known.get(round_.incumbent_id or 0)
    return None


def rounds_that_made(project: Project) -> dict[int, Round]:
    """Return the round that trained each model, by the model's row; going back makes none."""
    rounds = project.models.rounds()
    return {r.candidate_id: r for r in rounds if r.candidate_id and r.snapshot_id is not None}


def learned(project: Project, model_row: int | None) -> set[tuple[int, int]]:
    """Return the versions of masks that a model, or one before it, has learned from.

    What only a model learned from that was rolled back is still new.

    Args:
        project: Open for reading.
        model_row: The model; what none of the project's rounds made has learned from nothing.
    """
    snapshots = {s.id: s for s in project.snapshots.all()}
    made = rounds_that_made(project)
    found: set[tuple[int, int]] = set()
    earlier = made.pop(model_row or 0, None)
    while earlier is not None:
        snapshot = snapshots[earlier.snapshot_id or 0]
        found |= set(project.snapshots.annotation_versions(snapshot).items())
        earlier = made.pop(earlier.incumbent_id or 0, None)  # each once: no chain is endless
    return found

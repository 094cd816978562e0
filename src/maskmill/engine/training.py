"""The child process of a round: it trains on a snapshot, and writes nothing to the project.

    python -m maskmill.engine.training PROJECT ROUND

It may be killed at any moment; started again it goes on from the last checkpoint. Whoever runs the
round holds the project's lock; this process only reads.
"""

import os
import sys
from pathlib import Path

from maskmill.config import TrainConfig, load_toml, with_settings
from maskmill.engine.dataset import labelled_images
from maskmill.errors import DatasetError, MaskmillError, NotFound
from maskmill.formats import LabelledImage
from maskmill.recipes import recipe
from maskmill.store import Project
from maskmill.store.models import Round


def run_folder(project: Project, round_: Round) -> Path:
    """Return the folder in which a round trains."""
    return project.folder / "rounds" / f"{round_.number:03d}"


def train_round(project: Project, round_: Round, start_from: str) -> Path:
    """Train a round's candidate, or go on with it.

    Args:
        project: Open for reading.
        round_: With its snapshot and settings.
        start_from: The model to start from.

    Returns:
        The folder of the trained model.

    Raises:
        DatasetError: If no mask can teach; the message says what is missing.
    """
    from maskmill.train.loop import train

    images = images_of(project, round_)
    if not images:
        raise DatasetError(
            f"round {round_.number} has nothing to train on: outside the hold-out no person has "
            "made or accepted a mask that its model has not learned from; label some"
        )
    settings = dict(round_.settings or {})
    name = settings["recipe"]
    config = with_settings(TrainConfig(), load_toml(recipe(Path(name))), where=name)
    own = {"start_from": start_from, "seed": round_.number, **settings["training"]}
    config = with_settings(config, own, where="the round's settings")
    return train(images, run_folder(project, round_), config)


def images_of(project: Project, round_: Round) -> list[LabelledImage]:
    """Return what a round trains on; empty if people have made nothing that is new to its model."""
    settings = dict(round_.settings or {})
    snapshot = next(s for s in project.snapshots.all() if s.id == round_.snapshot_id)
    goes_on = settings["masks"] == "new" and settings["start"] == "current"
    known = _learned(project, round_) if goes_on else set()
    return labelled_images(
        project, snapshot, "train", known=known, by_people=round_.stage == "automatic"
    )


def rounds_that_made(project: Project) -> dict[int, Round]:
    """Return the round that trained each model, by the model's row; going back makes none."""
    rounds = project.models.rounds()
    return {r.candidate_id: r for r in rounds if r.candidate_id and r.snapshot_id is not None}


def _learned(project: Project, round_: Round) -> set[tuple[int, int]]:
    """Return the versions of masks that the incumbent, or a model before it, has learned from.

    What only a model learned from that was rolled back is still new.
    """
    snapshots = {s.id: s for s in project.snapshots.all()}
    made = rounds_that_made(project)
    learned: set[tuple[int, int]] = set()
    earlier = made.pop(round_.incumbent_id or 0, None)
    while earlier is not None:
        snapshot = snapshots[earlier.snapshot_id or 0]
        learned |= set(project.snapshots.annotation_versions(snapshot).items())
        earlier = made.pop(earlier.incumbent_id or 0, None)  # each once: no chain is endless
    return learned


def main() -> int:
    """Train the round that the command line names; what went wrong is the last line of stderr."""
    folder, number, start_from = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.nice(10)  # people work on the same machine meanwhile
    try:
        with Project(folder, writes=False) as project:
            found = [r for r in project.models.rounds() if r.number == number]
            if not found:
                raise NotFound(f"{folder} has no round {number}; `maskmill round` lists them")
            train_round(project, found[0], start_from)
    except MaskmillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

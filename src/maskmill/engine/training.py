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

    settings = dict(round_.settings or {})
    snapshot = next(s for s in project.snapshots.all() if s.id == round_.snapshot_id)
    known = _learned(project, round_) if settings["masks"] == "new" else set()
    images = labelled_images(project, snapshot, "train", known=known)
    if not images:
        raise DatasetError(
            f"round {round_.number} has nothing to train on: no person has made or accepted a mask "
            "outside the hold-out" + (" since the last round" if known else "") + "; label some"
        )
    name = settings["recipe"]
    config = with_settings(TrainConfig(), load_toml(recipe(Path(name))), where=name)
    own = {"start_from": start_from, "seed": round_.number, **settings["training"]}
    config = with_settings(config, own, where="the round's settings")
    return train(images, run_folder(project, round_), config)


def _learned(project: Project, round_: Round) -> set[tuple[int, int]]:
    """Return the versions of masks that the models before this round have learned from."""
    snapshots = {s.id: s for s in project.snapshots.all()}
    learned: set[tuple[int, int]] = set()
    for earlier in project.models.rounds():
        if earlier.number < round_.number and earlier.status == "promoted":
            snapshot = snapshots.get(earlier.snapshot_id or 0)
            if snapshot is not None:
                learned |= set(project.snapshots.annotation_versions(snapshot).items())
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

"""The child process of a round: it trains on a snapshot, and writes nothing to the project.

    python -m maskmill.engine.training PROJECT ROUND

It may be killed at any moment; started again it goes on from the last checkpoint. Whoever runs the
round holds the project's lock; this process only reads.
"""

import sys
import threading
from pathlib import Path
from typing import Any

from maskmill.config import TrainConfig, VitConfig, load_toml, with_settings
from maskmill.engine.children import as_child
from maskmill.engine.dataset import labelled_images
from maskmill.engine.lineage import learned, round_named, run_folder
from maskmill.engine.starting import architecture_of
from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage
from maskmill.recipes import recipe
from maskmill.store import Project
from maskmill.store.models import Round
from maskmill.store.snapshots import Snapshot


def train_round(
    project: Project, round_: Round, start_from: str, *, pause: threading.Event | None = None
) -> Path:
    """Train a round's candidate, or go on with it.

    Args:
        project: Open for reading.
        round_: With its snapshot and settings.
        start_from: The model to start from.
        pause: Set when a checkpoint is to be kept and the run to end.

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
    own = {"start_from": start_from, "seed": round_.number, **_frame(start_from)}
    own |= settings["training"]
    config = with_settings(config, own, where="the round's settings")
    watched = labelled_images(project, snapshot_of(project, round_), "val")
    return train(
        images,
        run_folder(project, round_),
        config,
        watched=watched,
        pause=pause,
    )


def _frame(start_from: str) -> dict[str, Any]:
    """Return the settings that a model leaves no choice of: a ViT's position table fixes a side."""
    model = architecture_of(start_from)
    if isinstance(model.encoder, VitConfig):
        return {"input_side": model.input_side, "late_share": 0.0}
    return {}


def images_of(project: Project, round_: Round) -> list[LabelledImage]:
    """Return what a round trains on; empty if people have made nothing that is new to its model."""
    settings = dict(round_.settings or {})
    snapshot = snapshot_of(project, round_)
    goes_on = settings["masks"] == "new" and settings["start"] == "current"
    known = learned(project, round_.incumbent_id) if goes_on else set()
    return labelled_images(
        project, snapshot, "train", known=known, by_people=round_.stage == "automatic"
    )


def snapshot_of(project: Project, round_: Round) -> Snapshot:
    """Return the data that a round froze."""
    return next(s for s in project.snapshots.all() if s.id == round_.snapshot_id)


def main() -> int:
    """Train the round that the command line names; what went wrong is the last line of stderr."""
    folder, number, start_from = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    pause = threading.Event()

    def work() -> None:
        with Project(folder, writes=False) as project:
            train_round(project, round_named(project, number), start_from, pause=pause)

    return as_child(work, pause=pause)


if __name__ == "__main__":
    sys.exit(main())

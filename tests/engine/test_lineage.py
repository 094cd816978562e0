"""Which model is in use, and where it lies; `test_training.py` walks back along them."""

from pathlib import Path

import pytest

from maskmill.engine.lineage import (
    current_model,
    fixed_share,
    holdout_share,
    learned,
    model_path,
    round_named,
)
from maskmill.errors import NotFound, StoreError
from maskmill.store import Project
from maskmill.weights import model_folder


def test_a_new_project_uses_the_default_and_has_learned_nothing(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        assert current_model(project) is None
        assert model_path(project, None) == model_folder("tiny")
        assert learned(project, None) == set()
        with pytest.raises(NotFound, match="no round 3"):
            round_named(project, 3)


def test_a_model_whose_files_are_gone_is_named_with_the_way_back(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        lost = project.models.add("lost-1", name="round-001")
        with pytest.raises(StoreError, match="roll back to another model"):
            model_path(project, lost)


def test_the_first_round_that_does_not_fail_fixes_the_hold_out(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        assert (fixed_share(project), holdout_share(project)) == (None, 0.2)
        for share, status in ((0.9, "failed"), (0.1, "kept"), (0.5, "promoted")):
            round_ = project.models.open_round("assisted", settings={"val_share": share})
            project.models.change_round(round_.id, status=status)
        project.models.open_round("assisted")  # as going back does
        assert (fixed_share(project), holdout_share(project)) == (0.1, 0.1)

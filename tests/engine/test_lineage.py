"""Which model is in use, and where it lies; `test_training.py` walks back along them."""

from pathlib import Path

import pytest

from maskmill.engine.lineage import current_model, learned, model_path, round_named
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

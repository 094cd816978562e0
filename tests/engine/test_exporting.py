"""What an export leaves: a whole folder, or none."""

from pathlib import Path

import pytest

from maskmill.engine.children import run_child
from maskmill.errors import StoreError


def test_a_model_that_cannot_be_read_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nothing"):
        run_child("maskmill.engine.exporting", str(tmp_path / "nothing"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()

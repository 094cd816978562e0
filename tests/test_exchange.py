"""The doors in and out of a project as commands name them."""

from pathlib import Path

import pytest
from labelled_set import some_images

from maskmill.cli import main
from maskmill.exchange import import_labelled
from maskmill.store import Project


def test_an_export_says_how_much_left_and_what_its_form_cannot_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Project.create(tmp_path / "project") as project:
        import_labelled(project, some_images(tmp_path / "photos", 2), name="set", by="ann")
    command = ["export", tmp_path / "out", "--format", "yolo", "--project", tmp_path / "project"]
    assert main([*map(str, command), "--category", "cat"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("2 images with")
    assert "left out" in err

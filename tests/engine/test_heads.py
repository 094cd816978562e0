"""Which heads a model has, and which a round has still to train."""

from pathlib import Path

from maskmill.engine.head_files import head_folder
from maskmill.engine.heads import Heads, heads_of, missing_heads, open_heads
from maskmill.store import Project


def test_a_model_without_heads_has_none(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        heads = heads_of(project, None)
    assert heads == Heads()
    assert open_heads({}) == Heads()


def test_a_round_trains_what_it_has_not_trained_yet(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        round_ = project.models.open_round("assisted")
        assert missing_heads(project, round_, "some-1") == ["detector", "regions", "categories"]
        folder = head_folder(project.folder, "detector", "some-1")
        folder.mkdir(parents=True)
        (folder / "detector.json").write_text('{"round": 1}', "utf-8")
        assert missing_heads(project, round_, "some-1") == ["regions", "categories"]
        (folder / "detector.json").write_text('{"round": 0}', "utf-8")
        assert missing_heads(project, round_, "some-1") == ["detector", "regions", "categories"]
        assert missing_heads(project, round_, "other-2") == ["detector", "regions", "categories"]

"""The writing process is killed at any moment; `benchmarks/kill.py` does it more often."""

from pathlib import Path

from maskmill.store import Project

from .killing import kill
from .masks import add_image

KILLS = 20


def test_a_killed_writer_loses_nothing_that_it_acknowledged(sqlite_project: Project) -> None:
    assert add_image(sqlite_project).id == 1
    sqlite_project.close()
    tally = kill(sqlite_project.folder, KILLS)
    assert tally.acknowledged > 5 * KILLS
    assert (tally.lost, tally.corrupt) == (0, 0)
    with Project(sqlite_project.folder) as project:
        masks = project.annotations.of_image(1)
        assert project.images.get(1).mask_count == len(masks) >= tally.acknowledged


def test_an_answer_before_the_commit_is_found_out(tmp_path: Path) -> None:
    """Control: a writer that says so a moment too early."""
    with Project.create(tmp_path / "p") as project:
        add_image(project)
    tally = kill(tmp_path / "p", 3, early=True)
    assert tally.lost > 0
    assert tally.corrupt == 0

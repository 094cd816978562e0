"""Sixteen writers on the same masks: no edit is lost, and none is refused but to be made anew."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from maskmill.store import Project
from maskmill.store.project import DATABASE_VARIABLE

from .masks import a_mask, add_image
from .writing import START, as_process, as_threads

WRITERS, EDITS, MASKS = 16, 200, 60


def some_masks(project: Project) -> list[int]:
    image = add_image(project)
    asked = [a_mask(image.id, attributes={"n": 0}) for _ in range(MASKS)]
    return [each.id for each in project.annotations.apply("masks", asked, by="ann")]


def counted(project: Project, ids: Sequence[int]) -> int:
    """The edits that are there; every version of every mask is in its history, in order."""
    total = 0
    for each in ids:
        history = project.annotations.history(each)
        assert [version.version for version in history] == list(range(1, len(history) + 1))
        assert history[-1].attributes is not None
        total += history[-1].attributes["n"]
    return total


def threads_count(folder: Path, writers: int, edits: int, *, checked: bool = True) -> int:
    with Project.create(folder) as project:
        ids = some_masks(project)
    hearing, saying = START.Pipe(duplex=False)
    child = START.Process(target=as_threads, args=[folder, ids, writers, edits, checked, saying])
    child.start()
    saying.close()
    assert hearing.recv() == []
    child.join()
    with Project(folder) as project:
        return counted(project, ids)


def test_threads_on_one_file_lose_no_edit(tmp_path: Path) -> None:
    assert threads_count(tmp_path / "p", WRITERS, EDITS) == WRITERS * EDITS


def test_threads_that_do_not_look_at_the_version_lose_some(tmp_path: Path) -> None:
    """Control."""
    assert threads_count(tmp_path / "p", WRITERS, 20, checked=False) < WRITERS * 20


def processes_count(folder: Path, url: str, edits: int, *, checked: bool = True) -> int:
    with Project.create(folder) as project:
        ids = some_masks(project)
        started = [
            START.Process(target=as_process, args=[folder, ids, name, edits, checked, url])
            for name in range(WRITERS)
        ]
        for each in started:
            each.start()
        for each in started:
            each.join()
        assert [each.exitcode for each in started] == [0] * WRITERS
        return counted(project, ids)


def test_processes_on_one_postgresql_lose_no_edit(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, postgresql_url)
    assert processes_count(tmp_path / "p", postgresql_url, EDITS) == WRITERS * EDITS


def test_processes_that_do_not_look_at_the_version_lose_some(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control."""
    monkeypatch.setenv(DATABASE_VARIABLE, postgresql_url)
    assert processes_count(tmp_path / "p", postgresql_url, 20, checked=False) < WRITERS * 20

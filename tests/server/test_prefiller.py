"""Pre-filling beside the pages: what is refused, and what is taken up; `test_rounds.py` runs it."""

from pathlib import Path

import pytest

from maskmill.engine.proposals import Calibration
from maskmill.errors import StoreError
from maskmill.server.events import Events
from maskmill.server.prefiller import Prefiller, calibration_of
from maskmill.store import NewImage, Project

SURE = Calibration(threshold=0.5, precision=0.96, kept=20, found=0.5)


def test_without_images_there_is_nothing_to_pre_fill(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        prefiller = Prefiller(project, Events())
        assert prefiller.last() is None
        with pytest.raises(StoreError, match="there is none to pre-fill"):
            prefiller.start(20)
        with pytest.raises(StoreError, match="nothing to cancel"):
            prefiller.cancel()
        prefiller.go_on()
        assert not prefiller.working


def test_what_people_would_see_next_is_pre_filled_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[list[int]] = []
    monkeypatch.setattr(
        "maskmill.server.prefiller.prefill_images",
        lambda project, ids, *_, **__: taken.append(ids) or SURE,
    )
    with Project.create(tmp_path / "project") as project:
        size = {"height": 8, "width": 8}
        new = [NewImage(path=n, content_hash=n * 64, source="s", **size) for n in "abcdef"]
        ids = [image.id for image in project.images.add(new)]
        project.work.set_state(ids[4], "complete", name="Ada")
        prefiller = Prefiller(project, Events())
        prefiller.start(3, first=[ids[5], ids[4], ids[2]])
        prefiller.stop()
    assert taken == [[ids[5], ids[2], ids[0]]]


def test_a_run_s_calibration_is_read_from_its_folder(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        job = project.jobs.queue("prefill", {"image_ids": [1]})
        assert calibration_of(project, job) is None
        folder = project.folder / "prefilled" / f"{job.id:06d}"
        folder.mkdir(parents=True)
        (folder / "calibration.json").write_text('{"threshold": 0.8}')
        assert calibration_of(project, job) == {"threshold": 0.8}

"""Stage 3 beside the pages: what is refused, and that a job survives the server that began it."""

import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from labelled_scene import write_scene

from maskmill.config import AutomaskConfig
from maskmill.engine import labelling
from maskmill.errors import StoreError
from maskmill.exchange.importing import import_labelled
from maskmill.server.events import Events
from maskmill.server.labeller import Labeller, words_of
from maskmill.store import Project

QUICK = labelling.LabelSettings(
    model="tiny",
    automask=AutomaskConfig(points_per_side=2),
    thresholds={"everything mode": 0.2},
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of two scenes without masks."""
    with Project.create(tmp_path / "project") as made:
        scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(2)]
        bare = [replace(scene, annotations=()) for scene in scenes]
        import_labelled(made, bare, name="scenes", by="test")
        yield made


def wait(labeller: Labeller) -> None:
    end = time.monotonic() + 120
    while labeller.working:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_images_there_is_nothing_to_label(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        labeller = Labeller(project, Events())
        assert labeller.last() is None
        with pytest.raises(StoreError, match="there is none to label"):
            labeller.start(precision=0.9)
        with pytest.raises(StoreError, match="nothing to cancel"):
            labeller.cancel()
        labeller.go_on()
        assert not labeller.working
        assert words_of(project) == []


def test_a_job_of_a_server_that_is_gone_is_taken_up(project: Project) -> None:
    job = project.jobs.queue(labelling.KIND, asdict(QUICK), total=2)
    project.jobs.claim(job.id, "a server that was killed")
    labeller = Labeller(project, Events())
    labeller.go_on()
    wait(labeller)
    ended = labeller.last()
    assert ended is not None
    assert (ended.id, ended.status, ended.done) == (job.id, "done", 2)
    assert sum(image.mask_count for image in project.images.page(limit=10)) > 0
    assert not labeller.measuring


def test_a_cancelled_job_is_not_taken_up_again(project: Project) -> None:
    project.jobs.queue(labelling.KIND, asdict(QUICK), total=2)
    labeller = Labeller(project, Events())
    labeller.go_on()
    labeller.cancel()
    assert not labeller.working
    ended = labeller.last()
    assert ended is not None
    assert ended.status in ("cancelled", "done")
    labeller.go_on()
    assert not labeller.working

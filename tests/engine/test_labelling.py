"""Stage 3 as a job: every image once, whatever dies meanwhile, and nothing that people made."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from labelled_scene import write_scene
from sqlalchemy import text

from maskmill.config import AutomaskConfig
from maskmill.engine import labelling
from maskmill.engine.labelling import (
    DATA_ENGINE,
    LabelSettings,
    find_masks,
    label_project,
    operation_of,
    unfinished,
)
from maskmill.engine.proposals import Proposal
from maskmill.errors import ConfigError, NotFound
from maskmill.exchange.importing import import_labelled
from maskmill.predict import Predictor
from maskmill.store import Annotation, Create, Made, Project
from maskmill.store.bulk import count_done
from maskmill.store.verify import verify

QUICK = LabelSettings(
    model="tiny",
    automask=AutomaskConfig(points_per_side=4),
    thresholds={"everything mode": 0.4},
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project of four scenes without masks."""
    with Project.create(tmp_path / "project") as made:
        scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(4)]
        bare = [replace(scene, annotations=()) for scene in scenes]
        import_labelled(made, bare, name="scenes", by="test")
        yield made


def masks_by_path(project: Project) -> dict[str, list[Annotation]]:
    images = project.images.page(limit=100)
    masks = project.annotations.of_images([image.id for image in images])
    return {Path(image.path).name: masks.get(image.id, []) for image in images}


def test_every_image_gets_a_models_masks_and_one_bad_image_stops_nothing(project: Project) -> None:
    images = project.images.page(limit=100)
    Path(images[2].path).write_bytes(b"no image any more")
    report = label_project(project, QUICK, workers=0)
    assert [Path(path).name for path, _ in report.failed] == [Path(images[2].path).name]
    assert report.images == 3
    masks = [m for each in masks_by_path(project).values() for m in each]
    assert len(masks) == report.masks > 3
    for mask in masks:
        made = mask.made
        assert (made.made_by, made.stage, mask.review) == ("model", "automatic", None)
        assert made.author == "everything mode"
        assert made.predicted_iou is not None
        assert made.predicted_iou >= 0.4
        assert made.stability_score is not None
    assert not masks_by_path(project)[Path(images[2].path).name]
    job = project.jobs.get(report.job)
    assert (job.status, job.done) == ("done", 3)
    assert "1 could not be used" in (job.message or "")
    assert not list(verify(project, files=False))


def test_what_people_made_is_left_alone_and_a_second_run_finds_nothing(project: Project) -> None:
    scene = write_scene(project.folder.parent / "scenes", "0", seed=0)
    mine = project.images.by_path([str(scene.path.absolute())])[str(scene.path.absolute())]
    by_hand = Made(made_by="person", author="Ada", stage="assisted")
    create = Create(image_id=mine.id, rle=scene.annotations[0].rle, made=by_hand)
    project.annotations.apply("mine", [create], by="Ada")
    assert label_project(project, QUICK, workers=0).images == 3
    assert [m.made.author for m in project.annotations.of_image(mine.id)] == ["Ada"]
    before = masks_by_path(project)
    again = label_project(project, QUICK, workers=0)
    assert again.masks == 0
    assert masks_by_path(project) == before


def test_what_people_take_up_meanwhile_is_theirs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do it after the images were listed, before their masks are committed, twice over."""
    ids = [image.id for image in project.images.page()]
    scene = write_scene(project.folder.parent / "scenes", "0", seed=0)
    by_hand = Made(made_by="person", author="Ada", stage="assisted")
    create = Create(image_id=ids[0], rle=scene.annotations[0].rle, made=by_hand)
    stop = threading.Event()

    def taken_up(*arguments: object) -> list[Proposal]:
        project.annotations.apply("mine", [create], by="Ada")
        project.work.set_state(ids[1], "complete", name="Ada")
        project.work.lease(ids[2], "Ada")
        return find_masks(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(labelling, "find_masks", taken_up)
    monkeypatch.setattr(labelling, "IMAGES_AT_ONCE", 1)
    first = label_project(project, QUICK, workers=0, progress=lambda _: stop.set(), stop=stop)
    assert (first.images, first.passed_over) == (0, 1)
    report = label_project(project, QUICK, workers=0)
    assert report.job == first.job, "it went on"
    assert (report.images, report.passed_over) == (1, 1)
    assert [m.made.author for m in project.annotations.of_image(ids[0])] == ["Ada"]
    assert not project.annotations.of_image(ids[1])
    assert not project.annotations.of_image(ids[2])
    assert project.annotations.of_image(ids[3])
    job = project.jobs.get(report.job)
    assert (job.status, job.done) == ("done", 1)
    assert "1 were taken up by people" in (job.message or "")
    project.work.release(ids[2], "Ada")
    monkeypatch.setattr(labelling, "find_masks", find_masks)
    assert label_project(project, QUICK, workers=0).images == 1, "they left it after all"
    assert not list(verify(project, files=False))


def test_an_image_without_a_mask_is_done_too(project: Project) -> None:
    nothing = replace(QUICK, thresholds={"everything mode": 2.0})
    report = label_project(project, nothing, workers=0)
    assert (report.images, report.masks) == (4, 0)
    assert count_done(project, operation_of(report.job)) == 4
    assert not list(verify(project, files=False))


def test_killed_again_and_again_it_ends_with_every_image_once(tmp_path: Path) -> None:
    """Kill -9 the whole run after new commits; what comes out is what an unkilled one writes."""
    outcomes = []
    for name, kills in (("calm", 0), ("killed", 2)):
        with Project.create(tmp_path / name) as made:
            scenes = [write_scene(tmp_path / "scenes", f"{i}", seed=i) for i in range(4)]
            bare = [replace(scene, annotations=()) for scene in scenes]
            import_labelled(made, bare, name="scenes", by="test")
        for kill in range(kills):
            run_and_kill(tmp_path / name, after=kill + 1)
        with Project(tmp_path / name) as project:
            assert (unfinished(project) is not None) == bool(kills)
            report = label_project(project, QUICK, workers=1)
            assert report.images == 4 if not kills else report.images <= 4 - kills
            assert len(project.jobs.all(kind="label")) == 1, "one job went on"
            assert count_done(project, operation_of(report.job)) == 4
            assert not list(verify(project))
            found = masks_by_path(project)
            outcomes.append({name: [m.rle for m in masks] for name, masks in found.items()})
    assert outcomes[0] == outcomes[1]


def run_and_kill(folder: Path, *, after: int) -> None:
    """Run the job in a process of its own and kill that once so many images are committed."""
    script = (
        "from pathlib import Path\n"
        "from maskmill.engine import labelling\n"
        "from maskmill.store import Project\n"
        "from test_labelling import QUICK\n"
        "labelling.IMAGES_AT_ONCE = 1\n"
        f"with Project(Path({str(folder)!r})) as project:\n"
        "    labelling.label_project(project, QUICK, workers=0)\n"
    )
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, cwd=here
    )
    until = time.monotonic() + 120
    while committed(folder) < after and child.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()


def committed(folder: Path) -> int:
    with Project(folder, writes=False) as project:
        jobs = project.jobs.all(kind="label")
        return count_done(project, operation_of(jobs[-1].id)) if jobs else 0


@pytest.mark.parametrize("damage", ["missing", "double"])
def test_verify_finds_a_mask_that_is_missing_or_double(project: Project, damage: str) -> None:
    label_project(project, QUICK, workers=0)
    with project.database.write() as connection:
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        first = connection.execute(text("SELECT min(id) FROM annotations")).scalar_one()
        if damage == "missing":
            connection.execute(text(f"DELETE FROM annotations WHERE id = {first}"))
        else:
            names = [
                row[1]
                for row in connection.execute(text("PRAGMA table_info(annotations)"))
                if row[1] != "id"
            ]
            columns = ", ".join(names)
            connection.execute(
                text(
                    f"INSERT INTO annotations ({columns}) "
                    f"SELECT {columns} FROM annotations WHERE id = {first}"
                )
            )
    assert any("missing or double" in line for line in verify(project, files=False))


def test_an_edited_mask_does_not_look_damaged(project: Project) -> None:
    from maskmill.store import Delete, Edit

    label_project(project, QUICK, workers=0)
    masks = [m for each in masks_by_path(project).values() for m in each]
    changes = [
        Edit(annotation_id=masks[0].id, based_on=1, review="accepted"),
        Delete(annotation_id=masks[1].id, based_on=1),
    ]
    project.annotations.apply("look", changes, by="Ada")
    assert not list(verify(project, files=False))


def test_a_job_goes_on_as_it_began(project: Project) -> None:
    from dataclasses import asdict

    project.jobs.queue("label", asdict(replace(QUICK, thresholds={"everything mode": 2.0})))
    assert label_project(project, QUICK, workers=0).masks == 0


def test_settings_survive_their_row(project: Project) -> None:
    import json
    from dataclasses import asdict

    assert LabelSettings.from_json(json.loads(json.dumps(asdict(QUICK)))) == QUICK


def test_nonsense_is_refused_before_a_job_is_made(project: Project) -> None:
    bad = replace(QUICK, automask=replace(DATA_ENGINE, points_per_side=0))
    with pytest.raises(ConfigError, match="points_per_side"):
        label_project(project, bad)
    assert not project.jobs.all()


def test_a_model_that_is_gone_fails_the_job(project: Project) -> None:
    with pytest.raises(NotFound, match="no model"):
        label_project(project, replace(QUICK, model="nowhere"), workers=0)
    assert [job.status for job in project.jobs.all()] == ["failed"]


def test_masks_of_nearly_the_whole_image_are_left_out() -> None:
    import numpy as np

    pixels = np.full((64, 96, 3), 128, np.uint8)
    found = find_masks(Predictor.load("tiny", threads=1), pixels, QUICK)
    assert all(mask.area <= 0.95 * 64 * 96 for mask in found)

"""A project's embeddings in the background: computed once, whole, and stopped by anybody."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill import embed
from maskmill.automask.folder import load_tiny
from maskmill.embed import embed_project, start_embedding
from maskmill.errors import MaskmillError, NotFound
from maskmill.images import content_hash, read_image
from maskmill.predict import Predictor
from maskmill.store import NewImage, Project
from maskmill.store.embeddings import Embeddings

SIZE = (48, 64)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as made:
        add_photographs(made, tmp_path, 4)
        yield made


def add_photographs(project: Project, folder: Path, count: int) -> None:
    new = []
    for i in range(count):
        path = folder / f"{i}.png"
        pixels = np.random.default_rng(i).integers(0, 255, (*SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(path)
        height, width = SIZE
        new.append(
            NewImage(
                path=str(path),
                content_hash=content_hash(path),
                height=height,
                width=width,
                source="s",
            )
        )
    project.images.add(new)


@pytest.fixture(scope="module")
def tiny() -> Predictor:
    return load_tiny()


def files(project: Project) -> list[Path]:
    return sorted((project.folder / "embeddings").glob("*/*.emb"))


def test_each_is_computed_once_and_a_damaged_one_again(project: Project, tiny: Predictor) -> None:
    first = embed_project(project, lambda: tiny, model="tiny", workers=0)
    assert (first.images, first.computed, first.failed, first.stopped) == (4, 4, [], None)
    image = project.images.page()[0]
    kept = project.embeddings.get(image.content_hash, tiny.model_id)
    fresh = tiny.embed(read_image(Path(image.path)))
    assert kept is not None
    np.testing.assert_array_equal(kept.array, fresh.array.astype(np.float16))
    spoiled = files(project)[1]
    content = bytearray(spoiled.read_bytes())
    content[-7] ^= 1
    spoiled.write_bytes(content)
    again = embed_project(project, lambda: tiny, model="tiny", workers=0)
    assert (again.images, again.computed) == (4, 1)
    jobs = project.jobs.all(kind="embed")
    assert [(job.status, job.done, job.total) for job in jobs] == [("done", 4, 4)] * 2
    assert jobs[1].message == "1 computed of 4"


def test_an_image_that_changed_or_is_gone_is_named_and_the_rest_is_done(
    project: Project, tiny: Predictor
) -> None:
    first, second, *_ = project.images.page()
    Path(first.path).write_bytes(Path(second.path).read_bytes())
    Path(second.path).unlink()
    report = embed_project(project, lambda: tiny, model="tiny", workers=0)
    assert [Path(path).name for path, _ in report.failed] == ["0.png", "1.png"]
    assert "not the file that was added" in report.failed[0][1]
    assert (report.images, report.computed) == (4, 2)
    assert not project.embeddings.has(first.content_hash, tiny.model_id)


def test_a_cancelled_job_stops_at_its_next_word(
    project: Project, tiny: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "SECONDS_BETWEEN_WORDS", 0.0)

    def cancel(_: int) -> None:
        for job in project.jobs.all(kind="embed", running=True):
            project.jobs.cancel(job.id)

    report = embed_project(project, lambda: tiny, model="tiny", workers=0, progress=cancel)
    assert report.images == 1
    assert "cancelled" in (report.stopped or "")
    assert [job.status for job in project.jobs.all()] == ["cancelled"]
    assert embed_project(project, lambda: tiny, model="tiny", workers=0).computed == 3


def test_the_cache_grows_no_larger_than_allowed(project: Project, tiny: Predictor) -> None:
    image = project.images.page()[0]
    one = tiny.embed(read_image(Path(image.path)))
    old = Embeddings(project.folder / "embeddings")
    old.put("a" * 64, one)
    size = old.size()
    os.utime(files(project)[0], (1, 1))
    report = embed_project(project, lambda: tiny, model="tiny", workers=0, limit=int(2.5 * size))
    assert (report.computed, report.no_room) == (2, 2)
    assert not old.has("a" * 64, tiny.model_id)  # used least recently
    assert old.size() <= 2.5 * size
    assert "no room for 2" in (project.jobs.all()[0].message or "")


def test_a_model_that_cannot_be_loaded_fails_the_job(project: Project) -> None:
    def missing() -> Predictor:
        raise NotFound("no such model")

    with pytest.raises(MaskmillError, match="no such model"):
        embed_project(project, missing, model="x", workers=0)
    assert [(job.status, job.message) for job in project.jobs.all()] == [
        ("failed", "no such model")
    ]


def test_it_runs_beside_what_a_server_does(project: Project) -> None:
    job, thread = start_embedding(project, load_tiny, model="tiny")
    thread.join(120)
    ended = project.jobs.get(job.id)
    assert (ended.status, ended.done, ended.total) == ("done", 4, 4)
    assert len(files(project)) == 4


RUN = """
    import sys
    from pathlib import Path
    from maskmill.automask.folder import load_tiny
    from maskmill.embed import embed_project
    from maskmill.store import Project

    if __name__ == "__main__":
        with Project(Path(sys.argv[1])) as project:
            embed_project(project, load_tiny, model="tiny")
"""


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(tmp_path: Path) -> None:
    folder, count = tmp_path / "project", 40
    with Project.create(folder) as project:
        add_photographs(project, tmp_path, count)
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(RUN))
    process = subprocess.Popen([sys.executable, script, folder], start_new_session=True)
    done: list[Path] = []
    while len(done) < 2 and process.poll() is None:
        time.sleep(0.05)
        done = sorted((folder / "embeddings").glob("*/*.emb"))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with Project(folder) as project:
        (dead,) = project.jobs.all()
        assert dead.status == "running"
        report = embed_project(project, load_tiny, model="tiny", workers=0)
        (job,) = project.jobs.all()
        assert (job.id, job.status, job.token) == (dead.id, "done", dead.token + 1)
        assert len(files(project)) == report.images == count
        assert 0 < report.computed <= count - 2

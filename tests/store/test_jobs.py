"""Jobs: who runs them, how far they are, and how one that was given up is kept out."""

import pytest

from maskmill.errors import NotFound, StoreError
from maskmill.store import Project


def test_a_job_goes_from_the_queue_to_its_end(project: Project) -> None:
    queued = project.jobs.queue("embed", {"model": "tiny"}, total=3)
    running = project.jobs.claim(queued.id, "process 1")
    for done in (1, 2, 3):
        running = project.jobs.progress(running, done)
    ended = project.jobs.finish(running, message="all there")
    assert (ended.status, ended.done, ended.total, ended.message) == ("done", 3, 3, "all there")
    assert ended.settings == {"model": "tiny"}
    assert ended.ended_at is not None


def test_one_that_was_taken_over_can_no_longer_write(project: Project) -> None:
    job = project.jobs.queue("train", {})
    lost = project.jobs.claim(job.id, "process 1")
    taken = project.jobs.claim(job.id, "process 2")
    with pytest.raises(StoreError, match="now run by process 2"):
        project.jobs.progress(lost, 5)
    with pytest.raises(StoreError, match="now run by process 2"):
        project.jobs.finish(lost)
    assert project.jobs.progress(taken, 1).done == 1


def test_a_cancelled_job_tells_its_owner(project: Project) -> None:
    job = project.jobs.claim(project.jobs.queue("train", {}).id, "process 1")
    project.jobs.cancel(job.id)
    with pytest.raises(StoreError, match="has ended: cancelled"):
        project.jobs.progress(job, 1)
    with pytest.raises(StoreError, match="has ended"):
        project.jobs.claim(job.id, "process 2")


def test_jobs_are_listed_by_kind_and_by_whether_they_go_on(project: Project) -> None:
    first, second = project.jobs.queue("train", {}), project.jobs.queue("embed", {})
    project.jobs.finish(project.jobs.claim(first.id, "process 1"), status="failed")
    assert [j.id for j in project.jobs.all()] == [first.id, second.id]
    assert [j.id for j in project.jobs.all(kind="train")] == [first.id]
    assert [j.id for j in project.jobs.all(running=True)] == [second.id]


def test_what_is_not_there_or_no_end_is_refused(project: Project) -> None:
    with pytest.raises(NotFound, match="job 7"):
        project.jobs.get(7)
    job = project.jobs.claim(project.jobs.queue("train", {}).id, "process 1")
    with pytest.raises(StoreError, match="not as 'lost'"):
        project.jobs.finish(job, status="lost")

"""Work that outlives a request: rows that say what is to be done, by whom, and how far it is.

A job belongs to whoever holds its token, a number that grows with each owner. A process that was
given up for dead and comes back finds that its token is old, and can no longer write.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from maskmill.errors import NotFound, StoreError
from maskmill.store.database import Database, next_sequence, now
from maskmill.store.schema import jobs

RUNNING = ("queued", "running")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work; the schema explains each field."""

    id: int
    kind: str
    status: str
    settings: Mapping[str, Any] | None
    done: int
    total: int | None
    message: str | None
    owner: str | None
    token: int
    at: float
    ended_at: float | None


class Jobs:
    """The jobs of a project.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def queue(self, kind: str, settings: Mapping[str, Any], *, total: int | None = None) -> Job:
        """Add a job that nobody works on yet."""
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            new = insert(jobs).values(
                project_id=self._project,
                kind=kind,
                status="queued",
                settings=dict(settings),
                done=0,
                total=total,
                token=0,
                at=now(),
            )
            return _job(connection.execute(new.returning(jobs)).one())

    def claim(self, job_id: int, owner: str) -> Job:
        """Take a job over, from nobody or from an owner that is known to be dead.

        Raises:
            StoreError: If it has ended.
        """
        return self._change(
            job_id, None, {"status": "running", "owner": owner, "token": jobs.c.token + 1}
        )

    def progress(
        self, job: Job, done: int, *, total: int | None = None, message: str | None = None
    ) -> Job:
        """Say how far a job is.

        Raises:
            StoreError: If it was cancelled or taken over; stop working on it then.
        """
        values = {"done": done, "total": total or job.total, "message": message or job.message}
        return self._change(job.id, job.token, values)

    def finish(self, job: Job, *, status: str = "done", message: str | None = None) -> Job:
        """End a job as `done` or `failed`.

        Raises:
            StoreError: If it was cancelled or taken over.
        """
        if status not in ("done", "failed"):
            raise StoreError(f"a job ends as done or failed, not as {status!r}")
        values = {"status": status, "message": message or job.message, "ended_at": now()}
        return self._change(job.id, job.token, values)

    def cancel(self, job_id: int) -> Job:
        """End a job from outside; its owner notices at its next word."""
        return self._change(job_id, None, {"status": "cancelled", "ended_at": now()})

    def get(self, job_id: int) -> Job:
        """Return a job.

        Raises:
            NotFound: If there is none.
        """
        with self._database.read() as connection:
            return self._get(connection, job_id)

    def all(self, *, kind: str | None = None, running: bool = False) -> list[Job]:
        """Return the jobs, the first one first; of one kind, or only those that have not ended."""
        statement = select(jobs).where(jobs.c.project_id == self._project)
        if kind is not None:
            statement = statement.where(jobs.c.kind == kind)
        if running:
            statement = statement.where(jobs.c.status.in_(RUNNING))
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(statement.order_by(jobs.c.id))]

    def _get(self, connection: Connection, job_id: int) -> Job:
        where = (jobs.c.id == job_id, jobs.c.project_id == self._project)
        row = connection.execute(select(jobs).where(*where)).first()
        if row is None:
            raise NotFound(f"job {job_id} does not exist; list the jobs")
        return _job(row)

    def _change(self, job_id: int, token: int | None, values: Mapping[str, Any]) -> Job:
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            job = self._get(connection, job_id)
            if job.status not in RUNNING:
                raise StoreError(f"job {job_id} has ended: {job.status}; queue a new one")
            if token is not None and token != job.token:
                raise StoreError(f"job {job_id} is now run by {job.owner}; stop working on it")
            statement = update(jobs).where(jobs.c.id == job_id).values(**values)
            return _job(connection.execute(statement.returning(jobs)).one())


def _job(row: Row[Any]) -> Job:
    return Job(**{f.name: row._mapping[f.name] for f in fields(Job)})

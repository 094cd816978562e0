"""Models that made or proposed masks, the rounds that made the models, and their metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sqlalchemy import Row, func, insert, select, update

from maskmill.errors import NotFound, StoreError
from maskmill.store.database import Database, next_sequence, now
from maskmill.store.schema import metrics, models, rounds

T = TypeVar("T")

STATUSES = ("open", "training", "gating", "promoted", "kept", "failed")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that the project knows; `model_id` names its very weights."""

    id: int
    model_id: str
    name: str
    card: Mapping[str, Any] | None
    blob: str | None
    added_at: float


@dataclass(frozen=True, kw_only=True)
class Round:
    """Collect, train, evaluate, gate, promote; the schema explains each field."""

    id: int
    number: int
    stage: str
    status: str
    incumbent_id: int | None
    candidate_id: int | None
    snapshot_id: int | None
    settings: Mapping[str, Any] | None
    reason: str | None
    started_at: float
    ended_at: float | None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that was measured on a model or in a round."""

    name: str
    value: float | None
    detail: Any
    round_id: int | None
    model_id: int | None
    at: float


class Models:
    """The models, rounds and metrics of a project.

    Args:
        database: Where they are.
        project_id: Whose they are.
    """

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._project = project_id

    def add(
        self,
        model_id: str,
        *,
        name: str,
        card: Mapping[str, Any] | None = None,
        blob: str | None = None,
    ) -> Model:
        """Make a model known; one that is known already is returned as it is."""
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            known = select(models).where(
                models.c.project_id == self._project, models.c.model_id == model_id
            )
            row = connection.execute(known).first()
            if row is None:
                new = insert(models).values(
                    project_id=self._project,
                    model_id=model_id,
                    name=name,
                    card=None if card is None else dict(card),
                    blob=blob,
                    added_at=now(),
                )
                row = connection.execute(new.returning(models)).one()
            return _record(Model, row)

    def describe(self, key: int, card: Mapping[str, Any]) -> Model:
        """Say something else of a model.

        Args:
            key: The model's row.
            card: Replaces what was said.

        Raises:
            NotFound: If there is no such model.
        """
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            where = (models.c.id == key, models.c.project_id == self._project)
            statement = update(models).where(*where).values(card=dict(card))
            row = connection.execute(statement.returning(models)).first()
            if row is None:
                raise NotFound(f"model {key} does not exist; list the models")
            return _record(Model, row)

    def all(self) -> list[Model]:
        """Return the models in the order in which they came."""
        statement = select(models).where(models.c.project_id == self._project)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(models.c.id)).all()
        return [_record(Model, row) for row in rows]

    def open_round(
        self, stage: str, *, incumbent_id: int | None = None, settings: Any = None
    ) -> Round:
        """Begin the next round.

        Raises:
            StoreError: If one is still going on.
        """
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            mine = rounds.c.project_id == self._project
            going = select(rounds).where(mine, rounds.c.ended_at.is_(None))
            if row := connection.execute(going).first():
                raise StoreError(f"round {row.number} is still {row.status}; end it first")
            last = connection.execute(select(func.max(rounds.c.number)).where(mine)).scalar() or 0
            new = insert(rounds).values(
                project_id=self._project,
                number=last + 1,
                stage=stage,
                status="open",
                incumbent_id=incumbent_id,
                settings=settings,
                started_at=now(),
            )
            return _record(Round, connection.execute(new.returning(rounds)).one())

    def change_round(self, round_id: int, *, status: str, **values: Any) -> Round:
        """Move a round on; the last three statuses end it.

        Args:
            round_id: The round.
            status: One of `STATUSES`.
            **values: Also `candidate_id`, `snapshot_id` or `reason`.

        Raises:
            StoreError: If the status is unknown or the round has ended.
            NotFound: If there is no such round.
        """
        if status not in STATUSES:
            raise StoreError(f"status {status!r} is unknown; use one of {', '.join(STATUSES)}")
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            where = (rounds.c.id == round_id, rounds.c.project_id == self._project)
            row = connection.execute(select(rounds).where(*where)).first()
            if row is None:
                raise NotFound(f"round {round_id} does not exist; list the rounds")
            if row.ended_at is not None:
                raise StoreError(f"round {row.number} has ended as {row.status}; open a new one")
            ended = now() if status in STATUSES[-3:] else None
            statement = update(rounds).where(*where).values(status=status, ended_at=ended, **values)
            return _record(Round, connection.execute(statement.returning(rounds)).one())

    def rounds(self) -> list[Round]:
        """Return all rounds, the first one first."""
        statement = select(rounds).where(rounds.c.project_id == self._project)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(rounds.c.number)).all()
        return [_record(Round, row) for row in rows]

    def record(
        self,
        values: Mapping[str, float | None],
        *,
        round_id: int | None = None,
        model_id: int | None = None,
        detail: Any = None,
    ) -> None:
        """Keep measured numbers by name."""
        with self._database.write() as connection:
            next_sequence(connection, self._project)
            at = now()
            common = {"project_id": self._project, "round_id": round_id, "model_id": model_id}
            rows = [
                {**common, "name": name, "value": value, "detail": detail, "at": at}
                for name, value in values.items()
            ]
            if rows:
                connection.execute(insert(metrics), rows)

    def metrics(self, name: str | None = None) -> list[Metric]:
        """Return what was measured, all or of one name, in the order in which it was kept."""
        statement = select(metrics).where(metrics.c.project_id == self._project)
        if name is not None:
            statement = statement.where(metrics.c.name == name)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(metrics.c.id)).all()
        return [_record(Metric, row) for row in rows]


def _record(kind: type[T], row: Row[Any]) -> T:
    return kind(**{f.name: row._mapping[f.name] for f in fields(kind)})  # type: ignore[arg-type]

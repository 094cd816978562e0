"""Operations that are done once: an id that the caller chose, what was asked, and the answer."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from maskmill.errors import StoreError
from maskmill.store.rows import checked_text
from maskmill.store.schema import operations


def find(connection: Connection, project_id: int, operation_id: str) -> Row[Any] | None:
    """Return the row of an operation that was done, or None."""
    statement = select(operations).where(
        operations.c.project_id == project_id, operations.c.operation_id == operation_id
    )
    return connection.execute(statement).first()


def find_same(
    connection: Connection, project_id: int, operation_id: str, digest: str
) -> Row[Any] | None:
    """Return the row of an operation if it was done, and asked for the same.

    Raises:
        StoreError: If its id is blank, or was used for something else.
    """
    checked_text("operation_id", operation_id)
    row = find(connection, project_id, operation_id)
    if row is not None and row.digest != digest:
        raise StoreError(
            f"operation {operation_id} was used for other changes; give each its own id"
        )
    return row


def note(
    connection: Connection,
    project_id: int,
    operation_id: str,
    digest: str,
    answer: Sequence[Any],
    sequence: int,
) -> None:
    """Write down that an operation was done, in its own transaction."""
    row = {
        "project_id": project_id,
        "operation_id": operation_id,
        "digest": digest,
        "answer": list(answer),
        "sequence": sequence,
    }
    connection.execute(insert(operations).values(row))

"""The gate before the database: a row is checked by its table before any database sees it.

What one database refuses and another stores as something else (NaN, NUL, half of a surrogate pair,
numbers too large, text too long) is refused by the name of its column. Records come out as what
reading them back gives, so that a first answer and a repeated one are equal.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Integer,
    String,
    Table,
    select,
)

from maskmill.errors import NotFound, StoreError

MAX_NUMBER = 2**53
"""Largest number in a record: beyond it PostgreSQL and browsers each round in their own way."""
MAX_DEPTH = 50
"""Lists and objects inside one another in a record; JSON readers give up somewhere above."""
AT_ONCE = 500
"""Values in one `IN (...)`; databases bound the number of a statement's parameters."""


def checked(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row, or a part of one, as the database will give it back.

    Raises:
        StoreError: If a database could not keep a value as it is; the message names the column.
    """
    return {name: _checked(table, table.c[name], value) for name, value in values.items()}


def checked_text(name: str, text: str) -> str:
    """Return a text that any database keeps as it is and that says something.

    Raises:
        StoreError: If it is blank, or holds NUL or half of a surrogate pair.
    """
    if not isinstance(text, str) or not text.strip():
        raise StoreError(f"{name} is {text!r}; give a text")
    return _text(name, text, None)


def checked_record(name: str, value: Any, depth: int = 0) -> Any:
    """Return a value as JSON gives it back: tuples become lists.

    Args:
        name: What to call it in an error.
        value: Texts, numbers, booleans, None, and lists and mappings of them.
        depth: How many of those it lies in.

    Raises:
        StoreError: If JSON has no word for it, or databases or browsers change it.
    """
    if depth > MAX_DEPTH:
        raise StoreError(f"{name} is nested more than {MAX_DEPTH} deep; flatten it")
    if isinstance(value, str):
        return _text(name, value, None)
    if isinstance(value, Mapping):
        return {
            _text(f"a key in {name}", key, None): checked_record(name, each, depth + 1)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [checked_record(name, each, depth + 1) for each in value]
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int | float) and abs(value) <= MAX_NUMBER:  # NaN is not
        return value
    raise StoreError(
        f"{name} holds {_show(value)}; give texts, numbers up to 2^53, booleans, null, and lists "
        "and objects of them"
    )


def chunks(values: Collection[Any]) -> Iterator[list[Any]]:
    """Split what a statement asks for into parts that a database takes, each value once."""
    unique = list(dict.fromkeys(values))
    for start in range(0, len(unique), AT_ONCE):
        yield unique[start : start + AT_ONCE]


def in_project(table: Table, project_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """Ask for rows of a project among rows that are named by their keys.

    The sum keeps SQLite from its indexes by project: for more keys than a few it would rather walk
    through the whole project, two million masks for twenty.
    """
    return table.c.project_id + 0 == project_id


def require(
    connection: Connection, table: Table, project_id: int, ids: Collection[int], what: str
) -> None:
    """Refuse rows that are not there or are another project's.

    Raises:
        NotFound: If there is such a row; the message calls it `what`.
    """
    found: set[int] = set()
    for some in chunks([each for each in ids if is_key(each)]):
        statement = select(table.c.id).where(in_project(table, project_id), table.c.id.in_(some))
        found.update(connection.execute(statement).scalars())
    for each in ids:
        if each not in found:
            raise NotFound(f"{what} {each} does not exist in this project; list what there is")


def is_key(value: int) -> bool:
    """Tell whether a number can be a row's; what cannot is not asked for."""
    return -(2**63) <= value < 2**63


def _checked(table: Table, column: Column[Any], value: Any) -> Any:
    name = f"{column.name} of {table.name}"
    if value is None:
        if not column.nullable:
            raise StoreError(f"{name} is missing; give it")
        return None
    kind = column.type
    if isinstance(kind, JSON):
        return checked_record(name, value)
    if isinstance(kind, String):
        return _text(name, value, kind.length)
    if isinstance(kind, Boolean):
        return bool(value)
    if isinstance(kind, Integer):
        bits = 63 if kind.__visit_name__ == "big_integer" else 31
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not -(2**bits) <= value < 2**bits
        ):
            raise StoreError(f"{name} is {_show(value)}; give a whole number below 2^{bits}")
        return value
    if isinstance(kind, Float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise StoreError(f"{name} is {_show(value)}; give a finite number, or leave it out")
        return float(value)
    return value


def _text(name: str, value: Any, longest: int | None) -> str:
    if not isinstance(value, str):
        raise StoreError(f"{name} is {_show(value)}; give a text")
    if "\0" in value or not _is_unicode(value):
        raise StoreError(
            f"{name} is {_show(value)}, with a sign that is no text (NUL, or bytes that are not "
            "UTF-8); write it with other signs"
        )
    if longest is not None and len(value) > longest:
        raise StoreError(f"{name} is {_show(value)}; give at most {longest} signs")
    return value


def _is_unicode(text: str) -> bool:
    """Tell whether a text has bytes in UTF-8, which half of a surrogate pair has not."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _finite(value: float) -> bool:
    return abs(value) < 2**1023 if isinstance(value, int) else math.isfinite(value)


def _show(value: object) -> str:
    """Name a value from outside in a few characters, whatever it is."""
    if isinstance(value, int) and abs(value) >= 2**64:
        return "an integer of more than 64 bits"
    if isinstance(value, str | int | float):
        shown = ascii(value)
        return shown if len(shown) <= 60 else f"{shown[:60]}..."
    return f"of type {type(value).__name__}"

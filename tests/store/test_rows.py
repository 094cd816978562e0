"""The gate before the database; what it refuses is tried on databases in the other files."""

import math
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from maskmill.errors import StoreError
from maskmill.store import Edit, Project
from maskmill.store.rows import (
    AT_ONCE,
    MAX_DEPTH,
    checked,
    checked_record,
    checked_text,
    chunks,
    is_key,
)
from maskmill.store.schema import annotations, images

from .masks import a_mask, add_image


def test_a_row_comes_out_as_it_will_be_read_back() -> None:
    row = {"seconds": 3, "clicks": 2, "prompts": ((1, 2),), "review": None, "counts": b"231"}
    assert checked(annotations, row) == {**row, "seconds": 3.0, "prompts": [[1, 2]]}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("image_id", 2**63),
        ("image_id", True),
        ("image_id", "1"),
        ("clicks", 2**31),
        ("clicks", 1.0),
        ("seconds", math.nan),
        ("seconds", 10**400),
        ("seconds", "3"),
        ("author", 3),
        ("author", "a\0"),
        ("author", None),
    ],
)
def test_a_value_of_another_kind_or_size_is_refused_by_its_column(
    column: str, value: object
) -> None:
    with pytest.raises(StoreError, match=f"{column} of annotations"):
        checked(annotations, {column: value})


def test_a_text_is_as_long_as_its_column() -> None:
    assert checked(images, {"content_hash": "a" * 64}) == {"content_hash": "a" * 64}
    with pytest.raises(StoreError, match="at most 64"):
        checked(images, {"content_hash": "a" * 65})


def test_a_record_is_as_deep_as_allowed_and_no_deeper() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    assert checked_record("it", deep) == deep
    with pytest.raises(StoreError, match="nested"):
        checked_record("it", [deep])


def test_a_long_value_is_not_said_in_full() -> None:
    with pytest.raises(StoreError) as refused:
        checked_text("it", "\0" * 10**6)
    assert len(str(refused.value)) < 300
    with pytest.raises(StoreError, match="more than 64 bits"):
        checked(images, {"width": 10**5000})


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
def test_chunks_hold_everything_once(count: int) -> None:
    found = list(chunks([*range(count), *range(count)]))
    assert [each for some in found for each in some] == list(range(count))
    assert all(0 < len(some) <= AT_ONCE for some in found)


def test_a_key_has_64_bits() -> None:
    assert [is_key(each) for each in (-(2**63) - 1, -(2**63), 2**63 - 1, 2**63)] == [
        False,
        True,
        True,
        False,
    ]


def test_named_rows_are_found_by_their_names_whatever_the_size_of_the_project(
    project: Project,
) -> None:
    """SQLite would rather walk through the whole project as soon as a few rows are named."""
    if project.database.kind != "sqlite":
        return  # PostgreSQL keeps statistics, and plans by them
    found = [add_image(project, f"{i}.jpg").id for i in range(40)]
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, text: str, values: Any, *_: object) -> None:
        asked.append((text, values))

    event.listen(Engine, "before_cursor_execute", note)
    masks = project.annotations.apply("one", [a_mask(image) for image in found], by="ann")
    edits = [Edit(annotation_id=m.id, based_on=1, review="accepted") for m in masks]
    project.annotations.apply("two", edits, by="ann")
    assert len(project.annotations.of_images(found)) == len(found)
    event.remove(Engine, "before_cursor_execute", note)
    plans = []
    with project.database.read() as connection:
        for text, values in asked:
            if text.startswith(("SELECT", "UPDATE", "DELETE")) and not isinstance(values, list):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
                plans += [(row[3], text) for row in plan if "annotations" in text]
    assert len(plans) >= 5
    assert [each for each in plans if "(project_id=?)" in each[0] or "SCAN" in each[0]] == []

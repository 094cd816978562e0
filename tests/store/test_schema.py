"""The tables: what a database enforces by itself, and what one query of them answers."""

import re
from pathlib import Path

import pytest
from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from maskmill.errors import StoreError
from maskmill.store import Edit, Made, Project
from maskmill.store import schema as tables
from maskmill.store import team_tables as team

from .masks import BAR, BY_PERSON, a_mask, add_image


def filled(project: Project) -> None:
    """Put a row into every table."""
    image = add_image(project)
    project.categories.ensure(["cat"])
    (made,) = project.annotations.apply("one", [a_mask(image.id)], by="ann")
    edit = Edit(annotation_id=made.id, based_on=1, rle=BAR, made=BY_PERSON)
    project.annotations.apply("two", [edit], by="ann")
    with project.database.write() as connection:

        def put(table: Table, **row: object) -> int:
            named = {"project_id": project.id} if "project_id" in table.c else {}
            done = connection.execute(insert(table).values(**named, **row))
            return int(done.inserted_primary_key[0])

        model = put(tables.models, model_id="m", name="m", added_at=0)
        snapshot = put(tables.snapshots, name="s", digest="d", statistics={}, settings={}, at=0)
        begun = put(
            tables.rounds, number=1, stage="assisted", status="open", started_at=0,
            candidate_id=model, snapshot_id=snapshot,
        )  # fmt: skip
        put(tables.metrics, round_id=begun, model_id=model, name="iou", value=0.5, at=0)
        put(tables.snapshot_images, snapshot_id=snapshot, image_id=image.id, split="val")
        put(tables.snapshot_annotations, snapshot_id=snapshot, annotation_id=made.id, version=1)
        put(tables.jobs, kind="train", status="queued", at=0)
        ann = {"name": "ann", "at": 0}
        put(
            team.accounts, name="ann", role="admin", password_hash="h", disabled=False, created_at=0
        )
        put(team.sessions, digest=f"of {project.uid}", expires_at=0, **ann)
        put(team.audit_log, action="signed in", **ann)
        put(team.annotation_keys, key="k", annotation_id=made.id)
        put(team.image_states, image_id=image.id, state="complete", **ann)
        put(team.assignments, image_id=image.id, name="ann")
        put(team.leases, image_id=image.id, name="ann", expires_at=0)
        put(team.strokes, image_id=image.id, version=1, drawn=[], changed_by="ann", at=0)
        put(team.rule_sets, version=1, rules={}, changed_by="ann", at=0)
        put(team.reviews, annotation_id=made.id, version=1, verdict="accepted", **ann)


def measure(project: Project, model: int) -> None:
    row = {"name": "iou", "at": 0, "model_id": model, "project_id": project.id}
    with project.database.write() as connection:
        connection.execute(insert(tables.metrics).values(row))


def test_every_table_takes_a_row(project: Project) -> None:
    filled(project)
    with project.database.read() as connection:
        for table in tables.metadata.tables.values():
            assert connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_row_that_names_nothing_is_refused_by_the_database_too(project: Project) -> None:
    """The gate before it asks first; should it forget, nothing wrong is written."""
    row = {"project_id": project.id, "model_id": "m", "name": "m", "added_at": 0}
    with project.database.write() as connection:
        connection.execute(insert(tables.models).values(row))
    with pytest.raises(StoreError) as refused:
        measure(project, model=10**9)
    assert isinstance(refused.value.__cause__, IntegrityError)


def test_both_tables_of_versions_have_the_same_columns() -> None:
    latest, earlier = tables.annotations.c, tables.annotation_versions.c
    assert [column.name for column in latest] == [column.name for column in earlier]
    for column in latest:
        if column.name not in ("id", "version"):
            assert repr(column.type) == repr(earlier[column.name].type)
            assert column.nullable == earlier[column.name].nullable


PROJECTS = Path(__file__).parents[2] / "docs" / "projects.md"


def test_the_documented_queries_say_who_made_a_mask_with_which_model_in_how_many_seconds(
    project: Project,
) -> None:
    blocks = "".join(re.findall(r"```sql\n(.*?)```", PROJECTS.read_text("utf-8"), re.DOTALL))
    one, history, totals = (query for query in blocks.split(";") if query.strip())
    image = add_image(project)
    model = project.models.add("tiny-1", name="tiny")
    by_bob = Made(
        made_by="person", author="bob", stage="assisted", model_id=model.id, seconds=4.5, clicks=3
    )
    (mask,) = project.annotations.apply("one", [a_mask(image.id)], by="ann")
    edit = Edit(annotation_id=mask.id, based_on=1, rle=BAR, made=by_bob)
    project.annotations.apply("two", [edit], by="bob")

    def ask(query: str) -> list[tuple[object, ...]]:
        here = query.replace("id = 17", f"id = {mask.id}")
        here = here.replace("project_id = 1 ", f"project_id = {project.id} ")
        with project.database.read() as connection:
            return [tuple(row) for row in connection.execute(text(here))]

    assert ask(one) == [("person", "bob", "tiny", 4.5, 3, "assisted")]
    first = project.annotations.history(mask.id)[0].made
    assert ask(history) == [
        (1, "ann", first.made_by, first.author, None, first.seconds, first.clicks, False),
        (2, "bob", "person", "bob", "tiny", 4.5, 3, False),
    ]
    assert ask(totals) == [("bob", "tiny", 1, 4.5)]

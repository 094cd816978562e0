"""The tables of people at work are made with the others, and go with their project."""

from sqlalchemy import delete, func, select

from maskmill.store import Project
from maskmill.store import schema as tables
from maskmill.store import team_tables as team

NAMES = (
    *("accounts", "sessions", "audit_log", "annotation_keys"),
    *("image_states", "assignments", "leases", "reviews"),
)


def test_they_share_the_metadata_that_migrations_create() -> None:
    assert team.metadata is tables.metadata
    assert set(NAMES) <= set(tables.metadata.tables)


def test_every_row_names_its_project(project: Project) -> None:
    for name in NAMES:
        assert "project_id" in tables.metadata.tables[name].c
    project.accounts.add("ann", "admin", "hash")
    project.audit.record("ann", "signed in")
    with project.database.write() as connection:
        connection.execute(delete(tables.projects).where(tables.projects.c.id == project.id))
        for name in ("accounts", "audit_log"):
            table = tables.metadata.tables[name]
            statement = select(func.count()).select_from(table)
            assert not connection.execute(
                statement.where(table.c.project_id == project.id)
            ).scalar_one()

"""A project leaves a shared database whole, and its neighbours stay as they are."""

from sqlalchemy import func, select

from maskmill.store import Project
from maskmill.store.removal import remove_rows
from maskmill.store.schema import metadata
from maskmill.store.verify import verify

from .conftest import Creator
from .test_schema import filled


def rows(project: Project) -> dict[str, int]:
    with project.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def test_all_rows_of_one_project_go_and_no_others(create: Creator) -> None:
    stays = create("stays")
    filled(stays)
    before, said = rows(stays), list(verify(stays, files=False))
    goes = create("goes")
    filled(goes)
    assert remove_rows(goes) > len(metadata.sorted_tables)
    if goes.database.kind == "postgresql":
        assert rows(stays) == before
    else:
        assert set(rows(goes).values()) == {0, 1}  # the schema's version is left
    assert list(verify(stays, files=False)) == said

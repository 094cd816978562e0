"""Operations are done once: the same again is found, another under its id is refused."""

import pytest

from maskmill.errors import StoreError
from maskmill.store import Project
from maskmill.store.operations import find, find_same, note


def test_what_was_noted_is_found_and_another_question_is_refused(project: Project) -> None:
    with project.database.write() as connection:
        assert find_same(connection, project.id, "one", "digest") is None
        note(connection, project.id, "one", "digest", [[7, 1]], 3)
        row = find_same(connection, project.id, "one", "digest")
        assert row is not None
        assert (row.answer, row.sequence) == ([[7, 1]], 3)
        with pytest.raises(StoreError, match="operation one was used for other changes"):
            find_same(connection, project.id, "one", "another")
        assert find(connection, project.id + 1, "one") is None, "of another project"


@pytest.mark.parametrize("operation_id", ["", " ", "a\0b"])
def test_an_id_that_no_database_keeps_is_refused(project: Project, operation_id: str) -> None:
    with project.database.read() as connection, pytest.raises(StoreError, match="operation_id"):
        find_same(connection, project.id, operation_id, "digest")

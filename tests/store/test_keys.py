"""Names that browsers give to masks: UUIDs, each for one mask of one project."""

import pytest
from sqlalchemy import Connection

from maskmill.errors import StoreError
from maskmill.store import Annotation, Project

from .masks import a_mask, add_image

KEY = "0b6ad1c6-6a0e-4d5c-9d6a-1f0c3c4d5e6f"


def put(project: Project, key: str, operation: str = "one") -> Annotation:
    def keep(connection: Connection, made: list[Annotation]) -> None:
        project.keys.keep_in(connection, key, made[0].id)

    image = add_image(project)
    (made,) = project.annotations.apply(operation, [a_mask(image.id)], by="ann", also=keep)
    return made


def test_a_name_leads_to_its_mask_and_back(project: Project) -> None:
    made = put(project, KEY)
    assert project.keys.find(KEY) == made.id
    assert project.keys.of([made.id, 999]) == {made.id: KEY}
    assert project.keys.find(KEY.replace("0", "1")) is None


def test_a_repeated_operation_keeps_its_name_once(project: Project) -> None:
    made = put(project, KEY)
    assert put(project, KEY.replace("0", "1")).id == made.id
    assert project.keys.of([made.id]) == {made.id: KEY}


@pytest.mark.parametrize("key", ["", "7", KEY.upper(), KEY + "0", KEY[:-1]])
def test_what_is_no_uuid_is_refused_and_the_mask_with_it(project: Project, key: str) -> None:
    with pytest.raises(StoreError, match="UUID"):
        put(project, key)
    assert project.annotations.since(0) == []


def test_a_name_is_taken_once(project: Project) -> None:
    made = put(project, KEY)
    with pytest.raises(StoreError):
        put(project, KEY, "two")
    assert [each.id for each in project.annotations.since(0)] == [made.id]


def test_projects_do_not_share_names(create: object) -> None:
    one, two = create("one"), create("two")  # type: ignore[operator]
    put(one, KEY)
    assert two.keys.find(KEY) is None
    assert put(two, KEY)

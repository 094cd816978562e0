"""Filters as SQL; what they choose is tested with the images, on both databases."""

from sqlalchemy.dialects import sqlite

from maskmill.store import Project
from maskmill.store.filters import ImageFilter, chosen_ids
from maskmill.store.images import Images

from .masks import new_image


def sql(**asked: object) -> str:
    return str(chosen_ids(1, ImageFilter(**asked)).compile(dialect=sqlite.dialect()))  # type: ignore[arg-type]


def test_what_is_asked_of_images_alone_reads_no_mask() -> None:
    assert "mask_groups" not in sql(source="a", split="val", has_masks=False)


def test_what_is_asked_of_masks_alone_reads_no_image_but_the_deleted() -> None:
    found = sql(category_id=3, author="ann")
    assert found.count("FROM images") == 1
    assert "NOT IN (SELECT images.id" in found
    assert "annotations" not in found


def test_a_page_in_the_middle_is_read_off_an_index(sqlite_project: Project) -> None:
    sqlite_project.images.add([new_image("a")])
    for asked in ({}, {"has_masks": True}, {"category_id": 3}, {"author": "ann"}):
        statement = chosen_ids(1, ImageFilter(**asked)).order_by("id").limit(1)  # type: ignore[arg-type]
        with sqlite_project.database.read() as connection:
            compiled = statement.compile(connection, compile_kwargs={"literal_binds": True})
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}").all()
        said = " | ".join(row[3] for row in plan)
        assert "TEMP B-TREE" not in said, said
        assert "COVERING INDEX ix_images_page" in said or "PRIMARY KEY" in said, said


def test_images_take_filters(sqlite_project: Project) -> None:
    images = Images(sqlite_project.database, sqlite_project.id)
    images.add([new_image("a", split="val"), new_image("b")])
    assert [image.path for image in images.page(ImageFilter(split="val"))] == ["a"]

"""What is broken is found and named; what is whole is not complained of."""

from pathlib import Path

import pytest
from sqlalchemy import delete, update

from maskmill.images import content_hash
from maskmill.store import Edit, NewImage, Project
from maskmill.store.schema import annotation_versions, annotations, images, mask_bins, mask_groups
from maskmill.store.verify import verify

from .records import BY_ANN, add_masks, square


@pytest.fixture
def filled(project: Project, tmp_path: Path) -> Project:
    """A project with two real files, an edited mask, a snapshot and a blob."""
    added = []
    for name in ("a.jpg", "b.jpg"):
        path = tmp_path / name
        path.write_bytes(name.encode())
        added.append(
            NewImage(
                path=str(path), content_hash=content_hash(path), height=20, width=30, source="s"
            )
        )
    first, second = project.images.add(added)
    (mask,) = add_masks(project, first, square(1, 1, 3))
    add_masks(project, second, square(2, 2, 3), square(5, 5, 3))
    edit = Edit(annotation_id=mask.id, based_on=1, rle=square(2, 2, 5), made=BY_ANN)
    project.annotations.apply("edit", [edit], by="bob")
    project.snapshots.take("first")
    project.blobs.put(b"weights")
    return project


def test_a_whole_project_gives_nothing(filled: Project) -> None:
    assert list(verify(filled)) == []


def spoil(project: Project, statement: object) -> list[str]:
    with project.database.write() as connection:
        connection.execute(statement)  # type: ignore[call-overload]
    return list(verify(project))


def test_a_damaged_mask_is_named_and_its_snapshot_too(filled: Project) -> None:
    key = filled.annotations.of_image(filled.images.page()[1].id)[0].id
    found = spoil(filled, update(annotations).where(annotations.c.id == key).values(counts=b"zz"))
    assert any(f"annotation {key} is damaged" in line for line in found)
    assert any("snapshot 'first'" in line for line in found)


def test_a_mask_that_is_not_what_its_row_says(filled: Project) -> None:
    key = filled.annotations.of_image(filled.images.page()[1].id)[0].id
    found = spoil(filled, update(annotations).where(annotations.c.id == key).values(x1=9))
    assert len(found) == 1
    assert f"annotation {key} says" in found[0]


def test_a_wrong_count_of_masks(filled: Project) -> None:
    found = spoil(
        filled, update(images).where(images.c.project_id == filled.id).values(mask_count=2)
    )
    assert len(found) == 1
    assert "is said to have 2 masks and has 1" in found[0]


def test_kinds_and_distributions_that_are_counted_wrongly(filled: Project) -> None:
    first, _ = filled.images.page()
    ours = mask_groups.c.project_id == filled.id
    wrong = update(mask_groups).where(ours, mask_groups.c.image_id == first.id)
    assert spoil(filled, wrong.values(author="eve")) == [
        f"the kinds of masks of image {first.id} are counted wrongly; please report this"
    ]
    found = spoil(
        filled,
        update(mask_bins)
        .where(mask_bins.c.project_id == filled.id)
        .values(bin=3 + mask_bins.c.bin),
    )
    assert found[-1].startswith("the distributions of sizes and places")


def test_a_lost_version(filled: Project) -> None:
    found = spoil(
        filled, delete(annotation_versions).where(annotation_versions.c.project_id == filled.id)
    )
    assert any("at version 2, but 0 earlier ones" in line for line in found)


def test_changed_and_missing_files(filled: Project) -> None:
    first, second = filled.images.page()
    Path(first.path).write_bytes(b"another photograph")
    Path(second.path).unlink()
    found = list(verify(filled))
    assert len(found) == 2
    assert "is not the file that was added" in found[0]
    assert "is missing" in found[1]
    assert list(verify(filled, files=False)) == []


def test_a_damaged_blob_and_missing_weights(filled: Project) -> None:
    (path,) = (p for p in (filled.folder / "blobs").rglob("*") if p.is_file())
    path.write_bytes(b"other")
    filled.models.add("tiny-1", name="tiny", blob="a" * 64)
    found = list(verify(filled))
    assert any("is damaged" in line for line in found)
    assert any("weights of model tiny-1 are missing" in line for line in found)

"""Datasets into a project: nothing is lost, doubled or dropped in silence."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from import_killing import contents, kill_imports, make_dataset, run_import
from labelled_set import SIZE, as_values, mask, some_images
from sqlalchemy import update

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.exchange import (
    export_dataset,
    import_dataset,
    import_labelled,
    importing,
    labelled_images,
)
from maskmill.exchange.provenance import PROVENANCE
from maskmill.formats import LabelledImage, LabelledMask, Refused
from maskmill.images import content_hash
from maskmill.perceptual import perceptual_hash
from maskmill.store import Edit, Made, Project
from maskmill.store.schema import annotations


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as opened:
        yield opened


def test_what_goes_in_comes_out(project: Project, tmp_path: Path) -> None:
    given = some_images(tmp_path / "photos", 5)
    report = import_labelled(project, given, name="set", by="ann")
    assert (report.images, report.masks, report.repeated, report.refused) == (5, 15, 0, [])
    assert as_values(list(labelled_images(project))) == as_values(given)
    assert project.images.page()[0].mask_count == 3
    first = project.annotations.of_image(project.images.page()[0].id)
    assert [m.made.made_by for m in first] == ["person", "person", "model"]
    assert {m.made.stage for m in first} == {"imported"}
    assert {m.made.author for m in first} == {"ann"}


def test_a_second_round_trip_keeps_how_masks_came_to_be(project: Project, tmp_path: Path) -> None:
    import_labelled(project, some_images(tmp_path / "photos", 1), name="set", by="ann")
    one = project.annotations.of_image(project.images.page()[0].id)[0]
    made = Made(made_by="person", author="bob", stage="assisted", seconds=4.5, clicks=3, edits=2)
    new = rle.encode(np.eye(*SIZE, dtype=bool))
    edit = Edit(annotation_id=one.id, based_on=1, rle=new, made=made, review="accepted")
    project.annotations.apply("edit", [edit], by="bob")
    with Project.create(tmp_path / "other") as other:
        import_labelled(other, labelled_images(project), name="from project", by="carl")
        found = other.annotations.of_image(other.images.page()[0].id)[0]
    assert found.made == made
    assert found.review == "accepted"
    assert found.rle == new


def test_a_repetition_changes_nothing(project: Project, tmp_path: Path) -> None:
    given = some_images(tmp_path / "photos", 4)
    import_labelled(project, given, name="set", by="ann")
    before = as_values(list(labelled_images(project)))
    again = import_labelled(project, given, name="set", by="ann")
    assert (again.images, again.masks, again.repeated) == (0, 0, 4)
    assert as_values(list(labelled_images(project))) == before


@pytest.mark.parametrize("stop_after", range(7))
def test_interrupted_anywhere_and_run_again_it_is_as_if_never_interrupted(
    project: Project, tmp_path: Path, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MASKS_AT_ONCE", 4)
    given = some_images(tmp_path / "photos", 6)

    def interrupted() -> Iterator[LabelledImage]:
        yield from given[:stop_after]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_labelled(project, interrupted(), name="set", by="ann")
    report = import_labelled(project, given, name="set", by="ann")
    assert report.images + report.repeated >= 6
    assert as_values(list(labelled_images(project))) == as_values(given)


def test_what_cannot_come_in_is_said_and_the_rest_does(project: Project, tmp_path: Path) -> None:
    good, other, third = some_images(tmp_path / "photos", 3)
    wrong_size = LabelledMask(rle=rle.encode(np.ones((5, 5), bool)))
    bad = LabelledImage(
        image_id="x", path=other.path, size=SIZE, source="s", annotations=(wrong_size,)
    )
    missing = LabelledImage(image_id="y", path=tmp_path / "gone.jpg", size=SIZE, source="s")
    items = [good, Refused(Path("a.json"), "not JSON"), bad, missing, good, third]
    report = import_labelled(project, items, name="set", by="ann")
    assert report.images == 2
    assert report.masks == 6
    reasons = {refused.path.name: refused.reason for refused in report.refused}
    assert reasons["a.json"] == "not JSON"
    assert "(5, 5)" in reasons[other.path.name] or "labelled twice" in reasons[good.path.name]
    assert "cannot be read" in reasons["gone.jpg"]
    assert len(report.refused) == 4


def test_a_strange_word_on_provenance_is_not_believed(project: Project, tmp_path: Path) -> None:
    told = {PROVENANCE: {"made_by": "god", "stage": 7, "seconds": "long", "clicks": 1.5}}
    image = some_images(tmp_path / "photos", 1)[0]
    odd = LabelledImage(
        image_id="x",
        path=image.path,
        size=SIZE,
        source="s",
        annotations=(mask(1, attributes=json.loads(json.dumps(told))),),
    )
    assert import_labelled(project, [odd], name="set", by="ann").masks == 1
    made = project.annotations.of_image(project.images.page()[0].id)[0].made
    assert (made.made_by, made.stage, made.seconds, made.clicks) == (
        "person",
        "imported",
        None,
        None,
    )


def test_images_are_hashed_by_content_and_by_what_they_show(
    project: Project, tmp_path: Path
) -> None:
    given = some_images(tmp_path / "photos", 3)
    import_labelled(project, given, name="set", by="ann")
    for image in project.images.page():
        assert image.content_hash == content_hash(Path(image.path))
        assert image.perceptual_hash == perceptual_hash(Path(image.path).read_bytes())
        assert image.perceptual_hash is not None


def test_another_process_reads_large_files_and_brings_the_same(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = some_images(tmp_path / "photos", 6)
    import_labelled(project, given, name="set", by="ann")
    export_dataset(project, tmp_path / "out", "coco")
    out = tmp_path / "out" / "annotations.json"
    content = json.loads(out.read_text())
    content["annotations"][0]["segmentation"]["counts"] = "zz"
    out.write_text(json.dumps(content))
    found = []
    for name, bytes_ in (("here", 1 << 30), ("there", 0)):
        monkeypatch.setattr(importing, "LARGE_FILE", bytes_)
        with Project.create(tmp_path / name) as other:
            report = import_dataset(other, out, by="bob")
            values = as_values(list(labelled_images(other)))
            found.append((report, values))
    assert found[0] == found[1]
    assert (found[0][0].masks, len(found[0][0].refused)) == (17, 1)


def test_what_the_other_process_refuses_is_refused_here(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "LARGE_FILE", 0)
    (tmp_path / "a.json").write_text('{"images": [], "annotations": [')
    with pytest.raises(DatasetError, match="is not JSON: byte"):
        import_dataset(project, tmp_path / "a.json", form="coco", by="bob")


def test_copies_that_nothing_points_at_are_swept_and_others_stay(
    project: Project, tmp_path: Path
) -> None:
    some_images(tmp_path / "photos", 2)
    archive = shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "photos")
    import_dataset(project, Path(archive), by="ann")
    (kept,) = (project.folder / "imports").iterdir()
    left = project.folder / "imports" / "0123456789abcdef.part"
    left.mkdir()
    (left / "half.jpg").touch()
    again = import_dataset(project, Path(archive), by="ann")
    assert (again.images, again.repeated) == (0, 2)
    assert list((project.folder / "imports").iterdir()) == [kept]


def test_killed_and_run_again_it_brings_exactly_the_same(tmp_path: Path) -> None:
    """`python benchmarks/kill.py --imports 100` does this at a hundred points."""
    assert list(kill_imports(tmp_path, 4)) == [True] * 4


def test_a_difference_after_a_kill_would_be_seen(tmp_path: Path) -> None:
    """Control: one mask less, one score other."""
    dataset = make_dataset(tmp_path)
    found = []
    for name in ("one", "two"):
        Project.create(tmp_path / name).close()
        run_import(tmp_path / name, dataset, ahead=False)
        found.append(contents(tmp_path / name))
    assert found[0] == found[1]
    with Project(tmp_path / "two") as project, project.database.write() as connection:
        connection.execute(update(annotations).where(annotations.c.id == 7).values(x1=3))
    assert contents(tmp_path / "two") != found[0]

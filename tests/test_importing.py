"""Datasets into a project and out again: nothing is lost, doubled or dropped in silence."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.errors import ConfigError
from maskmill.exchange import (
    WRITERS,
    Chosen,
    export_dataset,
    exporting,
    import_dataset,
    import_labelled,
    importing,
    labelled_images,
)
from maskmill.exchange.provenance import PROVENANCE
from maskmill.formats import LabelledImage, LabelledMask, Refused
from maskmill.store import Edit, Made, Project

SIZE = (24, 36)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as opened:
        yield opened


def photograph(folder: Path, name: str, seed: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mask(seed: int, **more: object) -> LabelledMask:
    rng = np.random.default_rng(seed)
    pixels = rng.random(SIZE) < 0.3
    return LabelledMask(rle=rle.encode(pixels), **more)  # type: ignore[arg-type]


def some_images(folder: Path, count: int = 3) -> list[LabelledImage]:
    return [
        LabelledImage(
            image_id=f"id {i}",
            path=photograph(folder, f"{i % 2}/{i // 2}.png", i),  # names repeat in two folders
            size=SIZE,
            source=f"set {i % 2}",
            split="train",
            group=f"scene {i // 2}",
            licence="CC BY 4.0",
            metadata={"country": "NP"},
            annotations=(
                mask(10 * i, category="cat"),
                mask(10 * i + 1, category="dog", is_crowd=True, attributes={"truncated": True}),
                mask(
                    10 * i + 2,
                    predicted_iou=0.9,
                    stability_score=0.95,
                    point_coords=((3.0, 4.0),),
                    crop_box=(0.0, 0.0, 36.0, 24.0),
                ),
            ),
        )
        for i in range(count)
    ]


def as_values(images: list[LabelledImage]) -> list[object]:
    """What a round trip must keep; our own word on how a mask came to be is added on the way."""
    values: list[object] = []
    for image in images:
        values.append((image.image_id, image.path, image.size, image.source, image.split))
        values.append((image.group, image.licence, dict(image.metadata)))
        for each in image.annotations:
            attributes = {k: v for k, v in each.attributes.items() if k != PROVENANCE}
            values.append((each.rle, each.category, each.is_crowd, attributes))
            values.append((each.predicted_iou, each.stability_score, each.point_coords))
            values.append(each.crop_box)
    return values


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
    made = Made(made_by="person", author="bob", stage="assisted", seconds=4.5, clicks=3)
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


def test_only_chosen_masks_leave(project: Project, tmp_path: Path) -> None:
    import_labelled(project, some_images(tmp_path / "photos", 4), name="set", by="ann")

    def count(every_image: bool = False, **chosen: str) -> tuple[int, int]:
        found = list(labelled_images(project, Chosen(**chosen), every_image=every_image))
        return len(found), sum(len(image.annotations) for image in found)

    assert count(category="cat") == (4, 4)
    assert count(source="set 1") == (2, 6)
    assert count(stage="automatic") == (0, 0)
    assert count(every_image=True, stage="automatic") == (4, 0)
    assert count(review="accepted") == (0, 0)
    with pytest.raises(ConfigError, match="no category 'cow' in this project; there are: cat, dog"):
        count(category="cow")
    with pytest.raises(ConfigError, match="no source 'set 7'"):
        count(source="set 7")


def test_pages_of_a_large_project_follow_each_other(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = some_images(tmp_path / "photos", 7)
    import_labelled(project, given, name="set", by="ann")
    monkeypatch.setattr(exporting, "IMAGES_AT_ONCE", 2)
    assert as_values(list(labelled_images(project))) == as_values(given)


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


@pytest.mark.parametrize("form", WRITERS)
def test_what_was_written_with_its_photographs_can_be_brought_in_again(
    project: Project, tmp_path: Path, form: str
) -> None:
    apart = [np.zeros(SIZE, bool) for _ in range(2)]
    apart[0][2:9, 3:12], apart[1][12:20, 20:30] = True, True
    masks = tuple(LabelledMask(rle=rle.encode(m), category="cat") for m in apart)
    given = [replace(each, annotations=masks) for each in some_images(tmp_path / "photos", 3)]
    import_labelled(project, given, name="set", by="ann")
    out = tmp_path / "out"
    written = export_dataset(project, out, form)
    assert (written.images, written.masks) == (3, 6)
    with Project.create(tmp_path / "other") as other:
        source = next(out.glob("*.tar")) if "tar" in form or form == "webdataset" else out
        report = import_dataset(other, source, by="bob")
        assert (report.images, report.masks, report.refused) == (3, 6, [])
        again = import_dataset(other, source, by="bob")
        assert (again.images, again.masks, again.repeated) == (0, 0, 3)
        for image in labelled_images(other):
            assert {mask.rle for mask in image.annotations} == {mask.rle for mask in masks}

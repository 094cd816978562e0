"""Datasets out of a project: what is chosen, all of it, in every form."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled_set import SIZE, as_values, some_images

from maskmill import rle
from maskmill.errors import ConfigError
from maskmill.exchange import (
    WRITERS,
    Chosen,
    export_dataset,
    exporting,
    import_dataset,
    import_labelled,
    labelled_images,
)
from maskmill.formats import LabelledMask
from maskmill.store import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as opened:
        yield opened


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

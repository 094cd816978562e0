"""What all writers share: whole files or none, names that never collide, notes."""

import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from form_scene import RICH, image
from PIL import Image

from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage
from maskmill.formats.writing import (
    Names,
    Tally,
    copy_photograph,
    note_orientation,
    replacing,
    said_besides,
    to_json,
)


def named(path: str) -> LabelledImage:
    return LabelledImage(image_id="1", path=Path(path), size=(2, 3), source="s")


def test_no_two_photographs_share_a_name_or_a_stem() -> None:
    """One name in fifty folders, names that differ in case or spelling only, and in suffix only."""
    paths = [f"/d{i}/photo.jpg" for i in range(50)]
    paths += [f"/d{i}/deep/photo.jpg" for i in range(5)]
    paths += ["/x/PHOTO.JPG", "/x/photo.png", "/x/\u00fc.jpg", "/y/u\u0308.jpg", "/x/a\\b.jpg"]
    tally = Tally()
    names = Names(tally)
    found = [names.flat(named(path)) for path in paths]
    assert found[:3] == ["photo.jpg", "d1_photo.jpg", "d2_photo.jpg"]
    assert len({Path(name).stem.casefold() for name in found}) == len(paths)
    assert found[-1] == "a_b.jpg"
    again = Names(Tally())
    assert [again.flat(named(path)) for path in paths] == found
    (note,) = tally.written().notes
    assert note.startswith("photograph renamed: ")


def test_names_are_made_one_by_one() -> None:
    """Once, a million candidates were made for every photograph: half a second for each."""
    names = Names(Tally())
    tracemalloc.start()
    try:
        found = [names.flat(named(f"/d/{i % 2}.jpg")) for i in range(3000)]
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert found[-1] == "1-1499.jpg"


def test_a_reference_stays_in_its_folder(tmp_path: Path) -> None:
    names = Names(Tally())
    assert names.inside(named(f"{tmp_path}/a/b.jpg"), tmp_path) == "a/b.jpg"
    with pytest.raises(DatasetError, match="copy the photographs"):
        names.inside(named("/elsewhere/b.jpg"), tmp_path)


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_appears_whole_or_not_at_all(sync: bool, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with replacing(path, sync=sync) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert path.read_bytes() == b"new"
    assert [one.name for one in path.parent.iterdir()] == ["a.txt"]
    mask = os.umask(0o022)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_copy_is_the_same_bytes_and_a_missing_one_is_said(tmp_path: Path) -> None:
    ours = image(tmp_path, "a.png", [])
    copy_photograph(ours, tmp_path / "out" / "b.png")
    assert (tmp_path / "out" / "b.png").read_bytes() == ours.path.read_bytes()
    with pytest.raises(DatasetError, match="is gone"):
        copy_photograph(replace(ours, path=tmp_path / "gone"), tmp_path / "out" / "c.png")


def test_what_a_form_does_not_hold_is_counted(tmp_path: Path) -> None:
    tally = Tally()
    tally.note_missing(image(tmp_path, "a.png", [RICH, RICH], split="val"), frozenset({"category"}))
    assert tally.written().notes == (
        "annotation_id left out: 2 masks", "attributes left out: 2 masks",
        "crop_box left out: 2 masks", "is_crowd left out: 2 masks",
        "point_coords left out: 2 masks", "predicted_iou left out: 2 masks",
        "split left out: 1 image", "stability_score left out: 2 masks",
    )  # fmt: skip
    tally.note("nothing", 0)
    assert len(tally.written().notes) == 8


def test_turned_photographs_are_counted(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 3)).save(tmp_path / "a.jpg", exif=exif)
    tally = Tally()
    note_orientation(named(f"{tmp_path}/a.jpg"), tally)
    note_orientation(image(tmp_path, "b.jpg", []), tally)
    assert tally.written().notes == (
        "labels are those of the upright photograph, EXIF applied: 1 image",
    )


def test_what_is_said_is_written_as_sa_1b_does() -> None:
    assert said_besides(RICH)["crop_box"] == [1.0, 2.0, 8.0, 8.0]
    with pytest.raises(ValueError, match="JSON"):
        to_json({"a": float("inf")})

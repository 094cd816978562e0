"""PNG label maps out and in again: bit for bit where nothing overlaps, and said where it does."""

from pathlib import Path

import numpy as np
import pytest
from form_scene import SIZE, awkward, image, labelled, pixels
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from maskmill.errors import DatasetError
from maskmill.formats.voc_png import read_voc_png
from maskmill.formats.voc_png_writer import voc_colour, write_voc_png


@settings(max_examples=25)
@given(labels=hnp.arrays(np.uint8, SIZE, elements=st.integers(0, 4)))
def test_masks_that_do_not_overlap_come_back_bit_for_bit(
    labels: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("voc")
    numbers = [n for n in range(1, 5) if (labels == n).any()]
    masks = [labelled(labels == n, category=f"class {n % 2}") for n in numbers]
    ours = image(folder / "p", "a.png", masks, split="val")
    written = write_voc_png(folder / "out", [ours])
    assert written.masks == len(masks)
    assert written.notes == ()
    (theirs,) = read_voc_png(folder / "out")
    assert [mask.rle for mask in theirs.annotations] == [mask.rle for mask in masks]
    assert [mask.category for mask in theirs.annotations] == [mask.category for mask in masks]
    assert theirs.split == "val"


def test_where_masks_overlap_the_smaller_lies_on_top_and_it_is_said(tmp_path: Path) -> None:
    masks = [labelled(awkward(kind)) for kind in ("pixel", "full", "frame", "frame")]
    written = write_voc_png(tmp_path / "out", [image(tmp_path / "p", "a.png", masks)])
    assert written.masks == 3
    assert written.notes == (
        "covered whole by others: left out: 1 mask",
        "no category: written as 'object': 4 masks",
        "overlap given to the smaller mask: 2 masks",
    )
    (theirs,) = read_voc_png(tmp_path / "out")
    back = {m.annotation_id: p for m, p in zip(theirs.annotations, pixels(theirs), strict=True)}
    np.testing.assert_array_equal(back[1], awkward("pixel"))
    np.testing.assert_array_equal(back[4], awkward("frame"))
    assert set(back) == {1, 2, 4}


def test_more_than_254_masks_take_16_bits(tmp_path: Path) -> None:
    from dataclasses import replace

    path = tmp_path / "p" / "a.png"
    path.parent.mkdir()
    Image.new("RGB", (30, 20)).save(path)
    masks = []
    for i in range(300):
        mask = np.zeros((20, 30), bool)
        mask.flat[i] = True
        masks.append(labelled(mask, category="dot"))
    ours = replace(image(tmp_path / "p", "a.png", masks), size=(20, 30))
    write_voc_png(tmp_path / "out", [ours])
    with Image.open(tmp_path / "out" / "SegmentationObject" / "a.png") as picture:
        assert picture.mode == "I;16"
    (theirs,) = read_voc_png(tmp_path / "out")
    assert [mask.rle for mask in theirs.annotations] == [mask.rle for mask in masks]


def test_files_are_those_of_voc(tmp_path: Path) -> None:
    images = [image(tmp_path / "p", f"{n}/x.png", [labelled(awkward("pixel"), category="b")])
              for n in "ab"]  # fmt: skip
    write_voc_png(tmp_path / "out", images, categories=["a", "b"])
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert files == {
        "JPEGImages/x.png", "JPEGImages/b_x.png", "SegmentationClass/x.png",
        "SegmentationClass/b_x.png", "SegmentationObject/x.png", "SegmentationObject/b_x.png",
        "ImageSets/Segmentation/default.txt", "labelmap.txt",
    }  # fmt: skip
    assert (tmp_path / "out" / "labelmap.txt").read_text().splitlines()[1:] == [
        "background:0,0,0::", "a:128,0,0::", "b:0,128,0::",
    ]  # fmt: skip
    with Image.open(tmp_path / "out" / "SegmentationClass" / "x.png") as picture:
        assert picture.mode == "P"
        assert picture.convert("RGB").getpixel((3, 7)) == voc_colour(2)


def test_photographs_that_stay_must_differ_in_name(tmp_path: Path) -> None:
    images = [image(tmp_path / "p", f"{n}/x.png", []) for n in "ab"]
    write_voc_png(tmp_path / "one", images[:1], copy_images=False)
    (back,) = read_voc_png(tmp_path / "one", tmp_path / "p" / "a")
    assert back.path == images[0].path
    with pytest.raises(DatasetError, match="two photographs are called x"):
        write_voc_png(tmp_path / "two", images, copy_images=False)

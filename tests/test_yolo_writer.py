"""YOLO out and in again: every pixel, with holes and parts on one line."""

from pathlib import Path

import numpy as np
import pytest
from form_scene import AWKWARD, image, labelled, pixels, rich_images, same_masks
from hypothesis import given, settings
from hypothesis import strategies as st

from maskmill.formats.yolo import read_yolo
from maskmill.formats.yolo_writer import write_yolo


def test_masks_classes_and_splits_come_back_and_the_rest_is_counted(tmp_path: Path) -> None:
    images = rich_images(tmp_path / "photos")
    written = write_yolo(tmp_path / "out", images)
    assert (written.images, written.masks) == (3, 3)
    assert "holes joined to the outline by bridges of no width: 1 mask" in written.notes
    assert "several parts joined by bridges of no width: 1 mask" in written.notes
    assert "no category: written as 'object': 1 mask" in written.notes
    for lost in ("is_crowd", "attributes", "predicted_iou", "point_coords", "crop_box"):
        assert f"{lost} left out: 1 mask" in written.notes
    assert "metadata left out: 1 image" in written.notes
    dataset = read_yolo(tmp_path / "out")
    assert not dataset.refused
    back = {one.path.name: one for one in dataset}
    for ours, name in zip(images, ("photo.jpg", "b_photo.jpg", "c_Photo.png"), strict=True):
        assert back[name].path.read_bytes() == ours.path.read_bytes()
        assert back[name].split == ours.split
        assert same_masks(ours, back[name])
    assert [m.category for m in back["photo.jpg"].annotations] == ["Zürich: a, b", "cat"]
    assert [m.category for m in back["b_photo.jpg"].annotations] == ["object"]


@settings(max_examples=25)
@given(masks=st.lists(AWKWARD, min_size=1, max_size=3))
def test_every_pixel_comes_back(
    masks: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("yolo")
    ours = image(folder / "p", "a.png", map(labelled, masks))
    write_yolo(folder / "out", [ours])
    (theirs,) = read_yolo(folder / "out")
    for a, b in zip(pixels(ours), pixels(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_numbers_of_classes_can_be_fixed_and_odd_splits_are_said(tmp_path: Path) -> None:
    mask = labelled(np.eye(11, 14, dtype=bool), category="b")
    written = write_yolo(
        tmp_path / "out", [image(tmp_path, "a.png", [mask], split="fold 3")],
        categories=["a", "b"], copy_images=False,
    )  # fmt: skip
    assert (tmp_path / "out" / "labels" / "train" / "a.txt").read_text().startswith("1 ")
    assert "split 'fold 3' is none of YOLO's: put into train: 1 image" in written.notes
    assert not (tmp_path / "out" / "images").exists()

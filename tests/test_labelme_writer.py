"""LabelMe out and in again: every pixel, holes and parts included."""

from pathlib import Path

import numpy as np
import pytest
from form_scene import AWKWARD, image, labelled, pixels, rich_images, same_masks
from hypothesis import given, settings
from hypothesis import strategies as st

from maskmill.formats.labelme import read_labelme
from maskmill.formats.labelme_writer import write_labelme


def test_masks_and_labels_come_back_and_the_rest_is_counted(tmp_path: Path) -> None:
    images = rich_images(tmp_path / "photos")
    written = write_labelme(tmp_path / "out", images)
    assert (written.images, written.masks) == (3, 3)
    for note in ("holes joined to the outline by bridges of no width: 1 mask",
                 "several parts written as polygons of one group: 1 mask",
                 "split left out: 3 images", "is_crowd left out: 1 mask"):  # fmt: skip
        assert note in written.notes
    dataset = read_labelme(tmp_path / "out")
    assert not dataset.refused
    back = {one.path.name: one for one in dataset}
    for ours, name in zip(images, ("photo.jpg", "b_photo.jpg", "c_Photo.png"), strict=True):
        assert same_masks(ours, back[name])
    assert [m.category for m in back["photo.jpg"].annotations] == ["Zürich: a, b", "cat"]


@settings(max_examples=25)
@given(masks=st.lists(AWKWARD, min_size=1, max_size=3))
def test_every_pixel_comes_back(
    masks: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("labelme")
    ours = image(folder / "p", "a.png", map(labelled, masks))
    write_labelme(folder / "out", [ours])
    (theirs,) = read_labelme(folder / "out")
    for a, b in zip(pixels(ours), pixels(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_photographs_may_stay_where_they_are(tmp_path: Path) -> None:
    ours = image(tmp_path / "p", "a.png", [])
    write_labelme(tmp_path / "out", [ours], copy_images=False, image_folder=tmp_path / "p")
    (theirs,) = read_labelme(tmp_path / "out", tmp_path / "p")
    assert theirs.path == ours.path

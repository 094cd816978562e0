"""SA-1B out and in again, bit for bit: folder, tar and shards, the same bytes every time."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from form_scene import AWKWARD, awkward, by_id, image, labelled, rich_images
from hypothesis import given, settings
from hypothesis import strategies as st

from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage, read_sa1b
from maskmill.formats.archives import unpack
from maskmill.formats.sa1b_writer import write_sa1b_folder, write_sa1b_tar, write_webdataset


def returned(form: str, images: list[LabelledImage], folder: Path) -> tuple[Any, Any]:
    """Write in a form and read it again."""
    if form == "folder":
        written = write_sa1b_folder(folder / "out", images)
        return written, read_sa1b(folder / "out")
    if form == "tar":
        written = write_sa1b_tar(folder / "out.tar", images)
        unpacked = unpack(folder / "out.tar", folder / "out")
        assert not unpacked.refused
    else:
        written = write_webdataset(folder / "shards", images, images_per_shard=2)
        for shard in sorted((folder / "shards").iterdir()):
            assert not unpack(shard, folder / "out" / shard.stem).refused
    return written, read_sa1b(folder / "out")


@pytest.mark.parametrize("form", ["folder", "tar", "shards"])
def test_everything_that_is_said_comes_back(form: str, tmp_path: Path) -> None:
    images = rich_images(tmp_path / "photos")
    written, dataset = returned(form, images, tmp_path)
    assert (written.images, written.masks) == (3, 3)
    assert not dataset.refused
    back = by_id(dataset)
    for ours in images:
        theirs = back[ours.image_id]
        assert theirs.path.read_bytes() == ours.path.read_bytes()
        assert theirs == replace(ours, path=theirs.path)


@settings(max_examples=25)
@given(masks=st.lists(AWKWARD, max_size=4), form=st.sampled_from(["folder", "tar"]))
def test_masks_come_back_bit_for_bit(
    masks: list[np.ndarray], form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sa1b")
    ours = image(folder, "a.png", map(labelled, masks))
    _, (theirs,) = returned(form, [ours], folder)
    assert [mask.rle for mask in theirs.annotations] == [mask.rle for mask in ours.annotations]


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    images = rich_images(tmp_path)
    for name in ("one", "two"):
        write_webdataset(tmp_path / name, images, images_per_shard=2)
    names = [path.name for path in sorted((tmp_path / "one").iterdir())]
    assert names == ["shard-000000.tar", "shard-000001.tar"]
    for name in names:
        data = (tmp_path / "one" / name).read_bytes()
        assert data == (tmp_path / "two" / name).read_bytes()
    with tarfile.open(tmp_path / "one" / names[0]) as tar:
        assert tar.getnames() == ["photo.jpg", "photo.json", "b_photo.jpg", "b_photo.json"]


def test_keys_of_shards_have_no_dots_of_their_own(tmp_path: Path) -> None:
    images = [image(tmp_path, name, []) for name in ("a.b.png", "a_b.png", "a.b.jpg")]
    write_sa1b_tar(tmp_path / "a.tar", images)
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
    assert all(name.count(".") == 1 for name in names)
    assert len({name.casefold() for name in names}) == 6


def test_what_is_not_there_is_left_out_and_never_null(tmp_path: Path) -> None:
    write_sa1b_folder(tmp_path / "out", [image(tmp_path, "a.png", [labelled(awkward("pixel"))])])
    (annotation,) = json.loads((tmp_path / "out" / "a.json").read_text())["annotations"]
    assert set(annotation) == {"id", "segmentation", "area", "bbox"}
    assert annotation["bbox"] == [3, 7, 1, 1]


def test_ids_that_two_masks_share_are_made_anew(tmp_path: Path) -> None:
    masks = [labelled(awkward("pixel"), annotation_id=i) for i in (2, 2, None, "a", 5)]
    written = write_sa1b_folder(tmp_path / "out", [image(tmp_path, "a.png", masks)])
    assert written.notes == ("annotation_id taken by another mask: numbered anew: 1 mask",)
    (back,) = read_sa1b(tmp_path / "out")
    assert [mask.annotation_id for mask in back.annotations] == [2, 1, 3, "a", 5]


def test_photographs_may_stay_where_they_are(tmp_path: Path) -> None:
    images = rich_images(tmp_path / "photos")
    write_sa1b_folder(tmp_path / "out", images, copy_images=False, image_folder=tmp_path / "photos")
    dataset = read_sa1b(tmp_path / "out")
    assert len(dataset.refused) == 3
    from maskmill.formats import stream_sa1b

    back = [one for one in stream_sa1b(tmp_path / "out", tmp_path / "photos")]
    assert {one.path for one in back} == {one.path for one in images}


def test_a_missing_photograph_and_an_empty_shard_are_said(tmp_path: Path) -> None:
    gone = replace(image(tmp_path, "a.png", []), path=tmp_path / "gone.png")
    for write in (write_sa1b_folder, write_sa1b_tar, write_webdataset):
        with pytest.raises(DatasetError, match="gone"):
            write(tmp_path / "out", [gone])
        assert not [path for path in tmp_path.rglob("*.tar")]
    with pytest.raises(ValueError, match="images_per_shard is 0"):
        write_webdataset(tmp_path / "out", [], images_per_shard=0)

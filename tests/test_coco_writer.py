"""COCO out and in again, bit for bit; and read and evaluated by pycocotools."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from form_scene import AWKWARD, awkward, by_id, image, labelled, rich_images
from hypothesis import given, settings
from hypothesis import strategies as st

from maskmill.errors import DatasetError, MaskError
from maskmill.formats import read_coco
from maskmill.formats.coco_writer import write_coco
from maskmill.rle import Rle


@pytest.mark.parametrize("copy", [True, False])
def test_everything_that_is_said_comes_back(copy: bool, tmp_path: Path) -> None:
    images = rich_images(tmp_path / "photos")
    out = tmp_path / "out" / "set.json"
    written = write_coco(out, images, copy_images=copy, image_folder=tmp_path / "photos")
    assert (written.images, written.masks) == (3, 3)
    dataset = read_coco(out, None if copy else tmp_path / "photos")
    assert not dataset.refused
    back = by_id(dataset)
    for ours in images:
        theirs = back[ours.image_id]
        assert theirs.path.read_bytes() == ours.path.read_bytes()
        assert theirs == replace(ours, path=theirs.path)
    assert written.notes == (("photograph renamed: 2 images",) if copy else ())
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == ({"set.json", "photo.jpg", "b_photo.jpg", "c_Photo.png"} if copy
                     else {"set.json"})  # fmt: skip


@settings(max_examples=25)
@given(masks=st.lists(AWKWARD, max_size=5))
def test_masks_come_back_bit_for_bit(
    masks: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("coco")
    ours = image(folder, "a.png", map(labelled, masks))
    written = write_coco(folder / "a.json", [ours])
    (theirs,) = read_coco(folder / "a.json")
    assert [mask.rle for mask in theirs.annotations] == [mask.rle for mask in ours.annotations]
    assert written.masks == len(masks)


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_pycocotools_loads_and_evaluates_it(tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    out = tmp_path / "out.json"
    write_coco(out, rich_images(tmp_path), copy_images=True)
    truth = COCO(str(out))
    assert sorted(truth.getImgIds()) == [1, 17, 18]
    for annotation in truth.loadAnns(truth.getAnnIds()):
        assert truth.annToMask(annotation).sum() == annotation["area"]
    results = [
        {key: a[key] for key in ("image_id", "category_id", "segmentation")} | {"score": 0.9}
        for a in truth.loadAnns(truth.getAnnIds())
    ]
    found = truth.loadRes(results)
    evaluation = COCOeval(truth, found, "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_numbers_of_images_are_kept_where_they_are_free(tmp_path: Path) -> None:
    ids = ["7", "x", "7", "1", "007", "99999999999999999999"]
    images = [image(tmp_path, f"{i}.png", [], image_id=one) for i, one in enumerate(ids)]
    write_coco(tmp_path / "a.json", images)
    entries = json.loads((tmp_path / "a.json").read_text())["images"]
    assert [entry["id"] for entry in entries] == [7, 1, 2, 3, 4, 5]
    assert [image.image_id for image in read_coco(tmp_path / "a.json")] == ids


def test_names_and_categories_do_not_clash(tmp_path: Path) -> None:
    mask = awkward("pixel")
    masks = [labelled(mask), labelled(mask, category="object"), labelled(mask, category="a")]
    write_coco(tmp_path / "a.json", [image(tmp_path, "a.png", masks)], categories=["a", "b"])
    record = json.loads((tmp_path / "a.json").read_text())
    assert [category["name"] for category in record["categories"]] == [
        "a", "b", "object without category", "object",
    ]  # fmt: skip
    assert [m.category for m in read_coco(tmp_path / "a.json")[0].annotations] == [
        None, "object", "a",
    ]  # fmt: skip


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    out.write_text("old")
    good = image(tmp_path / "p", "a.png", [labelled(awkward("pixel"))])
    bad = replace(good, annotations=(labelled(awkward("pixel"), predicted_iou=float("nan")),))
    gone = replace(good, path=tmp_path / "gone.png")
    malformed = replace(good, annotations=(replace(good.annotations[0], rle=Rle((2, 2), b"9")),))
    for wrong, error in ((bad, ValueError), (gone, DatasetError), (malformed, MaskError)):
        with pytest.raises(error):
            write_coco(out, [good, wrong], copy_images=True)
        assert out.read_text() == "old"
    outside = replace(good, path=Path("/elsewhere/a.png"))
    with pytest.raises(DatasetError, match="copy the photographs"):
        write_coco(out, [outside])
    assert not [path for path in tmp_path.rglob("*.part")]


def test_nothing_is_a_dataset_too(tmp_path: Path) -> None:
    assert write_coco(tmp_path / "a.json", []).images == 0
    assert len(read_coco(tmp_path / "a.json")) == 0

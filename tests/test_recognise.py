"""Recognising a dataset's form, and what is said when there is none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError, NotFound
from maskmill.formats import read_dataset

SIZE = (6, 9)
MASK = rle.encode(np.eye(*SIZE, dtype=bool)).to_json()


def write_sa1b_image(folder: Path, name: str, **image: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(folder / f"{name}.jpg")
    info = {"image_id": name, "file_name": f"{name}.jpg", "width": 9, "height": 6} | image
    record = {"image": info, "annotations": [{"id": 1, "segmentation": MASK}]}
    (folder / f"{name}.json").write_text(json.dumps(record))


def write_coco(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(path.parent / "a.jpg")
    images = [{"id": 3, "file_name": "a.jpg", "height": 6, "width": 9}]
    annotations = [{"id": 1, "image_id": 3, "segmentation": MASK}]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def test_an_sa1b_folder_is_recognised_behind_other_json(tmp_path: Path) -> None:
    write_sa1b_image(tmp_path / "cats", "b", split="val")
    (tmp_path / "about.json").write_text('{"name": "cats"}')
    dataset = read_dataset(tmp_path)
    assert [image.image_id for image in dataset] == ["b"]
    assert [refused.path.name for refused in dataset.refused] == ["about.json"]
    with pytest.raises(DatasetError, match="no labelled image with split test and sources cats"):
        read_dataset(tmp_path, split="test", sources=["cats"])


def test_a_coco_file_is_read_by_itself(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "train2017.json")
    assert [(image.image_id, image.split) for image in read_dataset(path)] == [("3", "train")]


def test_a_folder_of_coco_files_is_one_dataset(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_coco(tmp_path / split / "_annotations.coco.json")
    dataset = read_dataset(tmp_path)
    assert [(image.source, image.split) for image in dataset] == [
        ("train", "train"),
        ("valid", "val"),
    ]
    assert [image.source for image in read_dataset(tmp_path, split="val")] == ["valid"]
    assert [image.source for image in read_dataset(tmp_path, sources=["train"])] == ["train"]


def test_two_files_about_one_photograph_are_not_mixed(tmp_path: Path) -> None:
    write_coco(tmp_path / "instances.json")
    write_coco(tmp_path / "keypoints.json")
    with pytest.raises(DatasetError, match="name the one to read"):
        read_dataset(tmp_path)


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(DatasetError, match="holds no dataset"):
        read_dataset(tmp_path)
    with pytest.raises(NotFound, match="does not exist"):
        read_dataset(tmp_path / "nowhere")


@pytest.mark.data
def test_labelled_photographs_are_read_whole(test_data: Path) -> None:
    dataset = read_dataset(test_data / "natural", split="val", sources=["heads", "fire_trucks"])
    assert {image.source for image in dataset} == {"heads", "fire_trucks"}
    assert (len(dataset), sum(len(i.annotations) for i in dataset)) == (14, 14)
    assert not dataset.refused

"""Datumaro's JSON: polygons, masks, attributes, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.datumaro import read_datumaro

SIZE = (20, 30)
POLYGON = {"id": 1, "type": "polygon", "label_id": 1, "points": [5, 4, 15, 4, 15, 12, 5, 12]}


def square() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[4:12, 5:15] = True
    return mask


def write(folder: Path, annotations: list[Any], **item: Any) -> Path:
    (folder / "images" / "train").mkdir(parents=True)
    (folder / "annotations").mkdir()
    Image.new("RGB", SIZE[::-1]).save(folder / "images" / "train" / "a.jpg")
    entry = {"id": "a", "annotations": annotations, "attr": {"frame": 3},
             "image": {"path": "a.jpg", "size": list(SIZE)}} | item  # fmt: skip
    labels = {"label": {"labels": [{"name": "cat", "parent": ""}, {"name": "dög"}]}}
    record = {"info": {}, "items": [entry], "categories": labels}
    path = folder / "annotations" / "train.json"
    path.write_text(json.dumps(record, ensure_ascii=False))
    return path


def test_polygons_and_masks_are_read(tmp_path: Path) -> None:
    runs = rle.encode(square()).to_json()
    attributes = {"is_crowd": True, "occluded": False}
    write(tmp_path, [POLYGON, {"id": 2, "type": "mask", "rle": runs, "attributes": attributes}])
    (image,) = read_datumaro(tmp_path)
    assert (image.image_id, image.split, image.metadata) == ("a", "train", {"frame": 3})
    first, second = image.annotations
    for mask in (first, second):
        np.testing.assert_array_equal(rle.decode(mask.rle), square())
    assert (first.category, second.category, second.is_crowd) == ("dög", None, True)
    assert second.attributes == {"occluded": False}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"type": "bbox", "bbox": [1, 2, 3, 4]}, "covers no pixels"),
        (POLYGON | {"label_id": 2}, "not among the 2"),
        (POLYGON | {"label_id": True}, "not among"),
        (POLYGON | {"points": [1, 2]}, "three points"),
        ({"type": "mask", "rle": {"size": [9, 9], "counts": "Q2"}}, "annotation None"),
        (7, "not an object"),
    ],
)
def test_a_bad_annotation_is_refused_and_the_others_are_read(
    entry: Any, reason: str, tmp_path: Path
) -> None:
    dataset = read_datumaro(write(tmp_path, [entry, POLYGON]))
    assert len(dataset[0].annotations) == 1
    assert reason in dataset.refused[0].reason


@pytest.mark.parametrize(
    "item", [{"image": None}, {"image": {"path": "../a.jpg"}}, {"image": {"path": "b.jpg"}},
             {"image": {"path": "a.jpg", "size": [21, 30]}}, {"attr": {"x": float("nan")}}]
)  # fmt: skip
def test_a_bad_item_is_refused(item: dict[str, Any], tmp_path: Path) -> None:
    dataset = read_datumaro(write(tmp_path, [POLYGON], **item))
    assert not dataset.images
    assert len(dataset.refused) == 1


def test_a_size_that_is_missing_is_the_photographs(tmp_path: Path) -> None:
    path = write(tmp_path, [POLYGON], image={"path": "a.jpg"})
    assert read_datumaro(path, tmp_path / "images" / "train")[0].size == SIZE


def test_another_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"images": []}')
    with pytest.raises(DatasetError, match="not Datumaro"):
        read_datumaro(tmp_path)

"""COCO JSON: run lengths, polygons, crowds, damage, and where the photographs are."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage, read_coco, stream_coco

SIZE = (8, 11)
SQUARE = [2, 1, 6, 1, 6, 4, 2, 4]


def square_mask() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[1:4, 2:6] = True
    return mask


def image_info(identity: Any = 3, **changes: Any) -> dict[str, Any]:
    return {"id": identity, "file_name": "a.jpg", "height": SIZE[0], "width": SIZE[1]} | changes


def annotation(identity: int = 1, **changes: Any) -> dict[str, Any]:
    return {"id": identity, "image_id": 3, "category_id": 18, "segmentation": [SQUARE]} | changes


def write_coco(
    path: Path, annotations: list[Any], images: list[Any] | None = None, photograph: str = "a.jpg"
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(path.parent / photograph)
    record = {
        "images": [image_info()] if images is None else images,
        "annotations": annotations,
        "categories": [{"id": 18, "name": "dog"}],
    }
    path.write_text(json.dumps(record))
    return path


def test_polygons_and_both_kinds_of_run_lengths_agree(tmp_path: Path) -> None:
    compressed = rle.encode(square_mask()).to_json()
    columns = square_mask().T.ravel()
    edges = np.flatnonzero(np.diff(columns)) + 1
    runs = np.diff([0, *edges, columns.size]).tolist()
    path = write_coco(tmp_path / "set.json", [
        annotation(1),
        annotation(2, segmentation=compressed, iscrowd=1),
        annotation(3, segmentation={"size": list(SIZE), "counts": runs}),
    ])  # fmt: skip
    dataset = read_coco(path)
    assert not dataset.refused
    (image,) = dataset
    assert (image.image_id, image.size, image.path) == ("3", SIZE, tmp_path / "a.jpg")
    for mask in image.annotations:
        np.testing.assert_array_equal(rle.decode(mask.rle), square_mask())
        assert mask.category == "dog"
    assert [mask.is_crowd for mask in image.annotations] == [False, True, False]


def test_parts_of_one_object_are_united(tmp_path: Path) -> None:
    other = [4, 2, 9, 2, 9, 7, 4, 7]
    path = write_coco(tmp_path / "set.json", [annotation(segmentation=[SQUARE, other])])
    (image,) = read_coco(path)
    expected = square_mask()
    expected[2:7, 4:9] = True
    np.testing.assert_array_equal(rle.decode(image.annotations[0].rle), expected)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_id": 99}, "its image 99 is not there"),
        ({"image_id": None}, "its image None is not there"),
        ({"image_id": [3]}, "is not there"),
        ({"category_id": 5}, "its category 5 is not among"),
        ({"category_id": {}}, "is not among"),
        ({"segmentation": []}, "no polygon"),
        ({"segmentation": None}, "no polygon"),
        ({"segmentation": [[1, 2, 3, 4]]}, "three points or more"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "three points or more"),
        ({"segmentation": [[0, 0, float("nan"), 5, 5, 5]]}, "not within"),
        ({"segmentation": [[0, 0, 1e308, 5, 5, 5]]}, "not within"),
        ({"segmentation": [[0, 0, 10**400, 5, 5, 5]]}, "not within"),
        ({"segmentation": [[0, 0, "9", 5, 5, 5]]}, "not a number"),
        ({"segmentation": [[-9, -9, -3, -9, -3, -3]]}, "an empty mask"),
        ({"segmentation": {"size": [8, 11], "counts": [-1, 89]}}, "annotation 1"),
        ({"segmentation": {"size": [11, 8], "counts": [44, 44]}}, "not the image's"),
    ],
)
def test_a_bad_annotation_is_refused_and_the_others_are_read(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    path = write_coco(tmp_path / "set.json", [annotation(1, **change), annotation(2), 5])
    dataset = read_coco(path)
    assert [mask.annotation_id for mask in dataset[0].annotations] == [2]
    reasons = [refused.reason for refused in dataset.refused]
    assert len(reasons) == 2
    assert "not an object" in " ".join(reasons)
    assert reason in " ".join(reasons)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 1e308}, {"height": -8}, {"height": None}, {"file_name": "../a.jpg"},
        {"file_name": "gone.jpg"}, {"file_name": "/etc/passwd"}, {"id": None}, {"id": 3},
        {"id": 1.5}, {"file_name": "x" * 5000},
    ],
)  # fmt: skip
def test_a_bad_image_is_refused_and_the_others_are_read(
    change: dict[str, Any], tmp_path: Path
) -> None:
    images = [image_info(), image_info(4, **change), 7]
    path = write_coco(tmp_path / "set.json", [annotation()], images)
    dataset = read_coco(path)
    assert [image.image_id for image in dataset] == ["3"]
    assert len(dataset.refused) == 2


@pytest.mark.parametrize("record", [[], {"images": []}, {"images": {}, "annotations": []}, 4])
def test_what_is_not_coco_is_refused(record: Any, tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text(json.dumps(record))
    with pytest.raises(DatasetError, match=r"not COCO|holds no JSON object"):
        read_coco(path)


@pytest.mark.parametrize("place", ["images", "../images", "../val2017", "../images/val2017", "."])
def test_photographs_are_found_in_the_usual_places(place: str, tmp_path: Path) -> None:
    path = write_coco(tmp_path / "annotations" / "instances_val2017.json", [annotation()])
    folder = path.parent / place
    folder.mkdir(parents=True, exist_ok=True)
    (path.parent / "a.jpg").rename(folder / "a.jpg")
    (image,) = read_coco(path)
    assert image.path.resolve() == (folder / "a.jpg").resolve()
    assert image.split == "val"
    assert read_coco(path, folder)[0].path == folder / "a.jpg"


def test_without_photographs_the_next_step_is_said(tmp_path: Path) -> None:
    path = write_coco(tmp_path / "set.json", [annotation()], photograph="b.jpg")
    with pytest.raises(DatasetError, match="name the folder that holds them"):
        read_coco(path)


def test_what_is_said_besides_is_kept(tmp_path: Path) -> None:
    mask = annotation(
        predicted_iou=0.5, stability_score=1, point_coords=[[1, 2]], crop_box=[1, 2, 3, 4],
        attributes={"occluded": True}, score=0.25, area=12, bbox=[0, 0, 1, 1],
    )  # fmt: skip
    info = image_info(license=4, date_captured="2017", group="g", split="val")
    path = write_coco(tmp_path / "set.json", [mask], [info])
    record = json.loads(path.read_text()) | {"licenses": [{"id": 4, "name": "CC0", "url": "u"}]}
    path.write_text(json.dumps(record))
    (image,) = read_coco(path)
    assert (image.licence, image.group, image.split) == ("CC0", "g", "val")
    assert image.metadata == {"date_captured": "2017"}
    (read,) = image.annotations
    assert (read.predicted_iou, read.stability_score) == (0.5, 1.0)
    assert (read.point_coords, read.crop_box) == (((1.0, 2.0),), (1.0, 2.0, 4.0, 6.0))
    assert read.attributes == {"occluded": True, "score": 0.25}


HOSTILE = [
    '{"id": 2, "image_id": 3, "segmentation": DEEP}',
    '{"id": 2, "id": 4, "image_id": 3, "segmentation": []}',
    '{"id": 2, "image_id": 3, "segmentation": {"size": [8, 11], "size": [8, 11], "counts": ""}}',
    '{"id": 2, "image_id": 3, "predicted_iou": NaN, "segmentation": SQUARE}',
    '{"id": 2, "image_id": 3, "score": Infinity, "segmentation": SQUARE}',
    '{"id": 2, "image_id": 3, "note": "\\ud800", "segmentation": SQUARE}',
    '{"id": 2, "image_id": 9223372036854775808, "segmentation": []}',
    '{"id": 2, "image_id": LONG, "segmentation": []}',
    '{"id": 2, "image_id": -3, "segmentation": []}',
    '{"id": 1, "image_id": 3, "segmentation": SQUARE}',
    '{"id": 2, "image_id": 3, "segmentation": {"size": [8, 11], "counts": "\u00e9"}}',
    '{"id": 2, "image_id": 3, "category_id": 18, "segmentation": {"size": [1e308, 11]}}',
    "null", "[]", "NaN", '"x"',
]  # fmt: skip


@pytest.mark.parametrize("entry", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_annotation_is_refused_by_itself(entry: str, tmp_path: Path) -> None:
    path = write_coco(tmp_path / "set.json", ["first", "hostile", "last"])
    good = [json.dumps(annotation(i)) for i in (1, 7)]
    text = path.read_text().replace('"first"', good[0]).replace('"last"', good[1])
    for word, meaning in (("SQUARE", json.dumps([SQUARE])), ("LONG", "9" * 5000),
                          ("DEEP", "[" * 100_000 + "]" * 100_000)):  # fmt: skip
        entry = entry.replace(word, meaning)
    path.write_text(text.replace('"hostile"', entry))
    dataset = read_coco(path)
    assert [mask.annotation_id for mask in dataset[0].annotations] == [1, 7]
    assert len(dataset.refused) == 1
    assert len(dataset.refused[0].reason) < 400


@pytest.mark.parametrize("cut", [10, 60, 200, 300])
def test_a_file_that_is_cut_short_is_refused_whole(cut: int, tmp_path: Path) -> None:
    path = write_coco(tmp_path / "set.json", [annotation(i) for i in range(9)])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DatasetError, match="not JSON: byte"):
        read_coco(path)


def test_reading_streams_and_memory_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of many blocks is read with less memory than its own text takes four times."""
    monkeypatch.setattr("maskmill.formats.json_stream.BLOCK", 1 << 20)
    monkeypatch.setattr("maskmill.formats.json_stream.RUN", 1 << 16)
    monkeypatch.setattr("maskmill.formats.coco.BATCH", 125)
    mask = rle.encode(square_mask()).to_json()
    images = [image_info(i) for i in range(250)]
    notes = [annotation(i, image_id=i % 250, segmentation=mask) for i in range(5_000)]
    path = write_coco(tmp_path / "set.json", notes, images)
    tracemalloc.start()
    count = sum(len(item.annotations) for item in stream_coco(path)
                if isinstance(item, LabelledImage))  # fmt: skip
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5_000
    assert peak < 4 * path.stat().st_size

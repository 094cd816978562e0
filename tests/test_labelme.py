"""LabelMe: every kind of shape, groups and holes, names of photographs, damage."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.labelme import read_labelme

SIZE = (20, 30)
SQUARE = [[5, 4], [15, 4], [15, 12], [5, 12]]


def png(mask: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def shape(points: Any = SQUARE, **more: Any) -> dict[str, Any]:
    return {"label": "cat", "points": points, "group_id": None, "shape_type": "polygon",
            "flags": {}} | more  # fmt: skip


def write_labelme(folder: Path, listed: list[Any], name: str = "a", **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(folder / f"{name}.jpg")
    record = {"version": "5.5.0", "flags": {}, "shapes": listed, "imagePath": f"{name}.jpg",
              "imageData": "A" * 50, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}  # fmt: skip
    record |= more
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record))
    return path


def square() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[4:12, 5:15] = True
    return mask


def masks(folder: Path) -> list[np.ndarray]:
    dataset = read_labelme(folder)
    assert not dataset.refused, dataset.refused
    return [rle.decode(mask.rle) for mask in dataset[0].annotations]


def test_the_kinds_of_shape_that_cover_pixels(tmp_path: Path) -> None:
    small = np.ones((8, 10), bool)
    write_labelme(tmp_path, [
        shape(), shape(flags={"occluded": True}, description="behind a tree"),
        shape([[15, 12], [5, 4]], shape_type="rectangle"),
        shape(SQUARE, shape_type="rectangle"),
        shape([[5, 4], [14, 11]], shape_type="mask", mask=png(small)),
        shape([[10, 10], [10, 14]], shape_type="circle"),
    ])  # fmt: skip
    *squares, disc = masks(tmp_path)
    for mask in squares:
        np.testing.assert_array_equal(mask, square())
    assert abs(disc.sum() - np.pi * 16) < 4
    assert disc[6:14, 6:14].sum() == disc.sum()
    image = read_labelme(tmp_path)[0]
    assert image.annotations[1].attributes == {"occluded": True, "description": "behind a tree"}
    assert image.annotations[0].category == "cat"


def test_a_group_is_one_object_and_its_holes_are_cut_out(tmp_path: Path) -> None:
    hole = [[7, 6], [9, 6], [9, 8], [7, 8]]
    other = [[20, 1], [25, 1], [25, 3], [20, 3]]
    write_labelme(tmp_path, [
        shape(group_id=1), shape(label="dog", group_id=1), shape(other, group_id=1),
        shape(hole, group_id=1, flags={"hole": True}), shape(other),
    ])  # fmt: skip
    first, dog, alone = masks(tmp_path)
    expected = square()
    expected[1:3, 20:25] = True
    expected[6:8, 7:9] = False
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(dog, square())
    assert alone.sum() == 10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shape_type": "linestrip"}, "covers no pixels"),
        ({"shape_type": "point", "points": [[1, 1]]}, "covers no pixels"),
        ({"shape_type": {}}, "covers no pixels"),
        ({"points": [[1, 1], [2, 2]]}, "three points"),
        ({"points": [[1, 1], [2, "x"], [3, 3]]}, "y is 'x'"),
        ({"points": [[1, 1], [2, float("nan")], [3, 3]]}, "y is nan"),
        ({"points": [[1, 1], [2, 1e308], [3, 3]]}, "y is"),
        ({"points": [[1, 1], [2, 1e9], [3, 3]]}, "not within"),
        ({"points": None}, "expected a list"),
        ({"points": [[900, 900], [901, 900], [901, 901]]}, "an empty mask"),
        ({"shape_type": "mask", "points": [[5, 4], [14, 11]]}, "without its PNG"),
        ({"shape_type": "mask", "points": [[5, 4], [44, 11]], "mask": ""}, "not inside"),
        ({"shape_type": "mask", "points": [[5, 4], [14, 11]], "mask": "!!"}, "damaged"),
        ({"shape_type": "mask", "points": [[5, 4], [14, 11]], "mask": "aaaa"}, "damaged"),
        ({"shape_type": "mask", "points": [[5, 4], [14, 11]],
          "mask": png(np.ones((3, 3), bool))}, "its points say otherwise"),
        ({"flags": {"x": float("nan")}}, "what it says besides"),
        ({"label": "\ud800"}, "not Unicode"),
    ],
)  # fmt: skip
def test_a_bad_shape_is_refused_and_the_others_are_read(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    write_labelme(tmp_path, [shape(**change), shape(), 7])
    dataset = read_labelme(tmp_path)
    assert len(dataset[0].annotations) == 1
    assert "shape 2: not an object" in dataset.refused[0].reason
    assert reason in dataset.refused[1].reason
    assert dataset.refused[1].reason.startswith("shape 0: ")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"imagePath": "../a.jpg"}, "leads out"),
        ({"imagePath": "gone.jpg"}, "missing"),
        ({"imagePath": None}, "not a file's name"),
        ({"imageHeight": 1e308}, "height is"),
        ({"imageHeight": 21}, "its labels were drawn for 30x21"),
        ({"version": 1, "shapes": {}}, "not in LabelMe"),
    ],
)
def test_a_bad_file_is_refused_and_the_others_are_read(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    bad = write_labelme(tmp_path, [shape()], "a", **change)
    write_labelme(tmp_path, [shape()], "b")
    dataset = read_labelme(tmp_path)
    assert [image.image_id for image in dataset] == ["b"]
    (refused,) = dataset.refused
    assert refused.path == bad
    assert reason in refused.reason


def test_a_size_that_is_missing_is_the_photographs(tmp_path: Path) -> None:
    write_labelme(tmp_path, [shape()], imageHeight=None, imageWidth=None)
    np.testing.assert_array_equal(masks(tmp_path)[0], square())


def test_photographs_elsewhere_are_found_by_the_last_part_of_their_name(tmp_path: Path) -> None:
    write_labelme(tmp_path / "photos", [shape()])
    (tmp_path / "labels").mkdir()
    record = json.loads((tmp_path / "photos" / "a.json").read_text())
    record["imagePath"] = "..\\photos\\a.jpg"
    (tmp_path / "labels" / "a.json").write_text(json.dumps(record))
    assert "leads out" in read_labelme(tmp_path / "labels").refused[0].reason
    (image,) = read_labelme(tmp_path / "labels", tmp_path / "photos")
    assert image.path == tmp_path / "photos" / "a.jpg"


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a folder"):
        read_labelme(tmp_path / "gone")

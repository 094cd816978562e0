"""YOLO segmentation: data.yaml in its many spellings, outlines, boxes and damage."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.yolo import labels_of, read_yolo

SIZE = (20, 50)
SQUARE = "1 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6"  # x 5 to 15, y 4 to 12


def write_photograph(path: Path, labels: str | None = SQUARE, **save: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(path, **save)
    if labels is not None:
        text = labels_of(path)
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(labels)


def square() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[4:12, 5:15] = True
    return mask


@pytest.mark.parametrize(
    ("yaml", "folders"),
    [
        ("train: images/train\nval: images/val\nnames: [cat, dog]",
         ("images/train", "images/val")),
        ("train: ../train/images\nval: ../valid/images\nnames: {0: cat, 1: dog}",
         ("train/images", "valid/images")),
        ("path: /home/somebody/set\ntrain: [images/train]\nval: val.txt\nnames: [cat, dog]",
         ("images/train", "images/other")),
        ("path: deep\ntrain: images/a\nval: images/b\nnames: [cat, dog]",
         ("deep/images/a", "deep/images/b")),
    ],
)  # fmt: skip
def test_splits_and_names_are_those_of_data_yaml(
    yaml: str, folders: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "data.yaml").write_text(yaml)
    (tmp_path / "val.txt").write_text("./images/other/b.png\n\n")
    write_photograph(tmp_path / folders[0] / "a.jpg", SQUARE + "\n\n")
    write_photograph(tmp_path / folders[1] / "b.png")
    for path in (tmp_path, tmp_path / "data.yaml"):
        dataset = read_yolo(path)
        assert not dataset.refused
        assert {(image.split, image.path.name) for image in dataset} == {
            ("train", "a.jpg"), ("val", "b.png"),
        }  # fmt: skip
        for image in dataset:
            (mask,) = image.annotations
            assert (image.size, mask.category) == (SIZE, "dog")
            np.testing.assert_array_equal(rle.decode(mask.rle), square())


def test_without_data_yaml_folders_say_the_split_and_numbers_the_class(tmp_path: Path) -> None:
    write_photograph(tmp_path / "images" / "valid" / "a.jpg")
    write_photograph(tmp_path / "images" / "train" / "a.jpg", None)
    first, second = read_yolo(tmp_path)
    assert (first.split, first.annotations, first.image_id) == ("train", (), "images/train/a.jpg")
    assert (second.split, second.annotations[0].category) == ("val", "1")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1 0.5 0.5 0.1 0.1", "a box"),
        ("7 0.1 0.2 0.3 0.2 0.3 0.6", "class 7 is not among the 2"),
        ("-1 0.1 0.2 0.3 0.2 0.3 0.6", "class -1"),
        ("1.5 0.1 0.2 0.3 0.2 0.3 0.6", "not a class"),
        ("cat 0.1 0.2 0.3 0.2 0.3 0.6", "not a class"),
        ("1 0.1 0.2 0.3 0.2 0.3 nan", "no share"),
        ("1 0.1 0.2 0.3 0.2 0.3 1e308", "no share"),
        ("1 10 20 30 20 30 60", "no share"),
        ("1 0.1 0.2 0.3 0.2 0.3 0.6 0.1", "three points or more"),
        ("1 0.1 0.2", "three points or more"),
        ("1 0.1 0.2 0.1 0.2 0.1 0.2", "an empty mask"),
        ("1", "three points or more"),
    ],
)
def test_a_bad_line_is_refused_and_the_others_are_read(
    line: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat, dog]")
    write_photograph(tmp_path / "images" / "a.jpg", f"{line}\n{SQUARE}\n")
    dataset = read_yolo(tmp_path)
    assert len(dataset[0].annotations) == 1
    (refused,) = dataset.refused
    assert refused.path == tmp_path / "labels" / "a.txt"
    assert refused.reason.startswith("line 1: ")
    assert reason in refused.reason


@pytest.mark.parametrize(
    "yaml",
    ["train: ../../etc\nnames: [a]", "train: /etc\nnames: [a]", "train: images/none", "[1]",
     "a: [", "train: images\nnames: 5", "train: 7\nnames: [a]", "\x00", "&a [*a]", "names: [a]"],
)  # fmt: skip
def test_a_hostile_data_yaml_is_refused(yaml: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(yaml)
    write_photograph(tmp_path / "images" / "a.jpg")
    with pytest.raises(DatasetError):
        read_yolo(tmp_path)


def test_entities_that_grow_are_not_expanded(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{n}: &{n} [{', '.join([f'*{chr(ord(n) - 1)}'] * 9)}]" for n in "bcdefghijkl"]
    (tmp_path / "data.yaml").write_text("\n".join([*lines, "train: images", "names: *l"]))
    write_photograph(tmp_path / "images" / "a.jpg")
    with pytest.raises(DatasetError, match="no name of a class"):
        read_yolo(tmp_path)
    (tmp_path / "data.yaml").write_text("\n".join([*lines, "path: *l", "train: *l", "names: [a]"]))
    with pytest.raises(DatasetError, match="no folder"):
        read_yolo(tmp_path)


def test_an_unreadable_photograph_or_label_file_is_refused(tmp_path: Path) -> None:
    write_photograph(tmp_path / "images" / "a.jpg")
    write_photograph(tmp_path / "images" / "b.jpg")
    write_photograph(tmp_path / "images" / "c.jpg")
    (tmp_path / "images" / "a.jpg").write_bytes(b"none")
    (tmp_path / "labels" / "b.txt").write_bytes(b"\xff\xfe")
    dataset = read_yolo(tmp_path)
    assert [image.path.name for image in dataset] == ["c.jpg"]
    assert ["cannot be read" in r.reason for r in dataset.refused] == [True, False]
    assert "not UTF-8" in dataset.refused[1].reason


def test_photographs_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("train: gone\nnames: [cat, dog]")
    write_photograph(tmp_path / "else" / "images" / "a.jpg")
    (image,) = read_yolo(tmp_path, tmp_path / "else" / "images")
    assert image.annotations[0].category == "dog"


def test_labels_are_on_the_upright_photograph(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    write_photograph(tmp_path / "images" / "a.jpg", exif=exif)
    (image,) = read_yolo(tmp_path)
    assert image.size == SIZE[::-1]
    assert rle.box(image.annotations[0].rle) == (2, 10, 6, 30)


def test_a_folder_of_two_splits_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [cat, dog]")
    write_photograph(tmp_path / "images" / "a.jpg")
    (image,) = read_yolo(tmp_path)
    assert image.split == "train"

"""PNG label maps: palettes, 16 bits, colours, classes alone, objects alone, damage."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats.voc_png import read_voc_png

OBJECTS = np.zeros((6, 9), np.uint8)
OBJECTS[1:3, 1:4], OBJECTS[3:5, 5:8], OBJECTS[0, 8] = 1, 2, 255
CLASSES = np.where(OBJECTS == 1, 8, np.where(OBJECTS == 2, 15, OBJECTS)).astype(np.uint8)


def write(folder: Path, name: str = "a", *, photograph: bool = True, **maps: Image.Image) -> None:
    for kind, picture in maps.items():
        path = folder / f"Segmentation{kind}" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    (folder / "JPEGImages").mkdir(parents=True, exist_ok=True)
    if photograph:
        Image.new("RGB", (9, 6)).save(folder / "JPEGImages" / f"{name}.jpg")


def palette(values: np.ndarray) -> Image.Image:
    picture = Image.fromarray(values).convert("P")
    picture.putpalette(list(range(256)) * 3)
    return picture


def colours(values: np.ndarray, meaning: dict[int, tuple[int, int, int]]) -> Image.Image:
    rgb = np.zeros((*values.shape, 3), np.uint8)
    for value, colour in meaning.items():
        rgb[values == value] = colour
    return Image.fromarray(rgb)


def check(folder: Path, categories: list[str | None]) -> None:
    dataset = read_voc_png(folder)
    assert not dataset.refused, dataset.refused
    (image,) = dataset
    assert [mask.category for mask in image.annotations] == categories
    for number, mask in enumerate(image.annotations, 1):
        np.testing.assert_array_equal(rle.decode(mask.rle), number == OBJECTS)


def test_objects_get_the_class_of_their_pixels_and_255_is_no_object(tmp_path: Path) -> None:
    write(tmp_path, Object=palette(OBJECTS), Class=palette(CLASSES))
    check(tmp_path, ["8", "15"])
    (tmp_path / "Annotations").mkdir()
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    check(tmp_path, ["cat", "person"])
    assert read_voc_png(tmp_path)[0].split == "train"


def test_classes_alone_and_objects_alone(tmp_path: Path) -> None:
    write(tmp_path / "c", Class=Image.fromarray(CLASSES))
    check(tmp_path / "c", ["8", "15"])
    write(tmp_path / "o", Object=Image.fromarray(OBJECTS.astype(np.uint16) % 255))
    check(tmp_path / "o", [None, None])


def test_16_bit_maps_count_beyond_255(tmp_path: Path) -> None:
    labels = np.arange(54, dtype=np.uint16).reshape(6, 9) + 230
    write(tmp_path, Object=Image.fromarray(labels))
    masks = read_voc_png(tmp_path)[0].annotations
    assert [mask.annotation_id for mask in masks] == list(range(230, 284))


def test_colours_are_looked_up_in_labelmap(tmp_path: Path) -> None:
    void = (224, 224, 192)
    write(
        tmp_path,
        Class=colours(CLASSES, {8: (10, 20, 30), 15: (1, 2, 3), 255: void}),
        Object=colours(OBJECTS, {1: (0, 0, 1), 2: (0, 1, 0), 255: void}),
    )
    lines = (
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nodd: cat:10,20,30::\ndog:1,2,3::\n"
    )
    (tmp_path / "labelmap.txt").write_text(lines)
    check(tmp_path, ["odd: cat", "dog"])
    (tmp_path / "labelmap.txt").write_text("cat:10,20,30::\n")
    assert "does not name: ['010203']" in read_voc_png(tmp_path).refused[0].reason
    (tmp_path / "labelmap.txt").write_text("cat:10,20::\n")
    with pytest.raises(DatasetError, match="no colour"):
        read_voc_png(tmp_path)


def test_a_list_of_names_will_do(tmp_path: Path) -> None:
    small = np.where(OBJECTS == 255, 0, OBJECTS)
    write(tmp_path, Object=Image.fromarray(OBJECTS), Class=Image.fromarray(small))
    (tmp_path / "class_names.txt").write_text("__ignore__\n_background_\ncat\ndog\n")
    check(tmp_path, ["cat", "dog"])


def test_damage_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path, "a", Object=palette(OBJECTS))
    write(tmp_path, "b", Object=palette(OBJECTS), photograph=False)
    write(tmp_path, "c", Object=palette(OBJECTS), Class=palette(CLASSES[:4]))
    write(tmp_path, "d", Object=palette(OBJECTS[:, :5]))
    write(tmp_path, "e", Object=palette(OBJECTS))
    (tmp_path / "SegmentationObject" / "e.png").write_bytes(b"\x89PNG none")
    dataset = read_voc_png(tmp_path)
    assert [image.image_id for image in dataset] == ["a"]
    reasons = [refused.reason for refused in dataset.refused]
    for reason, words in zip(
        reasons, ("no photograph", "two sizes", "labels were drawn for", "damaged"), strict=True
    ):
        assert words in reason


def test_no_maps_and_no_photographs_are_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no label maps"):
        read_voc_png(tmp_path)

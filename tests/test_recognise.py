"""Recognising a dataset's form, and what is said when there is none."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from form_scene import awkward, image, labelled
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError, NotFound
from maskmill.formats import LabelledImage, Refused, coco_writer, json_stream, read_dataset
from maskmill.formats.labelme_writer import write_labelme
from maskmill.formats.parquet import write_parquet
from maskmill.formats.recognise import FORMS, recognise, stream_dataset
from maskmill.formats.sa1b_writer import write_sa1b_folder
from maskmill.formats.voc_png_writer import write_voc_png
from maskmill.formats.yolo_writer import write_yolo

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
    with pytest.raises(DatasetError, match="split vall; its splits: val;"):
        read_dataset(tmp_path, split="vall")
    with pytest.raises(DatasetError, match="sources dogs; its sources: cats"):
        read_dataset(tmp_path, sources=["dogs"])


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


def write_as(form: str, images: list[LabelledImage], out: Path) -> Path:
    """Write images in a form, or what stands for it where we do not write it."""
    writers: dict[str, Callable[[Path, list[LabelledImage]], object]] = {
        "voc_png": write_voc_png,
        "yolo": write_yolo,
        "parquet": lambda path, images: write_parquet(path / "a.parquet", images, copy_images=True),
        "coco": lambda path, images: coco_writer.write_coco(
            path / "annotations" / "a.json", images, copy_images=True
        ),
        "sa1b": write_sa1b_folder,
        "labelme": write_labelme,
    }
    if form in writers:
        writers[form](out, images)
        return out
    for one in images:
        (out / "images").mkdir(parents=True, exist_ok=True)
        (out / "images" / one.path.name).write_bytes(one.path.read_bytes())
    if form == "cvat":
        entries = "".join(
            f'<image id="{i}" name="{one.path.name}" width="{one.size[1]}" height="{one.size[0]}">'
            f'<polygon label="a" points="0,0;5,0;5,5"/></image>'
            for i, one in enumerate(images)
        )
        (out / "annotations.xml").write_text(f"<annotations>{entries}</annotations>")
    elif form == "datumaro":
        items = [{"id": one.image_id, "image": {"path": one.path.name}} for one in images]
        (out / "annotations").mkdir()
        (out / "annotations" / "default.json").write_text(json.dumps({"items": items}))
    return out


def scene(folder: Path) -> list[LabelledImage]:
    masks = [labelled(awkward("two parts"), category="cat")]
    return [image(folder, f"{name}.jpg", masks) for name in ("a", "b", "c")]


@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_is_recognised_and_streamed(form: str, tmp_path: Path) -> None:
    path = write_as(form, scene(tmp_path / "photos"), tmp_path / "out")
    assert recognise(path)[0] == form
    for told in (None, form):
        items = list(stream_dataset(path, told, unpack_into=tmp_path / "u"))
        assert [item.path.name for item in items] == ["a.jpg", "b.jpg", "c.jpg"]
        assert all(isinstance(item, LabelledImage) for item in items)


@pytest.mark.parametrize("pack", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_is_read_from_an_archive(form: str, pack: str, tmp_path: Path) -> None:
    write_as(form, scene(tmp_path / "photos"), tmp_path / "packed" / "set")
    archive = Path(shutil.make_archive(str(tmp_path / "a"), pack, tmp_path / "packed"))
    items = list(stream_dataset(archive, unpack_into=tmp_path / "u"))
    assert [item.path.name for item in items] == ["a.jpg", "b.jpg", "c.jpg"]
    assert all(item.path.is_relative_to(tmp_path / "u") for item in items)
    with pytest.raises(DatasetError, match="name an empty folder"):
        next(stream_dataset(archive))


def test_refused_entries_of_an_archive_are_reported_with_the_rest(tmp_path: Path) -> None:
    write_as("sa1b", scene(tmp_path / "photos"), tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("../evil.txt", "x")
        for path in (tmp_path / "set").iterdir():
            out.write(path, path.name)
    first, *rest = stream_dataset(tmp_path / "a.zip", unpack_into=tmp_path / "u")
    assert isinstance(first, Refused)
    assert "evil" in first.reason
    assert len(rest) == 3


def test_what_was_looked_for_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"some": "thing"}')
    image(tmp_path, "a.jpg", [])
    with pytest.raises(DatasetError, match=r"1 JSON files, none .* Looked for: voc_png .*sa1b"):
        list(stream_dataset(tmp_path))
    assert len(list(stream_dataset(tmp_path, "folder"))) == 1
    with pytest.raises(DatasetError, match="'x' is no form; known are voc_png, yolo"):
        list(stream_dataset(tmp_path, "x"))
    with pytest.raises(NotFound):
        list(stream_dataset(tmp_path / "gone"))


def test_a_dataset_of_which_nothing_can_be_read_is_an_error_not_an_empty_result(
    tmp_path: Path,
) -> None:
    path = write_coco(tmp_path / "set.json")
    record = json.loads(path.read_text())
    record["images"][0]["height"] = 7
    path.write_text(json.dumps(record))
    with pytest.raises(DatasetError, match="no image that could be read; the first: annotation 1"):
        list(stream_dataset(path))
    path.write_text('{"images": [], "annotations": []}')
    with pytest.raises(DatasetError, match="no image that could be read"):
        list(stream_dataset(path))


def test_a_large_file_is_recognised_without_reading_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "BLOCK", 1000)
    text = json.dumps({"images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(500)]})
    (tmp_path / "a.json").write_text(text[:-1] + ', "annotations": [' + "{" * 100)
    assert recognise(tmp_path / "a.json")[0] == "coco"

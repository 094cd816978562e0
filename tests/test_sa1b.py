"""SA-1B folders: what is read, what is refused, and what is written."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats import read_sa1b, sa1b, write_sa1b
from maskmill.formats.sa1b import read_sa1b_file

SIZE = (6, 9)


def block(top: int = 1, left: int = 2, height: int = 3, width: int = 4) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def write_image(
    folder: Path, name: str, *, annotations: Any = None, photograph: bool = True, **image: Any
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if photograph:
        Image.new("RGB", SIZE[::-1]).save(folder / f"{name}.jpg")
    info = {
        "image_id": name,
        "file_name": f"{name}.jpg",
        "width": SIZE[1],
        "height": SIZE[0],
    } | image
    if annotations is None:
        annotations = [{"id": 1, "segmentation": rle.encode(block()).to_json()}]
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"image": info, "annotations": annotations}))
    return path


def test_images_are_read_with_their_source_split_and_group(tmp_path: Path) -> None:
    mask = {
        "id": 7,
        "segmentation": rle.encode(block()).to_json(),
        "category_name": "cat",
        "bbox": "junk",
    }
    write_image(
        tmp_path / "cats", "b", split="val", group="g1", annotations=[mask | {"iscrowd": 1}]
    )
    write_image(tmp_path / "ants", "a")
    first, second = read_sa1b(tmp_path)
    assert (first.image_id, first.source, first.split, first.group) == ("a", "ants", None, None)
    assert (second.image_id, second.source, second.split, second.group) == (
        "b",
        "cats",
        "val",
        "g1",
    )
    assert second.path == tmp_path / "cats" / "b.jpg"
    assert second.size == SIZE
    (annotation,) = second.annotations
    assert (annotation.category, annotation.is_crowd, annotation.annotation_id) == ("cat", True, 7)
    np.testing.assert_array_equal(rle.decode(annotation.rle), block())


def test_the_published_form_is_read(tmp_path: Path) -> None:
    """As SA-1B itself writes it: numeric image id, no category, last-pixel-inclusive boxes."""
    annotation = {
        "segmentation": {"size": list(SIZE), "counts": rle.encode(block()).to_json()["counts"]},
        "bbox": [2, 1, 3, 2], "area": 12, "predicted_iou": 0.93, "stability_score": 0.97,
        "point_coords": [[3.5, 2.5]], "crop_box": [0, 0, 9, 6], "id": 532098191,
    }  # fmt: skip
    write_image(tmp_path / "sa_000000", "sa_1", image_id=1, annotations=[annotation])
    (image,) = read_sa1b(tmp_path / "sa_000000")
    assert (image.image_id, image.source) == ("1", "sa_000000")
    assert tuple(rle.box(image.annotations[0].rle)) == (2, 1, 6, 4)


def test_split_and_sources_filter(tmp_path: Path) -> None:
    write_image(tmp_path / "cats", "a", split="val")
    write_image(tmp_path / "cats", "b", split="train")
    write_image(tmp_path / "dogs", "c", split="val")
    assert [i.image_id for i in read_sa1b(tmp_path, split="val")] == ["a", "c"]
    assert [i.image_id for i in read_sa1b(tmp_path, split="val", sources=["dogs"])] == ["c"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"width": 1e308}, "width is 1e"),
        ({"height": float("nan")}, "height is nan"),
        ({"height": -6}, "height is -6"),
        ({"file_name": "../a.jpg"}, "leads out"),
        ({"file_name": "/etc/passwd"}, "leads out"),
        ({"file_name": "other.jpg"}, "photograph 'other.jpg' is missing"),
        ({"file_name": "x" * 5000}, "is missing"),
        ({"file_name": "\ud800.jpg"}, "is missing"),
        ({"annotations": {}}, "not in SA-1B form"),
    ],
)
def test_a_bad_file_is_refused_and_the_rest_is_read(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    bad = write_image(tmp_path, "a", **change)
    write_image(tmp_path, "b")
    dataset = read_sa1b(tmp_path)
    assert [image.image_id for image in dataset] == ["b"]
    assert [refused.path for refused in dataset.refused] == [bad]
    assert reason in dataset.refused[0].reason


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ("text", "not an object"),
        ({"id": 5}, "annotation 5: no run lengths"),
        ({"id": 5, "segmentation": {"size": [6, 9], "counts": "\x01"}}, "annotation 5"),
        ({"id": 5, "segmentation": {"size": [6, 9], "counts": [3, -3, 54]}}, "annotation 5"),
        ({"id": 5, "segmentation": {"size": [1e308, 9], "counts": "06"}}, "annotation 5"),
        ({"id": 5, "segmentation": rle.encode(np.ones((9, 6), bool)).to_json()}, "not the image's"),
        ({"id": 5, "segmentation": rle.encode(np.zeros(SIZE, bool)).to_json()}, "empty mask"),
    ],
)
def test_a_bad_mask_is_refused_and_the_others_are_read(
    annotation: Any, reason: str, tmp_path: Path
) -> None:
    good = {"id": 6, "segmentation": rle.encode(block()).to_json()}
    write_image(tmp_path, "a", annotations=[annotation, good])
    dataset = read_sa1b(tmp_path)
    assert [mask.annotation_id for mask in dataset[0].annotations] == [6]
    assert len(dataset.refused) == 1
    assert reason in dataset.refused[0].reason


@given(record=st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["image", "annotations", "segmentation", "size", "counts", "width",
                         "height", "file_name", "id", "split"]), inner, max_size=5),
    max_leaves=12,
))  # fmt: skip
def test_whatever_a_file_holds_it_is_read_or_refused(
    record: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "a.json"
    path.write_text(json.dumps(record))
    with contextlib.suppress(DatasetError):
        read_sa1b_file(path)


def test_a_photograph_is_found_by_stem_where_none_is_named(tmp_path: Path) -> None:
    path = write_image(tmp_path, "a")
    record = json.loads(path.read_text())
    del record["image"]["file_name"]
    path.write_text(json.dumps(record))
    image = read_sa1b_file(path)
    assert image is not None
    assert image.path == tmp_path / "a.jpg"


def test_a_dangling_link_and_a_huge_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path, "a")
    (tmp_path / "b.json").symlink_to(tmp_path / "gone.json")
    (tmp_path / "c.json").write_text(" " * 5000)
    monkeypatch.setattr(sa1b, "MAX_JSON_BYTES", 4000)
    dataset = read_sa1b(tmp_path)
    assert [image.image_id for image in dataset] == ["a"]
    assert ["cannot read" in r.reason for r in dataset.refused] == [True, False]
    assert "larger than 4000 bytes" in dataset.refused[1].reason


@dataclass(frozen=True)
class Written:
    rle: rle.Rle
    predicted_iou: float = 0.75
    stability_score: float = 0.5
    point: tuple[float, float] = (3.5, 2.25)
    crop_box: tuple[int, int, int, int] = (1, 0, 9, 6)


def test_what_is_written_is_sa1b_and_reads_back(tmp_path: Path) -> None:
    Image.new("RGB", SIZE[::-1]).save(tmp_path / "a.jpg")
    masks = [Written(rle.encode(block())), Written(rle.encode(block(5, 8, 1, 1)))]
    write_sa1b(tmp_path / "a.json", image_id="a", file_name="a.jpg", size=SIZE, masks=masks)
    record = json.loads((tmp_path / "a.json").read_text())
    assert record["image"] == {"image_id": "a", "file_name": "a.jpg", "width": 9, "height": 6}
    first, second = record["annotations"]
    assert {k: v for k, v in first.items() if k != "segmentation"} == {
        "id": 1, "area": 12, "bbox": [2, 1, 4, 3], "predicted_iou": 0.75, "stability_score": 0.5,
        "point_coords": [[3.5, 2.25]], "crop_box": [1, 0, 8, 6],
    }  # fmt: skip
    assert second["bbox"] == [8, 5, 1, 1]
    (image,) = read_sa1b(tmp_path)
    assert [mask.rle for mask in image.annotations] == [mask.rle for mask in masks]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "a.json"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    bad = Written(rle.encode(block()), predicted_iou=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        write_sa1b(path, image_id="a", file_name="a.jpg", size=SIZE, masks=[bad])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

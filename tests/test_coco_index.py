"""The first pass over a COCO file: who owns what, and what belongs nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from maskmill.errors import DatasetError
from maskmill.formats.coco_index import build_index, read_place


def indexed(tmp_path: Path, images: list[Any], annotations: list[Any], **more: Any) -> Any:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"annotations": annotations, "images": images} | more))
    return build_index(path)


def owned(index: Any) -> list[tuple[Any, list[Any]]]:
    with index.path.open("rb") as file:
        return [
            (
                json.loads(read_place(file, image)),
                [json.loads(read_place(file, p[:2])) for p in places],
            )
            for image, places in index.annotations_of()
        ]


def test_annotations_are_found_by_their_image_whatever_the_order(tmp_path: Path) -> None:
    images = [{"id": 5}, {"id": "a"}, {"id": "é"}, {"id": 2**70}]
    notes = [{"id": i, "image_id": key} for i, key in enumerate(["a", 5, 2**70, "a", "é", 5])]
    index = indexed(tmp_path, images, notes)
    assert [(image["id"], [n["id"] for n in mine]) for image, mine in owned(index)] == [
        (5, [1, 5]), ("a", [0, 3]), ("é", [4]), (2**70, [2]),
    ]  # fmt: skip
    assert not index.refused
    assert not list(index.left_out())


def test_what_belongs_nowhere_is_refused_one_by_one(tmp_path: Path) -> None:
    images = [{"id": 1}, {"id": 1}, {"id": None}, {"id": True}, 7, {"file_name": "x"}]
    notes: list[Any] = [{"id": 1, "image_id": 1}, {"id": 1, "image_id": 1}, {"image_id": 9}]
    notes += [{"id": 3, "image_id": 1.0}, {"id": 4, "image_id": True}, "x", {"id": 2**80}]
    notes += [{"image_id": 1}, {"image_id": 1}, {"id": "1", "image_id": 1}]
    index = indexed(tmp_path, images, notes)
    ((_, mine),) = owned(index)
    assert [note.get("id") for note in mine] == [1, None, None, "1"]
    assert len(index.refused) == 5 + 4
    reasons = [refused.reason for refused in index.left_out()]
    assert len(reasons) == 2
    assert "its image 9 is not there" in reasons[0]
    assert "annotation 1: its id is taken" in reasons[1]


def test_keys_named_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    twice = '{"id": 1, "id": 2, "image_id": 1}'
    inside = '{"id": 3, "image_id": 1, "segmentation": {"size": [1, 1], "size": [2, 2]}}'
    path.write_text(f'{{"images": [{{"id": 1}}], "annotations": [{twice}, {inside}]}}')
    index = build_index(path)
    assert ["one key twice" in refused.reason for refused in index.refused] == [True, True]
    assert owned(index) == [({"id": 1}, [])]


def test_categories_and_licences_are_read(tmp_path: Path) -> None:
    index = indexed(
        tmp_path, [], [],
        categories=[{"id": 1, "name": "Zürich"}, {"id": 1, "name": "x"}, {"id": 2}, 5,
                    {"id": 3, "name": "object", "no_category": True}, {"id": 4, "name": "\ud800"}],
        licenses=[{"id": 1, "name": "CC0"}, {"id": 2, "url": "u"}, {"id": []}],
    )  # fmt: skip
    assert index.categories == {1: "Zürich", 2: "2", 3: None}
    assert index.licences == {1: "CC0", 2: "u"}
    assert len(index.refused) == 2


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read"):
        build_index(tmp_path / "gone.json")

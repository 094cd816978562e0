"""A COCO file that somebody edited by hand until it was wrong in more than thirty ways at once.

Each wrong entry is left out with its own reason; everything beside it comes into the project.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from maskmill.errors import DatasetError
from maskmill.exchange import import_dataset
from maskmill.store import Project

GOOD = [[1, 1, 6, 1, 6, 5, 1, 5]]
RUNS = {"size": [8, 11], "counts": [10, 5, 73]}

IMAGES: list[tuple[Any, str]] = [
    ({"file_name": "gone.jpg"}, "its photograph 'gone.jpg' is missing"),
    ({"file_name": "../a.jpg"}, "leads out of the dataset's folder"),
    ({"file_name": "/etc/passwd"}, "leads out of the dataset's folder"),
    ({"file_name": "C:\\a.jpg"}, "leads out of the dataset's folder"),
    ({"file_name": 7}, "is not a file's name"),
    ({"file_name": None}, "is not a file's name"),
    ({"width": 8, "height": 8, "file_name": "b.jpg"}, "is 11x8 pixels, its labels were drawn for"),
    ({"width": "11"}, "width is '11'"),
    ({"width": 11.5}, "width is 11.5"),
    ({"height": 0}, "height is 0"),
    ({"height": -8}, "height is -8"),
    ({"width": 10**9}, "width is 1000000000"),
    ({"height": None}, "height is None"),
    ({"id": 1}, "its id is taken by an earlier image"),
    ({"id": None}, "no id that is a whole number or text"),
    ({"id": 1.5}, "no id that is a whole number or text"),
    ({"license": 1, "group": "\ud800"}, "is not Unicode"),
    ({"file_name": "a.jpg", "id": 500}, "it is labelled twice"),
    ("a.jpg", "not an object"),
]
"""What is changed of an image that was right, and what must be said of it."""

ANNOTATIONS: list[tuple[Any, str]] = [
    ({"image_id": 99}, "its image 99 is not there"),
    ({"image_id": "1"}, "its image '1' is not there"),
    ({"image_id": None}, "its image None is not there"),
    ({"id": 1}, "its id is taken by an earlier annotation"),
    ({"category_id": 5}, "its category 5 is not among the file's categories"),
    ({"category_id": "cat"}, "its category 'cat' is not among"),
    ({"category_id": [1]}, "its category [1] is not among"),
    ({"segmentation": None}, "no polygon"),
    ({"segmentation": []}, "no polygon"),
    ({"segmentation": [[1, 2, 3, 4]]}, "three points or more"),
    ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "three points or more"),
    ({"segmentation": [[1, 1, "6", 1, 6, 5]]}, "not a number"),
    ({"segmentation": [[1, 1, float("nan"), 1, 6, 5]]}, "not within"),
    ({"segmentation": [[1, 1, 1e308, 1, 6, 5]]}, "not within"),
    ({"segmentation": [[90, 90, 95, 90, 95, 95]]}, "an empty mask"),
    ({"segmentation": [[2, 2, 2, 2, 2, 2]]}, "an empty mask"),
    ({"segmentation": {**RUNS, "size": [11, 8]}}, "is not the image's"),
    ({"segmentation": {**RUNS, "counts": [10, 5, 74]}}, "89"),
    ({"segmentation": {**RUNS, "counts": [10, -5, 83]}}, "-5"),
    ({"segmentation": {**RUNS, "counts": [88]}}, "an empty mask"),
    ({"segmentation": {**RUNS, "counts": "zzz!"}}, "character 0 is"),
    ({"segmentation": {"counts": [10, 5, 73]}}, "size"),
    ({"segmentation": {"size": [8, 11]}}, "counts"),
    ({"iscrowd": "yes"}, "iscrowd is 'yes'; it must be 0 or 1"),
    ({"iscrowd": 2}, "iscrowd is 2; it must be 0 or 1"),
    ({"predicted_iou": float("nan")}, "predicted_iou is nan"),
    ({"predicted_iou": "0.9"}, "predicted_iou is '0.9'"),
    ({"note": float("inf")}, "an infinite number"),
    ({"note": "\ud800"}, "not Unicode"),
    ({"attributes": json.loads("[" * 40 + "]" * 40)}, "deeper than 16"),
    (5, "not an object"),
    ([1, 2], "not an object"),
]
"""The same of an annotation."""


def image(key: Any, name: str, **changed: Any) -> dict[str, Any]:
    return {"id": key, "file_name": name, "width": 11, "height": 8} | changed


def annotation(key: Any, **changed: Any) -> dict[str, Any]:
    right = {"id": key, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": GOOD}
    return right | changed


def write(folder: Path) -> Path:
    """Write a file with all that is wrong, and between any two of it something that is right."""
    images: list[Any] = [image(1, "a.jpg")]
    for number, (change, _) in enumerate(IMAGES, 100):
        wrong = image(number, f"{number}.jpg") | change if isinstance(change, dict) else change
        images += [wrong, image(number + 1000, f"{number}-right.jpg")]
    annotations: list[Any] = [annotation(1)]
    for number, (change, _) in enumerate(ANNOTATIONS, 100):
        wrong = annotation(number) | change if isinstance(change, dict) else change
        annotations += [wrong, annotation(number + 1000)]
    kinds = [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]
    record = {"images": images, "annotations": annotations, "categories": kinds}
    names = {one["file_name"] for one in images if isinstance(one, dict)}
    for name in {"a.jpg", "b.jpg"} | {n for n in names if isinstance(n, str) and n[0].isdigit()}:
        Image.new("RGB", (11, 8)).save(folder / name)
    path = folder / "set.json"
    path.write_text(json.dumps(record))
    return path


def test_each_wrong_entry_is_left_out_with_its_reason_and_the_rest_comes_in(
    tmp_path: Path,
) -> None:
    path = write(tmp_path)
    with Project.create(tmp_path / "project") as project:
        report = import_dataset(project, path, by="ann")
        reasons = [refused.reason for refused in report.refused]
        right = 1 + len(IMAGES)
        assert (report.images, report.masks) == (right, 1 + len(ANNOTATIONS))
        assert project.images.count() == right
    for _, expected in [*IMAGES, *ANNOTATIONS, ({}, "the id 1 of 'dog' is taken")]:
        found = next((reason for reason in reasons if expected in reason), None)
        assert found is not None, (expected, reasons)
        reasons.remove(found)
    assert not reasons
    assert len(IMAGES) + len(ANNOTATIONS) > 30


WHOLE = [
    ('{"images": [], "annotations": []', "is not JSON"),
    ('{"images": [{"id": 1,}], "annotations": []}', "no image that could be read"),
    ('{"images": [], "images": [], "annotations": []}', "the second 'images'"),
    ("{'images': [], 'annotations': []}", "is not JSON"),
    ('{"images": [], "annotations": []} // done', "is not JSON"),
    ('{"images": {}, "annotations": {}}', "is not COCO: expected lists"),
    ("", "holds no JSON object"),
    ("\ufeff", "holds no JSON object"),
    ('{"pictures": [], "labels": []}', "holds no dataset"),
]


@pytest.mark.parametrize(("text", "reason"), WHOLE)
def test_a_file_that_is_wrong_as_a_whole_is_refused_in_a_sentence(
    text: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "set.json").write_text(text)
    with Project.create(tmp_path / "project") as project:
        with pytest.raises(DatasetError, match=reason):
            import_dataset(project, tmp_path / "set.json", by="ann")
        assert project.images.count() == 0

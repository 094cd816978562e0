"""Exports as other tools write them, made by hand from their documentation: all masks come in.

Each differs from what we write in names, folders, ids that begin at 0, empty lists and extra keys.
"""

import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskmill.exchange import import_dataset
from maskmill.store import Project

SQUARE = [5.0, 4.0, 15.0, 4.0, 15.0, 12.0, 5.0, 12.0]
HEIGHT, WIDTH = 20, 30


def photograph(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), (sum(path.as_posix().encode()) % 255, 90, 9)).save(path)


def save(path: Path, record: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


def label_studio(folder: Path, slash: str = "/") -> None:
    """`result.json` beside `images/`; ids and categories from 0, brush strokes as run lengths."""
    photograph(folder / "images" / "1a2b3c4d-cat.jpg")
    name = f"images{slash}1a2b3c4d-cat.jpg"
    runs = {"counts": [5 * 20 + 4, 8, *[12, 8] * 9, 20 * 15 + 8], "size": [HEIGHT, WIDTH]}
    polygon = {"bbox": [5.0, 4.0, 10.0, 8.0], "ignore": 0, "iscrowd": 0, "area": 80.0}
    save(folder / "result.json", {
        "images": [{"width": WIDTH, "height": HEIGHT, "id": 0, "file_name": name}],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 0, "segmentation": [SQUARE], **polygon},
            {"id": 1, "image_id": 0, "category_id": 1, "segmentation": runs, **polygon},
        ],
        "info": {"year": 2026, "version": "1.0", "description": "", "contributor": "Label Studio",
                 "url": "", "date_created": "2026-01-01 00:00:00.000000"},
    })  # fmt: skip


def label_studio_on_windows(folder: Path) -> None:
    label_studio(folder, "\\")


def roboflow_coco(folder: Path) -> None:
    """A file in each split's folder, beside its photographs; category 0 stands for the project."""
    for split in ("train", "valid"):
        name = f"cat_jpg.rf.0a1b2c-{split}.jpg"
        photograph(folder / split / name)
        save(folder / split / "_annotations.coco.json", {
            "info": {"year": "2026", "version": "1", "description": "Exported from roboflow.com",
                     "contributor": "", "url": "", "date_created": "2026-01-01T00:00:00+00:00"},
            "licenses": [{"id": 1, "url": "", "name": "CC BY 4.0"}],
            "categories": [{"id": 0, "name": "pets", "supercategory": "none"},
                           {"id": 1, "name": "cat", "supercategory": "pets"}],
            "images": [{"id": 0, "license": 1, "file_name": name, "height": HEIGHT, "width": WIDTH,
                        "date_captured": "2026-01-01T00:00:00+00:00", "extra": {"name": "a.jpg"}}],
            "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [5, 4, 10, 8],
                             "area": 80, "segmentation": [SQUARE], "iscrowd": 0}],
        })  # fmt: skip
    (folder / "README.roboflow.txt").write_text("pets - v1\n")


def roboflow_yolo(folder: Path) -> None:
    """`data.yaml` that says `../train/images` and means `train/images`; val is called valid."""
    for split in ("train", "valid"):
        photograph(folder / split / "images" / f"cat_jpg.rf.{split}.jpg")
        labels = folder / split / "labels" / f"cat_jpg.rf.{split}.txt"
        labels.parent.mkdir()
        shares = [v / (WIDTH, HEIGHT)[i % 2] for i, v in enumerate(SQUARE)]
        labels.write_text("1 " + " ".join(f"{share:.16g}" for share in shares) + "\n")
    (folder / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\n"
        "names: ['dog', 'cat']\n\nroboflow:\n  workspace: w\n  project: pets\n  version: 1\n"
    )


def cvat_coco(folder: Path) -> None:
    """`annotations/instances_default.json` in a zip, with attributes and an empty licence."""
    photograph(folder / "made" / "images" / "default" / "cat.jpg")
    save(folder / "made" / "annotations" / "instances_default.json", {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "",
                 "version": "", "year": ""},
        "categories": [{"id": 1, "name": "cat", "supercategory": ""}],
        "images": [{"id": 1, "width": WIDTH, "height": HEIGHT, "file_name": "cat.jpg", "license": 0,
                    "flickr_url": "", "coco_url": "", "date_captured": 0}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE],
                         "area": 80.0, "bbox": [5.0, 4.0, 10.0, 8.0], "iscrowd": 0,
                         "attributes": {"occluded": False}}],
    })  # fmt: skip
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        for path in sorted((folder / "made").rglob("*.*")):
            archive.write(path, path.relative_to(folder / "made"))


def cvat_images(folder: Path) -> None:
    """`annotations.xml` and `images/` in a zip, with a tag and a box beside the polygon."""
    photograph(folder / "made" / "images" / "cat.jpg")
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in np.reshape(SQUARE, (-1, 2)).tolist())
    (folder / "made" / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        "  <meta><job><id>7</id><labels><label><name>cat</name></label></labels></job></meta>\n"
        f'  <image id="0" name="cat.jpg" width="{WIDTH}" height="{HEIGHT}">\n'
        f'    <polygon label="cat" source="manual" occluded="0" points="{points}" z_order="0">\n'
        "    </polygon>\n  </image>\n</annotations>\n"
    )
    with zipfile.ZipFile(folder / "export.zip", "w") as archive:
        for path in sorted((folder / "made").rglob("*.*")):
            archive.write(path, path.relative_to(folder / "made"))


def labelme_5(folder: Path) -> None:
    """A JSON per photograph, its pixels inside; a polygon, and a mask that a model drew."""
    photograph(folder / "cat.jpg")
    png = io.BytesIO()
    Image.fromarray(np.ones((8, 10), bool)).save(png, "PNG")
    rest: dict[str, Any] = {"group_id": None, "description": "", "flags": {}}
    corners = np.reshape(SQUARE, (-1, 2)).tolist()
    mask = base64.b64encode(png.getvalue()).decode()
    save(folder / "cat.json", {
        "version": "5.5.0", "flags": {},
        "shapes": [
            {"label": "cat", "points": corners, "shape_type": "polygon", "mask": None, **rest},
            {"label": "dog", "points": [[5, 4], [14, 11]], "shape_type": "mask", "mask": mask,
             **rest},
        ],
        "imagePath": "cat.jpg",
        "imageData": base64.b64encode((folder / "cat.jpg").read_bytes()).decode(),
        "imageHeight": HEIGHT, "imageWidth": WIDTH,
    })  # fmt: skip


TOOLS: dict[str, tuple[Callable[[Path], None], str, int, int]] = {
    "Label Studio": (label_studio, "", 1, 2),
    "Label Studio on Windows": (label_studio_on_windows, "", 1, 2),
    "Roboflow, COCO": (roboflow_coco, "", 2, 2),
    "Roboflow, YOLO": (roboflow_yolo, "", 2, 2),
    "CVAT, COCO": (cvat_coco, "export.zip", 1, 1),
    "CVAT for images": (cvat_images, "export.zip", 1, 1),
    "LabelMe 5": (labelme_5, "", 1, 2),
}
"""How each export is made, what is imported, and how many images and masks it has."""


@pytest.mark.parametrize("tool", TOOLS)
def test_an_export_of_another_tool_comes_in(tool: str, tmp_path: Path) -> None:
    make, name, images, masks = TOOLS[tool]
    (tmp_path / "export").mkdir()
    make(tmp_path / "export")
    with Project.create(tmp_path / "project") as project:
        report = import_dataset(project, tmp_path / "export" / name, by="ann")
        assert (report.images, report.masks) == (images, masks)
        named = "test: '../test/images' is named in data.yaml"  # and was not exported
        assert [r.reason for r in report.refused if not r.reason.startswith(named)] == []
        for image in project.images.page():
            for mask in project.annotations.of_image(image.id):
                assert (mask.box, mask.area) == ((5, 4, 15, 12), 80)
        assert {kind.name for kind in project.categories.all()} >= {"cat"}
        if "Roboflow" in tool:
            assert {image.split for image in project.images.page()} == {"train", "val"}

"""Photographs with EXIF: the eight orientations, and labels in the stored or the upright frame.

The card has a dark block that lies differently under each of the eight, and sides that differ.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage, LabelledMask
from maskmill.formats.contours import outlines
from maskmill.formats.photograph import (
    read_header,
    require_header,
    turn_pixels,
    upright,
)
from maskmill.formats.recognise import stream_dataset
from maskmill.images import read_image

SIZE = (24, 40)


def stored_block() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[3:9, 5:21] = True
    mask[9:15, 5:9] = True
    return mask


def write_card(path: Path, orientation: int) -> None:
    """Write a white card with the block in black, as stored; a viewer turns it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.where(stored_block(), 0, 255).astype(np.uint8)
    Image.fromarray(np.repeat(pixels[:, :, None], 3, axis=2)).save(path, exif=exif, quality=95)


def dark(path: Path) -> np.ndarray:
    return read_image(path).mean(axis=2) < 128


def upright_block(orientation: int) -> np.ndarray:
    image = Image.fromarray(stored_block().astype(np.uint8))
    image.getexif()[0x0112] = orientation
    return np.array(ImageOps.exif_transpose(image)).astype(bool)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_header_knows_the_upright_size(orientation: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"card{suffix}"
    write_card(path, orientation)
    header = read_header(path)
    assert header is not None
    assert (header.stored_size, header.orientation) == (SIZE, orientation)
    assert header.size == read_image(path).shape[:2]
    np.testing.assert_array_equal(turn_pixels(stored_block(), orientation), dark(path))


# Where the stored frame has the upright one's size and is another, labels count as upright.
CASES = [("upright", n) for n in range(1, 9)] + [("stored", n) for n in (1, 5, 6, 7, 8)]


@pytest.mark.parametrize(("frame", "orientation"), CASES)
@pytest.mark.parametrize("form", ["coco", "sa1b", "labelme", "cvat", "datumaro", "voc_png"])
def test_masks_lie_on_the_upright_photograph_whichever_frame_the_file_means(
    form: str, frame: str, orientation: int, tmp_path: Path
) -> None:
    path = tmp_path / "JPEGImages" / "card.jpg"
    path.parent.mkdir()
    write_card(path, orientation)
    mask = stored_block() if frame == "stored" else upright_block(orientation)
    labels = write_labels(form, mask, tmp_path)
    (image,) = stream_dataset(labels, form, path.parent)
    assert isinstance(image, LabelledImage)
    assert image.size == dark(path).shape
    np.testing.assert_array_equal(rle.decode(image.annotations[0].rle), dark(path))


def write_labels(form: str, mask: np.ndarray, folder: Path) -> Path:
    """Write a mask as the label of `card.jpg`, in the frame and with the size that it has."""
    height, width = mask.shape
    info = {"id": 1, "file_name": "card.jpg", "height": height, "width": width}
    note = {"id": 1, "image_id": 1, "segmentation": rle.encode(mask).to_json()}
    (outline,) = outlines(mask)
    shape = {"label": "a", "points": outline.exterior.tolist()}
    runs = {"type": "mask", "rle": note["segmentation"]}
    media = {"path": "card.jpg", "size": [height, width]}
    records: dict[str, Any] = {
        "coco": {"images": [info], "annotations": [note]},
        "sa1b": {"image": info, "annotations": [note]},
        "labelme": {"shapes": [shape], "imagePath": "card.jpg", "imageHeight": height,
                    "imageWidth": width},
        "datumaro": {"items": [{"id": "a", "annotations": [runs], "image": media}]},
    }  # fmt: skip
    if form in records:
        (folder / "card.json").write_text(json.dumps(records[form]))
        return folder if form in ("sa1b", "labelme") else folder / "card.json"
    if form == "cvat":
        points = ";".join(f"{x},{y}" for x, y in outline.exterior.tolist())
        (folder / "annotations.xml").write_text(
            f'<annotations><image name="card.jpg" width="{width}" height="{height}">'
            f'<polygon label="a" points="{points}"/></image></annotations>'
        )
        return folder
    (folder / "SegmentationObject").mkdir()
    Image.fromarray(mask.astype(np.uint8)).save(folder / "SegmentationObject" / "card.png")
    return folder


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_points_and_crops_turn_with_the_mask(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "card.jpg"
    write_card(path, orientation)
    mask = LabelledMask(
        rle=rle.encode(stored_block()), point_coords=((7.5, 11.5),), crop_box=(5, 3, 9, 15)
    )
    image = LabelledImage(image_id="1", path=path, size=SIZE, source="s", annotations=(mask,))
    (turned,) = upright(image).annotations
    ((x, y),) = turned.point_coords
    assert rle.decode(turned.rle)[int(y), int(x)]
    assert turned.crop_box is not None
    x0, y0, x1, y1 = (int(v) for v in turned.crop_box)
    # The crop holds the block's corner: 48 stored columns by rows, all dark.
    assert dark(path)[y0:y1, x0:x1].all()
    assert dark(path)[y0:y1, x0:x1].size == 48


def test_another_size_is_refused_and_an_unreadable_photograph_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "card.jpg"
    write_card(path, 6)
    image = LabelledImage(image_id="1", path=path, size=(25, 40), source="s")
    with pytest.raises(DatasetError, match="its photograph is 24x40 pixels, its labels"):
        upright(image)
    path.write_bytes(b"\xff\xd8\xff nothing")
    assert upright(image) is image
    assert read_header(path) is None
    with pytest.raises(DatasetError, match=r"card\.jpg cannot be read"):
        require_header(path)
    assert upright(replace(image, path=tmp_path / "gone.jpg")).size == (25, 40)

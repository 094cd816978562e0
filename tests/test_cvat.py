"""CVAT's XML: shapes that cover pixels, those that do not, and XML that means harm."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats import cvat
from maskmill.formats.cvat import read_cvat

SIZE = (20, 30)
POLYGON = '<polygon label="cat" points="5.00,4.00;15,4;15,12;5,12" occluded="0" z_order="0"/>'
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def write(folder: Path, shapes: str, image: str = 'id="0" name="a.jpg" width="30" height="20"',
          *, head: str = HEAD, tail: str = "</annotations>") -> Path:  # fmt: skip
    (folder / "images").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1]).save(folder / "images" / "a.jpg")
    path = folder / "annotations.xml"
    meta = "<version>1.1</version><meta><task><name>x</name></task></meta>"
    path.write_text(f"{head}<annotations>{meta}<image {image}>{shapes}</image>{tail}")
    return path


def square() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[4:12, 5:15] = True
    return mask


@pytest.mark.parametrize("block", [7, 1 << 20])
def test_polygons_masks_and_ellipses_are_read(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cvat, "BLOCK", block)
    runs = ", ".join(map(str, [0, 80]))
    write(
        tmp_path,
        f"""{POLYGON}
        <mask label="dog" rle="{runs}" left="5" top="4" width="10" height="8" group_id="3">
          <attribute name="färbe">röt &amp; blau</attribute></mask>
        <mask label="odd" rle="1, 2, 3" left="2" top="1" width="3" height="2"/>
        <ellipse label="eye" cx="10" cy="10" rx="6" ry="3" rotation="90"/>
        <tag label="indoor"/>""",
        'id="7" name="a.jpg" width="30" height="20" subset="Train"',
    )
    dataset = read_cvat(tmp_path)
    assert not dataset.refused
    (image,) = dataset
    assert (image.image_id, image.size, image.split) == ("7", SIZE, "train")
    assert image.metadata == {"tags": ["indoor"]}
    polygon, mask, odd, eye = image.annotations
    for one in (polygon, mask):
        np.testing.assert_array_equal(rle.decode(one.rle), square())
    assert mask.attributes == {"färbe": "röt & blau", "group_id": "3"}
    assert polygon.attributes == {}
    expected = np.zeros(SIZE, bool)
    expected[1, 3:5] = True
    np.testing.assert_array_equal(rle.decode(odd.rle), expected)
    assert rle.box(eye.rle) == (7, 4, 13, 16)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<box label="a" xtl="1" ytl="1" xbr="5" ybr="5"/>', "covers no pixels"),
        ('<polyline label="a" points="1,1;2,2;3,3"/>', "covers no pixels"),
        ('<points label="a" points="1,1"/>', "covers no pixels"),
        ('<polygon label="a" points="1,1;2,2"/>', "three points"),
        ('<polygon label="a" points="1,1;2,x;3,3"/>', "not x,y"),
        ('<polygon label="a" points="1,1;2,nan;3,3"/>', "not within"),
        ('<polygon label="a" points="1,1;2,1e308;3,3"/>', "not within"),
        ('<polygon label="a"/>', "not x,y"),
        ('<polygon label="a" points="90,90;95,90;95,95"/>', "an empty mask"),
        ('<mask label="a" rle="4" left="28" top="1" width="4" height="1"/>', "not inside"),
        ('<mask label="a" rle="4" left="2" top="1" width="0" height="1"/>', "not inside"),
        ('<mask label="a" rle="4" left="-2" top="1" width="4" height="1"/>', "left is"),
        ('<mask label="a" rle="1,x" left="2" top="1" width="4" height="1"/>', "no whole numbers"),
        ('<mask label="a" rle="99999999999999999999" left="2" top="1" width="4" height="1"/>',
         "no whole numbers"),
        ('<mask label="a" rle="-4,8" left="2" top="1" width="4" height="1"/>', "do not add up"),
        ('<mask label="a" rle="1,2" left="2" top="1" width="4" height="1"/>', "do not add up"),
        ('<mask label="a" rle="4" left="2" top="1" width="4" height="1"/>', "an empty mask"),
        ('<ellipse label="a" cx="nan" cy="1" rx="1" ry="1"/>', "no sane numbers"),
        ('<ellipse label="a" cx="1" cy="1" rx="0" ry="1"/>', "no sane numbers"),
        ('<ellipse label="a" cx="1"/>', "not x,y"),
    ],
)  # fmt: skip
def test_a_bad_shape_is_refused_and_the_others_are_read(
    shape: str, reason: str, tmp_path: Path
) -> None:
    write(tmp_path, shape + POLYGON)
    dataset = read_cvat(tmp_path)
    assert len(dataset[0].annotations) == 1
    (refused,) = dataset.refused
    assert refused.reason.startswith("image 'a.jpg', shape 0 ")
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ('name="../a.jpg" width="30" height="20"', "leads out"),
        ('name="gone.jpg" width="30" height="20"', "missing; its 1 shapes are left out"),
        ('name="a.jpg" width="31" height="20"', "its labels were drawn for 31x20"),
        ('name="a.jpg" width="1e3" height="20"', "width is"),
        ('name="a.jpg" width="0" height="20"', "width is 0"),
        ('name="a.jpg"', "height is ''"),
    ],
)
def test_a_bad_image_is_refused(image: str, reason: str, tmp_path: Path) -> None:
    dataset = read_cvat(write(tmp_path, POLYGON, image))
    assert not dataset.images
    assert reason in dataset.refused[0].reason


@pytest.mark.parametrize(
    ("head", "tail", "reason"),
    [
        (HEAD + '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]>', "</annotations>",
         "document type"),
        (HEAD + '<!DOCTYPE a SYSTEM "file:///etc/passwd">', "</annotations>", "document type"),
        (HEAD, "", "not XML"),
        (HEAD, "&x;</annotations>", "not XML"),
        ("<other>", "</annotations></other>", "first element is 'other'"),
        (HEAD, "<a>" * 50 + "</a>" * 50 + "</annotations>", "deeper than 8"),
    ],
)  # fmt: skip
def test_xml_that_is_damaged_or_means_harm_is_refused(
    head: str, tail: str, reason: str, tmp_path: Path
) -> None:
    write(tmp_path, POLYGON, head=head, tail=tail)
    with pytest.raises(DatasetError, match=reason):
        read_cvat(tmp_path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read"):
        read_cvat(tmp_path)

"""Pictures for browsers: what is plain stays as it is, the rest is shown as the model sees it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskmill.errors import ImageError
from maskmill.images import content_hash, read_image
from maskmill.rle import encode
from maskmill.server.pictures import ENDINGS, THUMBNAIL_SIDE, Pictures, checked_header, overlay

KINDS = {
    "plain.jpg": (Image.new("RGB", (9, 5), "red"), True),
    "grey.png": (Image.new("L", (9, 5), 100), True),
    "clear.png": (Image.new("RGBA", (9, 5), (255, 0, 0, 100)), False),
    "palette.png": (Image.new("P", (9, 5), 3), False),
    "deep.png": (Image.fromarray(np.arange(45, dtype=np.uint16).reshape(5, 9) * 1000), False),
    "cmyk.jpg": (Image.new("CMYK", (9, 5), (10, 200, 30, 5)), False),
    "scan.tif": (Image.new("RGB", (9, 5), "blue"), False),
}


@pytest.mark.parametrize("name", KINDS)
def test_browsers_see_what_the_model_sees(tmp_path: Path, name: str) -> None:
    image, plain = KINDS[name]
    path = tmp_path / name
    image.save(path)
    pictures = Pictures(tmp_path / "cache")
    content, media_type = pictures.displayed(content_hash(path), path)
    assert (content == path.read_bytes()) == plain
    assert media_type in ("image/jpeg", "image/png")
    shown = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert (shown == read_image(path)).all()


def test_thumbnails_are_made_once_and_outlive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "wide.jpg"
    Image.new("RGB", (1000, 100), "red").save(path)
    digest, pictures = content_hash(path), Pictures(tmp_path / "cache")
    first = pictures.thumbnail(digest, path)
    assert Image.open(io.BytesIO(first)).size == (THUMBNAIL_SIDE, 26)
    path.unlink()
    assert pictures.thumbnail(digest, path) == first


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (10, 10)).save(path)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert Pictures(tmp_path / "cache").thumbnail(content_hash(path), path)


def test_another_file_under_the_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (10, 10)).save(path)
    for make in (Pictures(tmp_path / "c").thumbnail, Pictures(tmp_path / "c").displayed):
        with pytest.raises(ImageError, match="bring the old file back"):
            make("0" * 64, path)


def test_every_form_that_is_read_has_an_ending(tmp_path: Path) -> None:
    for form, ending in ENDINGS.items():
        path = tmp_path / f"image{ending}"
        image = Image.new("RGB", (9, 5))
        image.save(path, form, **({"save_all": True} if form == "MPO" else {}))
        assert checked_header(path)[0] == (5, 9)


def test_an_overlay_of_a_large_image_is_a_thumbnail_of_its_masks() -> None:
    rows, columns = np.mgrid[:1500, :2000]
    disc = (rows - 700) ** 2 + (columns - 900) ** 2 < 500**2
    drawn = np.asarray(Image.open(io.BytesIO(overlay([encode(disc)], ["#102030"], disc.shape))))
    assert drawn.shape == (192, 256, 4)
    inside = drawn[..., 3] > 0
    y, x = np.mgrid[:192, :256] * (1500 / 192)
    expected = (y - 700) ** 2 + (x - 900) ** 2 < 500**2
    assert (inside != expected).mean() < 0.02
    assert (drawn[inside][:, :3] == (16, 32, 48)).all()

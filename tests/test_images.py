import functools
import io
import os
import random
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from maskmill import images
from maskmill.errors import ImageError, NotFound
from maskmill.images import (
    ImageLimits,
    content_hash,
    list_images,
    open_image,
    read_image,
    resize_longest_side,
    thumbnail,
)

RAMP = np.arange(65536, dtype=np.uint16).reshape(128, 512)


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A smooth picture with no symmetry, higher than wide."""
    y, x = np.mgrid[0:48, 0:32]
    return np.stack([x * 7, y * 5, 255 - x * 2 - y * 3], axis=-1).astype(np.uint8)


def saved(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, rows: bytes = b"", *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG whose header claims any size, with other chunks before its (perhaps missing) pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = b"".join(chunk(*c) for c in [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows))])
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM", "WEBP", "JPEG", "AVIF", "GIF"])
def test_every_format_gives_the_picture(scene, kind):
    options = {"WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw"}}.get(kind, {})
    opened = open_image(saved(scene, kind, **options))
    assert opened.format == kind
    assert opened.array.dtype == np.uint8
    assert opened.array.shape == scene.shape
    assert opened.array.flags.c_contiguous
    error = np.abs(opened.array.astype(int) - scene).mean()
    assert error <= {"JPEG": 4, "AVIF": 6, "GIF": 20}.get(kind, 0)
    assert opened.notes == ()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations_come_out_upright(scene, kind, orientation):
    # Where a viewer has to put the file's first row and column, EXIF 2.32, table 6.
    stored = {
        1: scene,
        2: scene[:, ::-1],
        3: scene[::-1, ::-1],
        4: scene[::-1],
        5: scene.transpose(1, 0, 2),
        6: scene.transpose(1, 0, 2)[::-1],
        7: scene.transpose(1, 0, 2)[::-1, ::-1],
        8: scene.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    array = read_image(saved(np.ascontiguousarray(stored), kind, exif=exif, **options))
    assert array.shape == scene.shape
    assert np.abs(array.astype(int) - scene).max() < (25 if kind == "JPEG" else 1)


def test_orientation_applies_to_deep_images_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    array = read_image(saved(RAMP, "PNG", exif=exif))
    assert array.shape == (512, 128, 3)
    assert array[0, 0, 0] > array[0, -1, 0]


def test_damaged_exif_costs_a_note_not_the_image(scene):
    data = saved(scene, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0")
    opened = open_image(data)
    assert opened.array.shape == scene.shape
    assert opened.notes


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (Image.fromarray(RAMP), "PNG"),
        (Image.fromarray(RAMP), "TIFF"),
        (Image.fromarray(RAMP.astype(np.int32)), "TIFF"),
        (Image.fromarray(RAMP.astype(np.float32) / 65535), "TIFF"),
        (Image.fromarray(RAMP), "PPM"),
    ],
    ids=["png-16", "tiff-16", "tiff-32", "tiff-float", "pgm-16"],
)
def test_a_deep_ramp_keeps_its_levels(image, kind):
    opened = open_image(saved(image, kind))
    assert len(np.unique(opened.array)) >= 250
    assert (np.diff(opened.array[..., 0].ravel().astype(int)) >= 0).all()
    assert opened.array.min() == 0
    assert opened.array.max() == 255
    assert "scaled to 0 to 255" in opened.notes[0]


def test_a_narrow_deep_range_is_stretched_and_a_flat_one_is_not():
    assert len(np.unique(read_image(saved(RAMP // 32 + 7000, "PNG")))) == 256
    white, black = np.full((3, 5), 65535, np.uint16), np.zeros((3, 5), np.uint16)
    assert read_image(saved(white, "PNG")).min() == 255
    assert read_image(saved(black, "TIFF")).max() == 0


def test_floats_that_are_no_numbers_are_black_or_white():
    values = np.array([[0.0, 1.0, np.nan], [np.inf, -np.inf, 0.5]], np.float32)
    assert read_image(saved(values, "TIFF"))[..., 0].tolist() == [[0, 255, 0], [255, 0, 128]]
    signalling = np.array([[0x7FA00000, 0, 0x3F800000]], np.uint32).view(np.float32)
    assert read_image(saved(signalling, "TIFF"))[0, :, 0].tolist() == [0, 0, 255]
    nothing = np.full((2, 3), np.nan, np.float32)
    assert read_image(saved(nothing, "TIFF")).max() == 0


def test_a_deep_tiff_may_count_from_white():
    data = saved(RAMP, "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(data)).tag_v2[262] == 0
    array = read_image(data)
    assert array[0, 0, 0] == 255
    assert array[-1, -1, 0] == 0


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_comes_out_in_its_own_colours(kind):
    # Pillow writes CMYK JPEGs as Adobe does, inverted.
    colours = [(255, 0, 0), (0, 255, 0), (20, 30, 200), (255, 255, 255), (0, 0, 0)]
    stripes = np.repeat(np.array([colours], np.uint8).repeat(16, axis=1), 24, axis=0)
    opened = open_image(saved(Image.fromarray(stripes).convert("CMYK"), kind))
    assert np.abs(opened.array.astype(int) - stripes).mean() < 3
    assert any("CMYK" in note for note in opened.notes)


def transparent_forms() -> dict[str, bytes]:
    """Left half red, right half transparent over hidden garbage, in every way PNG has."""
    rng = np.random.default_rng(1)
    rgba = np.dstack([rng.integers(0, 256, (6, 8, 3)), np.zeros((6, 8))]).astype(np.uint8)
    rgba[:, :4] = (255, 0, 0, 255)
    palette = Image.fromarray(np.array([[0] * 4 + [1] * 4] * 6, np.uint8), "P")
    palette.putpalette([255, 0, 0, 13, 200, 77])
    rgb = np.full((6, 8, 3), (1, 2, 3), np.uint8)
    rgb[:, :4] = (255, 0, 0)
    return {
        "rgba": saved(rgba, "PNG"),
        "rgba-webp": saved(rgba, "WEBP", lossless=True, exact=True),
        "rgba-tiff": saved(rgba, "TIFF"),
        "palette": saved(palette, "PNG", transparency=1),
        "palette-bytes": saved(palette, "PNG", transparency=b"\xff\x00"),
        "colour-key": saved(rgb, "PNG", transparency=(1, 2, 3)),
        "gif": saved(palette, "GIF", transparency=1),
    }


@pytest.mark.parametrize("form", transparent_forms())
def test_transparency_is_shown_on_white(form):
    opened = open_image(transparent_forms()[form])
    assert opened.array[:, :4].reshape(-1, 3).tolist() == [[255, 0, 0]] * 24
    assert (opened.array[:, 4:] == 255).all()
    assert "transparent: shown on white" in opened.notes


def test_half_transparent_grey_is_mixed_and_opaque_alpha_is_not_worth_a_note(scene):
    half = np.full((3, 5, 2), (0, 128), np.uint8)
    array = read_image(saved(Image.fromarray(half, "LA"), "PNG"))
    assert np.unique(array).tolist() == [127]
    opaque = np.dstack([scene, np.full(scene.shape[:2], 255, np.uint8)])
    opened = open_image(saved(opaque, "PNG"))
    assert opened.notes == ()
    assert np.array_equal(opened.array, scene)


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_grey_palette_and_one_bit(scene, mode):
    image = Image.fromarray(scene).convert(mode)
    assert np.array_equal(read_image(saved(image, "PNG")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_of_an_animation_the_first_frame_is_read_and_said_so(kind):
    colours = ["red", "lime", "blue"]
    frames = [Image.new("RGB", (40, 24), colour) for colour in colours]
    opened = open_image(saved(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert opened.array.shape == (24, 40, 3)
    assert np.abs(opened.array.astype(int) - (255, 0, 0)).max() < 6
    assert any("only the first is read" in note for note in opened.notes)


def test_bands_join_without_a_seam(scene, monkeypatch):
    whole = read_image(saved(scene, "PNG"))
    deep = read_image(saved(RAMP, "PNG"))
    monkeypatch.setattr(images, "_BAND_PIXELS", 100)
    assert np.array_equal(read_image(saved(scene, "PNG")), whole)
    assert np.array_equal(read_image(saved(RAMP, "PNG")), deep)


def test_real_photographs_are_what_pillow_decodes(photographs, tmp_path):
    for name, photograph in photographs.items():
        path = tmp_path / f"{name}.jpg"
        Image.fromarray(photograph).save(path)
        assert np.array_equal(read_image(path), np.asarray(Image.open(path).convert("RGB")))
        assert np.array_equal(read_image(str(path)), read_image(path.read_bytes()))


# --- what is refused ------------------------------------------------------------------------------


@functools.cache
def hostile_files() -> dict[str, tuple[bytes, str]]:
    """Bytes, and a word that the refusal must hold, by file name."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    cut = {
        f"cut.{kind.lower()}": (saved(noise, kind)[:2000], "cut short")
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF")
    }
    cut["cut.avif"] = (cut["cut.avif"][0], "damaged")
    text = b"Dear reader, this is no photograph.\n" * 20
    gif_bomb = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
    gif_bomb += b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\x00;"
    bmp_bomb = b"BM" + struct.pack(
        "<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 9999, 9999, 1, 24, *[0] * 6
    )
    text_bomb = (b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))
    profile_bomb = (b"iCCP", b"k\0\0" + zlib.compress(bytes(50_000_000)))
    return {
        "nothing.jpg": (b"", "empty"),
        "one.png": (b"\x89", "not an image"),
        "drawing.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        "drawing.jpg": (b"<svg></svg>", "SVG"),
        "text.jpg": (text, "not an image"),
        "page.png": (b"<!doctype html><p>404</p>", "web page"),
        "rare.tif": (b"II*\0" + bytes(40), "rare kind"),
        "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        "layers.psd": (b"8BPS\0\1" + bytes(40), "Photoshop"),
        "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        "wide.png": (png(60_000, 2, bytes(120_002)), "60,000 x 2"),
        "high.png": (png(3, 60_000), "3 x 60,000"),
        "bomb.png": (png(50_000, 50_000), "far too many pixels"),
        "sly_bomb.png": (png(12_000, 12_000), "144,000,000|12,000 x 12,000"),
        "bomb.gif": (gif_bomb, "far too many pixels"),
        "bomb.bmp": (bmp_bomb, "9,999 x 9,999"),
        "text_bomb.png": (png(4, 4, bytes(20), text_bomb), "damaged"),
        "profile_bomb.png": (png(4, 4, bytes(20), profile_bomb), "damaged"),
        "flat.png": (png(0, 7), "damaged"),
        **cut,
    }


def test_one_error_per_hostile_file_and_the_rest_is_read(scene, tmp_path):
    good = {"a.png": "PNG", "deep/z.JPG": "JPEG", "m.webp": "WEBP"}
    hostile = hostile_files()
    (tmp_path / "deep").mkdir()
    for name, kind in good.items():
        (tmp_path / name).write_bytes(saved(scene, kind))
    for name, (data, _) in hostile.items():
        (tmp_path / "deep" / name).write_bytes(data)

    read, refused = set(), {}
    for path in list_images(tmp_path):
        try:
            read.add(str(path.relative_to(tmp_path)))
            read_image(path)
        except ImageError as error:
            read.discard(str(path.relative_to(tmp_path)))
            refused[path.name] = str(error)
    assert read == set(good)
    assert set(refused) == set(hostile)
    for name, message in refused.items():
        words = hostile[name][1].split("|")
        assert any(word in message for word in words), message
        assert message.startswith(str(tmp_path / "deep" / name))
        assert "; " in message or ", so " in message  # the next step
        assert "\n" not in message


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF"])
def test_damage_anywhere_is_an_image_error_or_an_image(scene, kind):
    rng = random.Random(kind)
    good = saved(scene, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.choice([1, 3, 20])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            array = read_image(bytes(data))
        except ImageError:
            refused += 1
        else:
            assert array.ndim == 3
            assert array.shape[2] == 3
    assert 5 < refused < 150


def test_limits_are_the_callers(scene):
    data = saved(scene, "PNG")
    assert read_image(data, limits=ImageLimits(max_side=48)).shape == scene.shape
    for limits in (ImageLimits(max_side=47), ImageLimits(max_pixels=48 * 32 - 1)):
        with pytest.raises(ImageError, match=r"32 x 48 pixels.*Python: pass ImageLimits"):
            read_image(data, limits=limits)
    with pytest.raises(ImageError, match="bytes"):
        read_image(data, limits=ImageLimits(max_bytes=len(data) - 1))


def test_paths_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    cases = {
        tmp_path / "pipe.jpg": "a pipe or a device",
        Path("/dev/zero"): "a pipe or a device",
        tmp_path / "folder.png": "a folder",
        tmp_path / "gone.jpg": "No such file",
        tmp_path / "broken.jpg": "No such file",
        tmp_path / "loop.jpg": "symbolic links",
        Path("zero\0byte.jpg"): "not a path",
        Path("x" * 5000): "name too long",
    }
    for path, reason in cases.items():
        with pytest.raises(ImageError, match=reason):
            read_image(path)


def test_a_file_that_may_not_be_read_names_the_reason(tmp_path, monkeypatch):
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"x")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # tests may run as root, who may read anything
    with pytest.raises(ImageError, match=r"secret\.jpg cannot be read \(Permission denied\)"):
        read_image(path)


def test_running_out_of_memory_is_an_image_error(scene, monkeypatch):
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    with pytest.raises(ImageError, match="more memory"):
        read_image(saved(scene, "BMP"))


def test_bytes_can_be_given_a_name():
    with pytest.raises(ImageError, match=r"^upload 7 is empty"):
        open_image(b"", name="upload 7")


def test_pillows_settings_and_warning_filters_stay(scene):
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    read_image(saved(scene, "PNG"))
    with pytest.raises(ImageError):
        read_image(png(12_000, 12_000))
    after = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    assert before == after


MEMORY_SCRIPT = """
import sys
from pathlib import Path
from maskmill.errors import ImageError
from maskmill.images import read_image

def peak():  # in KiB; getrusage would begin with the peak of the process that started this one
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

files = sorted(Path(sys.argv[1]).iterdir())
read_image(files[0])  # Pillow's plugins and buffers are there before counting begins
before = peak()
for path in files[1:]:
    try:
        read_image(path)
    except ImageError:
        pass
print(peak() - before)
"""


def memory_growth(folder: Path) -> float:
    """MiB by which a fresh process grows at most while it reads a folder, after its first file."""
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc, which only Linux has")
    run = [sys.executable, "-c", MEMORY_SCRIPT, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(images.__file__).parents[1])}
    out = subprocess.run(run, env=environment, check=True, capture_output=True, text=True)
    return int(out.stdout) / 1024


def test_hostile_files_take_no_memory(scene, tmp_path):
    (tmp_path / "0.png").write_bytes(saved(scene, "PNG"))
    for name, (data, _) in hostile_files().items():
        (tmp_path / name).write_bytes(data)
    assert memory_growth(tmp_path) < 32


def test_a_large_image_takes_its_pixels_twice_and_no_more(scene, tmp_path):
    (tmp_path / "0.png").write_bytes(saved(scene, "PNG"))
    large = Image.new("RGBA", (5000, 3000), (9, 8, 7, 100))
    (tmp_path / "1.png").write_bytes(saved(large, "PNG", compress_level=1))
    # 57 MiB decoded as RGBA and 43 as the array, and small bands in between.
    assert 90 < memory_growth(tmp_path) < 57 + 43 + 40


# --- folders, sizes, hashes -----------------------------------------------------------------------


def test_images_are_found_in_order_and_links_do_not_loop(tmp_path):
    names = ["b/2.PNG", "b/10.jpeg", "a.tif", "c.txt", ".hidden.png", ".git/x.png", "b/e.gif.bak"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path, target_is_directory=True)
    found = [str(path.relative_to(tmp_path)) for path in list_images(tmp_path)]
    assert found == ["a.tif", "b/10.jpeg", "b/2.PNG"]
    assert list_images(str(tmp_path / ".git")) == [tmp_path / ".git" / "x.png"]


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(NotFound, match="not a folder"):
        list_images(tmp_path / "gone")


def test_a_folder_that_cannot_be_listed_is_not_passed_over(tmp_path, monkeypatch):
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageError, match="cannot be listed"):
        list_images(tmp_path)


@pytest.mark.reference
@pytest.mark.parametrize("side", [64, 384, 700])
def test_resizing_is_the_references(reference, photographs, side):
    for photograph in photographs.values():
        expected = reference.utils.transforms.ResizeLongestSide(side).apply_image(photograph)
        assert np.array_equal(resize_longest_side(photograph, side), expected)


def test_thumbnails_shrink_and_never_grow(photographs):
    coffee = photographs["coffee"]
    assert thumbnail(coffee, 120).shape == (80, 120, 3)
    assert thumbnail(coffee, 600) is coffee
    assert thumbnail(coffee, 999) is coffee


def test_the_hash_is_of_the_bytes(scene, tmp_path):
    data = saved(scene, "PNG")
    (tmp_path / "x.png").write_bytes(data)
    assert open_image(tmp_path / "x.png").sha256 == content_hash(tmp_path / "x.png")
    assert content_hash(data) == content_hash(tmp_path / "x.png") != content_hash(data + b" ")

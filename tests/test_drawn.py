"""A picture that maskmill drew is known again, wherever it is put and whatever it is called."""

import struct
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

from maskmill.drawn import is_drawn, photographs, picture_bytes

PIXELS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


def test_drawn_pictures_are_told_from_photographs(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    Image.fromarray(PIXELS).save(tmp_path / "b.jpg")
    (tmp_path / "a_overlay.png").write_bytes(picture_bytes(PIXELS, "a.png"))
    (tmp_path / "inside" / "renamed.PNG").write_bytes(picture_bytes(PIXELS[..., 0], "ü.png"))
    assert [path.name for path in photographs(tmp_path)] == ["a.png", "b.jpg"]
    assert is_drawn(tmp_path / "inside" / "renamed.PNG")
    with Image.open(tmp_path / "a_overlay.png") as picture:
        assert (np.array(picture) == PIXELS).all()


def test_a_damaged_png_is_left_to_whoever_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    assert photographs(tmp_path) == [tmp_path / "a.png"]


def test_a_header_of_a_bomb_is_left_to_whoever_reads_it_too(tmp_path: Path) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", crc32(kind + content))
        )

    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    assert photographs(tmp_path) == [tmp_path / "a.png"]

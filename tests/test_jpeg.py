"""The size off a JPEG's first bytes: Pillow's, or none."""

from pathlib import Path

from PIL import Image

from maskmill.formats.photograph import Header, read_header
from maskmill.jpeg import HEAD, plain_jpeg_size


def test_the_short_way_reads_the_header_as_pillow_does(tmp_path: Path) -> None:
    """Every kind of JPEG that Pillow writes, and each of them cut short anywhere."""
    short_way = 0
    for i, options in enumerate([{}, {"progressive": True}, {"comment": b"x" * 3000},
                                 {"icc_profile": b"x" * 500}, {"quality": 100}]):  # fmt: skip
        for mode in ("RGB", "L", "CMYK"):
            path = tmp_path / f"{i}{mode}.jpg"
            Image.new(mode, (40, 24)).save(path, **options)  # type: ignore[arg-type]
            assert read_header(path) == Header((24, 40), 1)
            data = path.read_bytes()
            short_way += plain_jpeg_size(data[:HEAD]) is not None
            for cut in range(0, min(len(data), 700), 7):
                assert plain_jpeg_size(data[:cut]) in (None, (24, 40))
    assert short_way >= 9

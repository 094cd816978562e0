"""Images as browsers show them: thumbnails, and the whole image where the file is not plain.

A plain JPEG, PNG or WebP is sent as it lies on the disk. Anything that a browser might show in
another way than the model sees it (turned by EXIF, 16 bits, CMYK, transparent, TIFF) is sent as
`images.py` reads it. What is made is kept by the file's hash; it is a cache, and may be deleted.
"""

import hashlib
import io
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from maskmill.errors import ImageError
from maskmill.formats.photograph import read_header
from maskmill.geometry import shrunk_size
from maskmill.images import FORMATS, WARNINGS_LOCK, ImageLimits, open_image, thumbnail
from maskmill.rle import Rle, run_lengths

THUMBNAIL_SIDE = 256
"""Longer side of a thumbnail, pixels."""
PLAIN = {"JPEG": ("image/jpeg", ("RGB", "L")), "PNG": ("image/png", ("RGB", "L"))}
"""Formats and modes that are sent as they are, if they are upright and of one frame."""
ORIENTATION, UPRIGHT = 274, 1
OVERLAY_ALPHA = 140
ENDINGS = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "GIF": ".gif",
    "BMP": ".bmp",
    "PPM": ".ppm",
    "AVIF": ".avif",
}
"""What an upload's file ends in, by Pillow's name of its form."""


class Pictures:
    """A folder of pictures made for browsers, by the hash of the file that they were made of.

    Args:
        folder: Made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def thumbnail(self, content_hash: str, path: Path) -> bytes:
        """Return a thumbnail as JPEG, made now if it is not kept.

        Raises:
            ImageError: If the file cannot be read, or is another than was added.
        """
        kept = self._path("thumbnails", content_hash, "jpg")
        if kept.is_file():
            return kept.read_bytes()
        opened = open_image(path)
        _refuse_another(path, opened.sha256, content_hash)
        return self.put_thumbnail(content_hash, opened.array)

    def put_thumbnail(self, content_hash: str, image: UInt8[np.ndarray, "h w 3"]) -> bytes:
        """Make and keep the thumbnail of an image that was just read; returns it as JPEG."""
        content = _encoded(thumbnail(image, THUMBNAIL_SIDE), "JPEG", quality=82)
        _keep(self._path("thumbnails", content_hash, "jpg"), content)
        return content

    def displayed(self, content_hash: str, path: Path) -> tuple[bytes, str]:
        """Return the whole image for a browser, and its media type.

        Raises:
            ImageError: If the file cannot be read, or is another than was added.
        """
        kept = self._path("displayed", content_hash, "png")
        if kept.is_file():
            return kept.read_bytes(), "image/png"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ImageError(
                f"{path.name} cannot be read ({error.strerror}); bring it back"
            ) from error
        _refuse_another(path, hashlib.sha256(content).hexdigest(), content_hash)
        media_type = _plain_type(content)
        if media_type is not None:
            return content, media_type
        shown = _encoded(open_image(content, name=path.name).array, "PNG", compress_level=1)
        _keep(kept, shown)
        return shown, "image/png"

    def _path(self, kind: str, content_hash: str, ending: str) -> Path:
        return self._folder / kind / content_hash[:2] / f"{content_hash}.{ending}"


def checked_header(path: Path) -> tuple[tuple[int, int], str]:
    """Read of a file what it says of itself; its pixels are decoded elsewhere.

    Returns:
        (H, W) of the upright image, and the ending for its form.

    Raises:
        ImageError: If it is no image of an allowed form and size.
    """
    header = read_header(path)
    if header is None:
        open_image(path)  # says in a sentence why not
        raise ImageError(f"{path} is no image that can be read; save it as JPEG or PNG")
    limits = ImageLimits()
    height, width = header.size
    if max(height, width) > limits.max_side or height * width > limits.max_pixels:
        raise ImageError(
            f"{path} is {width:,} x {height:,} pixels; at most {limits.max_side:,} a side and "
            f"{limits.max_pixels:,} in all are read, so scale it down"
        )
    with WARNINGS_LOCK, catch_warnings():
        simplefilter("ignore")
        with Image.open(path, formats=FORMATS) as image:
            return (height, width), ENDINGS[str(image.format)]


def overlay(
    masks: Sequence[Rle],
    colours: Sequence[str],
    size: tuple[int, int],
    side: int = THUMBNAIL_SIDE,
) -> bytes:
    """Draw masks as they lie over a small picture: PNG, clear where there is none.

    Args:
        masks: Of one image, the first one at the bottom.
        colours: One per mask, #rrggbb.
        size: (H, W) of the image, pixels.
        side: Longer side of the picture, at most that of the image; by default a thumbnail's.
    """
    height, width = shrunk_size(size, side)
    rows = ((np.arange(height) + 0.5) * size[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * size[1] / width).astype(np.int64)
    places = columns[None, :] * size[0] + rows[:, None]
    drawn = np.zeros((height, width, 4), np.uint8)
    for mask, colour in zip(masks, colours, strict=True):
        # Looked up in the run lengths: the mask is never decoded at the image's size.
        inside = np.searchsorted(np.cumsum(run_lengths(mask)), places, side="right") % 2 == 1
        drawn[inside] = (*bytes.fromhex(colour[1:]), OVERLAY_ALPHA)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _plain_type(content: bytes) -> str | None:
    """Return the media type of a file that browsers show as the model sees it."""
    try:
        with Image.open(io.BytesIO(content), formats=list(PLAIN)) as header:
            media_type, modes = PLAIN[str(header.format)]
            upright = header.getexif().get(ORIENTATION, UPRIGHT) == UPRIGHT
            plain = header.mode in modes and not header.has_transparency_data
            several = getattr(header, "n_frames", 1) > 1
    except Exception:  # whatever is odd is read by images.py, which has a word for it
        return None
    return media_type if upright and plain and not several else None


def _refuse_another(path: Path, found: str, content_hash: str) -> None:
    if found != content_hash:
        raise ImageError(
            f"{path.name} is not the file that was added under this name; its masks would not "
            "fit: bring the old file back"
        )


def _encoded(image: UInt8[np.ndarray, "h w 3"], form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, form, **options)
    return buffer.getvalue()


def _keep(path: Path, content: bytes) -> None:
    """Write a file whole; a cache that cannot be written is no reason to answer with an error."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)

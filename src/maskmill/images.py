"""Open any photograph safely, as uint8 RGB `h w 3` with EXIF applied, or say in one line why not.

Whatever is wrong with a file, `ImageError` is what leaves this module: it names the file, the
reason and the next step. Sizes are checked in the header, before any pixel is decoded, and pixels
are converted in bands, so memory is bounded by `ImageLimits`. Only the formats listed here are
tried; Pillow's other readers are never reached. No global setting of Pillow is touched.

What is done to unusual pixels (16-bit, CMYK, transparency, animation) is told in `notes`. Files are
only ever read. `docs/decisions/images.md` gives the reasons.
"""

import hashlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from maskmill.errors import ImageError, NotFound
from maskmill.geometry import preprocess_size

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF")
"""Pillow's names of the formats that are read; `docs/decisions/images.md` says why not more."""

_READABLE = (
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .tif .tiff .gif .bmp .dib .pbm .pgm .ppm .avif"
)
# Not readable, but found, so that each is answered with a reason and not passed over.
_UNREADABLE = ".svg .heic .heif .psd .jp2"
EXTENSIONS = frozenset(f"{_READABLE} {_UNREADABLE}".split())
"""Lower-case endings of the files that `list_images` finds."""

_Stream = io.BytesIO | io.BufferedReader

_DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_BAND_PIXELS = 1 << 20
_WHITE_IS_ZERO = 0  # the value of TIFF's tag 262, PhotometricInterpretation

# warnings.catch_warnings changes the filters of the whole process, so one thread at a time.
WARNINGS_LOCK = threading.Lock()

# What a file that Pillow does not know says of itself within its first bytes.
_STRANGERS = (
    (b"8BPS", "a Photoshop document"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"ftyphei", "HEIC"),
    (b"ftypmif1", "HEIC"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"<svg", "SVG, a vector drawing"),
    (b"<html", "a web page"),
    (b"<!DOCTYPE html", "a web page"),
    (b"II*\0", "a damaged TIFF or one of a rare kind"),
    (b"MM\0*", "a damaged TIFF or one of a rare kind"),
    (b"\x89PNG\r\n", "a PNG with a damaged header"),
    (b"\xff\xd8\xff", "a JPEG with a damaged header"),
)


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """How large an image may be; a larger one is refused before it is decoded."""

    max_pixels: int = 89_478_485
    """Width times height; Pillow itself warns of more than the default, and refuses over twice."""
    max_side: int = 30_000
    """Width or height, pixels."""
    max_bytes: int = 600_000_000
    """Size of the file."""


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenedImage:
    """An image's pixels and where they come from.

    Attributes:
        array: The image, RGB, EXIF applied.
        format: Pillow's name of the file's format.
        sha256: Hash of the original bytes, hexadecimal; what the image is known by.
        notes: What was done to get from the file to the array; empty for a plain photograph.
    """

    array: UInt8[np.ndarray, "h w 3"]
    format: str
    sha256: str
    notes: tuple[str, ...] = ()


def read_image(
    source: Path | str | bytes, *, limits: ImageLimits | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image; `open_image` without the notes.

    Args:
        source: A file's path, or a file's bytes.
        limits: How large it may be; the defaults of `ImageLimits` if not given.

    Returns:
        uint8 RGB, EXIF applied.

    Raises:
        ImageError: If the file cannot be used as an image.

    Example:
        >>> read_image(b"P6 2 1 255 " + bytes([255, 0, 0, 0, 0, 255])).tolist()
        [[[255, 0, 0], [0, 0, 255]]]
    """
    return open_image(source, limits=limits).array


def open_added(path: Path, content_hash: str) -> OpenedImage:
    """Open an image of a project, if it is still the file that was added.

    Raises:
        ImageError: If it cannot be used, or is another file.
    """
    if (opened := open_image(path)).sha256 != content_hash:
        raise ImageError(f"{path} is not the file that was added; put the old one back")
    return opened


def open_image(
    source: Path | str | bytes, *, limits: ImageLimits | None = None, name: str | None = None
) -> OpenedImage:
    """Read an image and say what had to be done to it.

    Single-channel images of more than 8 bits are scaled so that their darkest value becomes 0 and
    their brightest 255. Transparent pixels are shown on white. Of an animation, a multi-page TIFF
    or a multi-picture JPEG the first frame is read. CMYK becomes RGB without a colour profile.

    Args:
        source: A file's path, or a file's bytes.
        limits: How large it may be; the defaults of `ImageLimits` if not given.
        name: What to call it in an error; the path if not given.

    Returns:
        The pixels, and the notes.

    Raises:
        ImageError: If the file is missing, is not a regular file, is empty, damaged, too large or
            of a format that is not in `FORMATS`.
    """
    name = name or ("the image" if isinstance(source, bytes) else str(source))
    limits = limits or ImageLimits()
    notes: list[str] = []
    with _stream(source, name, limits) as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        with _decoded(stream, name, limits, notes) as image:
            array = _to_rgb(image, notes)
            return OpenedImage(
                array=array, format=str(image.format), sha256=sha256, notes=tuple(notes)
            )


def content_hash(source: Path | str | bytes) -> str:
    """Return the SHA-256 of a file's original bytes, hexadecimal.

    Raises:
        ImageError: If the file cannot be read.

    Example:
        >>> content_hash(b"abc")[:8]
        'ba7816bf'
    """
    name = "the image" if isinstance(source, bytes) else str(source)
    with _stream(source, name, ImageLimits()) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def list_images(folder: Path | str) -> list[Path]:
    """Find all images of a folder and the folders in it, by their endings.

    Hidden files and folders (a leading dot) are passed over, and folders that are symbolic links
    are not entered, so a loop of links ends.

    Args:
        folder: Where to look.

    Returns:
        Paths that begin with `folder`, in the order of their names; empty if there are none.

    Raises:
        NotFound: If there is no such folder.
        ImageError: If a folder in it cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotFound(f"{folder} is not a folder; give a folder with images in it")

    def refuse(error: OSError) -> None:
        raise ImageError(
            f"{error.filename} cannot be listed ({error.strerror}); allow reading it or move it out"
        ) from error

    found = []
    for root, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [f for f in folders if not f.startswith(".")]
        found += [
            Path(root, f)
            for f in files
            if not f.startswith(".") and os.path.splitext(f)[1].lower() in EXTENSIONS
        ]
    return sorted(found)


def resize_longest_side(
    image: UInt8[np.ndarray, "h w 3"], side: int
) -> UInt8[np.ndarray, "new_h new_w 3"]:
    """Resize an image so that its longer side is `side` pixels: into the input frame, unpadded.

    Pillow's bilinear filter, as the reference uses it: when it shrinks, it averages.

    Source:
        `ResizeLongestSide.apply_image` of segment-anything.
    """
    height, width = preprocess_size(image.shape[:2], side)
    if (height, width) == image.shape[:2]:
        return image
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.array(resized)


def thumbnail(
    image: UInt8[np.ndarray, "h w 3"], side: int = 256
) -> UInt8[np.ndarray, "new_h new_w 3"]:
    """Shrink an image to at most `side` pixels along its longer side; a smaller one stays as is."""
    return image if max(image.shape[:2]) <= side else resize_longest_side(image, side)


@contextmanager
def _stream(source: Path | str | bytes, name: str, limits: ImageLimits) -> Iterator[_Stream]:
    """Open a regular, non-empty file of allowed size; turn every failure inside into ImageError."""
    stream: _Stream
    try:
        if isinstance(source, bytes):
            size, stream = len(source), io.BytesIO(source)
        else:
            # Looked at before it is opened: opening a pipe would wait for a writer for ever.
            status = os.stat(source)
            if not stat.S_ISREG(status.st_mode):
                kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
                raise ImageError(f"{name} is {kind}, not a file; give an image file")
            size, stream = status.st_size, open(source, "rb")  # noqa: SIM115
        with stream:
            if size == 0:
                raise ImageError(f"{name} is empty (0 bytes); copy it again from where it came")
            if size > limits.max_bytes:
                raise ImageError(
                    f"{name} holds {size:,} bytes; at most {limits.max_bytes:,} are read, "
                    "so make it smaller (Python: pass ImageLimits)"
                )
            yield stream
    except ImageError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ImageError(f"{name} cannot be read ({reason}); check the path") from error
    except ValueError as error:  # a path with a zero byte in it
        raise ImageError(f"{name!r} is not a path ({error}); check the path") from error


@contextmanager
def _decoded(
    stream: _Stream, name: str, limits: ImageLimits, notes: list[str]
) -> Iterator[Image.Image]:
    """Decode the first frame, upright; turn whatever Pillow throws or warns into our own words."""
    head = b""
    try:
        stream.seek(0)
        head = stream.read(512)
        with _warnings_as_notes(notes):
            image = Image.open(stream, formats=FORMATS)
            _check_size(image.size, name, limits)
            if getattr(image, "is_animated", False):
                notes.append(f"{image.format} of several frames or pages: only the first is read")
            image.load()
            _turn_upright(image, notes)
        with image:
            yield image
    except ImageError:
        raise
    # Pillow's readers throw nearly every class there is at damaged files: OSError, SyntaxError,
    # ValueError, struct.error, zlib.error, EOFError, IndexError, OverflowError, MemoryError...
    except Exception as error:
        raise ImageError(f"{name} {_reason(error, head, limits)}") from error


@contextmanager
def _warnings_as_notes(notes: list[str]) -> Iterator[None]:
    with WARNINGS_LOCK, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = {
        f"Pillow: {w.message}"
        for w in caught
        if not issubclass(w.category, Image.DecompressionBombWarning)
    }
    notes.extend(sorted(texts)[:5])


def _check_size(size: tuple[int, int], name: str, limits: ImageLimits) -> None:
    width, height = size
    if min(size) < 1:
        raise ImageError(f"{name} has no pixels ({width} x {height}); copy it again")
    if max(size) > limits.max_side or width * height > limits.max_pixels:
        raise ImageError(
            f"{name} is {width:,} x {height:,} pixels; at most {limits.max_side:,} a side and "
            f"{limits.max_pixels:,} in all are read, so scale it down (Python: pass ImageLimits)"
        )


def _reason(error: Exception, head: bytes, limits: ImageLimits) -> str:
    """Say what is wrong and what to do, from what was thrown and how the file begins."""
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"has far too many pixels; at most {limits.max_pixels:,} are read, so scale it down "
            f"({error})"
        )
    if isinstance(error, MemoryError):
        return "needs more memory to decode than there is; scale it down"
    if isinstance(error, UnidentifiedImageError):
        kinds = (kind for mark, kind in _STRANGERS if mark.lower() in head.lower())
        kind = next(kinds, None)
        what = f"is {kind}" if kind else "is not an image, or its header is damaged"
        return f"{what}; save it as JPEG, PNG, WebP or TIFF"
    return f"is damaged or cut short ({error or type(error).__name__}); copy it again"


def _turn_upright(image: Image.Image, notes: list[str]) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception as error:  # as many classes as in _decoded, for metadata that nobody needs
        notes.append(f"its EXIF data is damaged ({error})")


def _to_rgb(image: Image.Image, notes: list[str]) -> UInt8[np.ndarray, "h w 3"]:
    """Convert a decoded image of any mode, band by band so that no second full copy is needed."""
    if image.mode in _DEEP_MODES:
        grey = _to_8_bit(np.asarray(image), notes)
        tags = getattr(image, "tag_v2", {})
        if tags.get(262) == _WHITE_IS_ZERO:
            grey = 255 - grey
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "CMYK":
        notes.append("CMYK: turned into RGB without a colour profile")
    width, height = image.size
    array = np.empty((height, width, 3), np.uint8)
    transparent = False
    for rows in _bands(height, width):
        band = image.crop((0, rows.start, width, rows.stop))
        if image.has_transparency_data:
            band = band.convert("RGBA")
            transparent |= band.getchannel("A").getextrema() != (255, 255)
            band = Image.alpha_composite(Image.new("RGBA", band.size, "white"), band)
        array[rows] = np.asarray(band.convert("RGB"))
    if transparent:
        notes.append("transparent: shown on white")
    return array


def _to_8_bit(values: Shaped[np.ndarray, "h w"], notes: list[str]) -> UInt8[np.ndarray, "h w"]:
    """Scale deep values from their own range to 0..255; Pillow's `convert` clips them at 255."""
    low, high = _finite_range(values)
    if high <= low:
        # A flat image has no range of its own: 16-bit white stays white, and float white is 1.
        low, high = (0.0, 1.0) if values.dtype.kind == "f" else (0.0, 65535.0)
    notes.append(f"{values.dtype.itemsize * 8}-bit: {low:g} to {high:g} scaled to 0 to 255")
    out = np.empty(values.shape, np.uint8)
    for rows in _bands(*values.shape):
        with np.errstate(invalid="ignore"):  # a signalling NaN complains of being cast
            share = (values[rows].astype(np.float64) - low) / (high - low)
        share = np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
        out[rows] = (share * 255 + 0.5).astype(np.uint8)
    return out


def _finite_range(values: Shaped[np.ndarray, "h w"]) -> tuple[float, float]:
    """Return the least and the greatest value; the wrong way round if none is finite."""
    low, high = np.inf, -np.inf
    for rows in _bands(*values.shape):
        finite = values[rows][np.isfinite(values[rows])]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return low, high


def _bands(height: int, width: int) -> Iterator[slice]:
    """Cut an image's rows into bands of about a million pixels."""
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))

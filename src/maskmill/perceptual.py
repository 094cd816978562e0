"""Perceptual hashes: 64 bits that near duplicates share but for a few, whatever their files say.

The hash is the sign of an image's lowest frequencies (a DCT of it at 32 x 32 pixels) against their
median, as "pHash" has it. JPEGs are decoded at an eighth of their size, so it costs less than a
millisecond beside reading the file.
"""

import io
from collections.abc import Iterator, Sequence
from warnings import catch_warnings, simplefilter

import numpy as np
from jaxtyping import Int64
from PIL import Image, ImageOps

from maskmill.images import FORMATS, WARNINGS_LOCK, ImageLimits
from maskmill.jpeg import HEAD, plain_jpeg_size

_JPEG_END = b"\xff\xd9"  # what is cut short is left to Pillow, which refuses it
SIDE, LOWEST = 32, 8
"""Pixels of the image that is transformed; frequencies that are kept, along each axis."""
MIDDLE = (LOWEST**2 - 1) // 2
"""Place of the median among all of them but the first."""
BANDS = 4
"""Parts of a hash; hashes that differ in fewer bits than there are parts share one of them."""


def perceptual_hash(content: bytes, limits: ImageLimits | None = None) -> int | None:
    """Hash what an image shows.

    Args:
        content: Its file.
        limits: As of `read_image`: what is larger is not decoded.

    Returns:
        64 bits as a signed number, which SQL keeps; None if it is no image that we can open.

    Source:
        Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
    """
    limits = limits or ImageLimits()
    size = plain_jpeg_size(content[:HEAD])
    if size is not None and size[0] * size[1] > limits.max_pixels:
        return None
    grey = None if size is None or not content.endswith(_JPEG_END) else _at_an_eighth(content, size)
    if grey is None:
        grey = _by_pillow(content, limits)
    return None if grey is None else _hash(np.asarray(grey, np.float32))


def _at_an_eighth(content: bytes, size: tuple[int, int]) -> Image.Image | None:
    """Decode a JPEG as Pillow's draft mode does, to the very pixel, in two thirds of its time."""
    import cv2

    # A smaller one Pillow decodes larger, and other colours (CMYK) in its own way.
    if min(size) < 8 * SIDE or b"Adobe" in content[:HEAD]:
        return None
    mode = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
    found = cv2.imdecode(np.frombuffer(content, np.uint8), mode)
    return None if found is None else _small(Image.fromarray(found))


def _small(image: Image.Image) -> Image.Image:
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def _by_pillow(content: bytes, limits: ImageLimits) -> Image.Image | None:
    try:
        with WARNINGS_LOCK, catch_warnings():
            simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > limits.max_pixels:
                    return None
                image.draft("L", (SIDE, SIDE))  # of a JPEG: no larger than needed
                small = _small(image.convert("L"))
                return ImageOps.exif_transpose(small) if _may_be_turned(image) else small
    except Exception:  # Pillow throws nearly every class at damaged files; see images.py
        return None


def _may_be_turned(image: Image.Image) -> bool:
    return "exif" in image.info or image.format == "TIFF"


def _hash(grey: np.ndarray) -> int:
    import cv2

    low = cv2.dct(grey)[:LOWEST, :LOWEST].reshape(-1)
    # The first is the mean brightness, which says nothing of what is shown.
    bits = low > np.partition(low[1:], MIDDLE)[MIDDLE]
    return int(np.packbits(bits).view(">i8")[0])


def near_pairs(hashes: Sequence[int], bits: int = BANDS - 1) -> Iterator[tuple[int, int]]:
    """Find hashes that differ in few bits, in about the time that sorting takes.

    Hashes that differ in fewer bits than there are bands agree on a whole band, so only those that
    share one are compared. Equal hashes are chained, each with the next, so that a thousand copies
    give 999 pairs.

    Args:
        hashes: As `perceptual_hash` gives them.
        bits: Most bits that differ, below `BANDS`.

    Yields:
        Places of both, the smaller first; each pair once.

    Raises:
        ValueError: If `bits` is not in [0, `BANDS`).
    """
    if not 0 <= bits < BANDS:
        raise ValueError(f"bits is {bits}; it must be from 0 to {BANDS - 1}")
    values, first, inverse = np.unique(
        np.asarray(hashes, np.int64), return_index=True, return_inverse=True
    )
    order = np.argsort(inverse, kind="stable")
    same = inverse[order][1:] == inverse[order][:-1]
    yield from zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True)
    found: set[tuple[int, int]] = set()
    bands = values.view(np.uint16).reshape(-1, BANDS)
    for band in range(BANDS if bits else 0):
        found.update(_near_in_band(values, bands[:, band], bits))
    for i, j in sorted(found):
        a, b = sorted((int(first[i]), int(first[j])))
        yield a, b


def _near_in_band(
    values: Int64[np.ndarray, " n"], band: np.ndarray, bits: int
) -> Iterator[tuple[int, int]]:
    order = np.argsort(band, kind="stable")
    bounds = np.flatnonzero(np.diff(band[order].astype(np.int64), prepend=-1, append=-1))
    shared = np.flatnonzero(np.diff(bounds) > 1)
    for start, stop in zip(bounds[shared].tolist(), bounds[shared + 1].tolist(), strict=True):
        some = order[start:stop]
        for place in range(len(some) - 1):
            apart = np.bitwise_count(
                (values[some[place]] ^ values[some[place + 1 :]]).view(np.uint64)
            )
            for other in np.flatnonzero(apart <= bits).tolist():
                i, j = int(some[place]), int(some[place + 1 + other])
                yield min(i, j), max(i, j)

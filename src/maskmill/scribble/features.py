"""What a pixel looks like: colour and texture at several scales, and what two networks see there.

Classical filters say how a pixel and its neighbourhood look; the same numbers relative to their own
image say how it differs from the rest, which survives another exposure or stain. Descriptors were
learned for what carries over from strokes to other images (`describing.py`). The promptable model's
embedding and its finer maps say what it is part of. They are kept at their own strides and 8 bits,
about 1.4 megabytes for an image of 512 pixels, so that 200 images are predicted again without
reading one of them. `pixels.py` reduces and upsamples the model's maps. Sizes are (H, W).
"""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from maskmill.durable import write_atomically
from maskmill.errors import ImageError
from maskmill.geometry import shrunk_size
from maskmill.scribble.describing import describe
from maskmill.values import Embedding

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the Gaussians, pixels of the working image."""
FAR = (16.0, 32.0)
"""Wider ones, for what surrounds a pixel."""
CELLS = 128
"""The working grid has at most so many cells a side: stride 4 for an image of 512 pixels."""
MOST_SIDE = 1536
"""Filters see an image with this longer side at most, pixels: those of a photograph of 24 MP are
noise at the scales above, and take half a minute and nine gigabytes."""
VERSION = 4
"""Of the cached form and of what is computed; a cache of another version is made anew."""

Map = Float32[np.ndarray, "_c _h _w"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantised:
    """A map in 8 bits, each channel over its own range.

    Attributes:
        levels: 0 is the channel's least value, 255 its greatest.
        least: Per channel.
        step: Value of one level, per channel.
    """

    levels: UInt8[np.ndarray, "c h w"]
    least: Float32[np.ndarray, " c"]
    step: Float32[np.ndarray, " c"]

    def values(self) -> Map:
        """Return the map; off by half a step at most."""
        values: Map = self.levels * self.step[:, None, None]
        values += self.least[:, None, None]  # in place: megabytes that are new cost more than sums
        return values


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """All that the classifier needs of one image, at the working grid.

    Attributes:
        classical: Filter responses, averaged over each cell of the grid.
        descriptors: What the pixel encoder makes of each cell.
        maps: The model's embedding and its finer maps, coarse to fine, without padding; empty
            where there was no embedding.
        spans: Per map, how many of its cells (rows, columns) the image fills; a fraction of the
            last cell may be padding.
        size: (H, W) of the image, pixels.
        model_id: The checkpoint that made the maps; empty for none.
    """

    classical: Quantised
    descriptors: Quantised
    maps: tuple[Quantised, ...] = ()
    spans: tuple[tuple[float, float], ...] = ()
    size: tuple[int, int]
    model_id: str = ""

    @property
    def stride(self) -> float:
        """Pixels of the working image a cell of the grid, each way."""
        rows: int = self.classical.levels.shape[1]
        return shrunk_size(self.size, MOST_SIDE)[0] / rows


def grid_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (rows, columns) of the working grid of an image.

    Example:
        >>> grid_size((384, 512)), grid_size((100, 60))
        ((96, 128), (100, 60))
    """
    stride = max(1, -(-max(size) // CELLS))
    return -(-size[0] // stride), -(-size[1] // stride)


def working_image(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return an image as filters see it: itself, unless it is large."""
    height, width = shrunk_size((image.shape[0], image.shape[1]), MOST_SIDE)
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


def extract(image: UInt8[np.ndarray, "h w 3"], embedding: Embedding | None) -> Features:
    """Compute the features of one image at the working grid.

    Args:
        image: RGB pixels.
        embedding: What the promptable model made of this image; None to do without its maps.
    """
    size = (image.shape[0], image.shape[1])
    rows, columns = grid_size(size)
    small = np.stack(
        [
            cv2.resize(c, (columns, rows), interpolation=cv2.INTER_AREA)
            for c in classical(working_image(image))
        ]
    )
    maps, spans = model_maps(embedding)
    return Features(
        classical=quantise(small),
        descriptors=quantise(describe(image, (rows, columns))),
        maps=tuple(quantise(m) for m in maps),
        spans=spans,
        size=size,
        model_id=embedding.model_id if embedding else "",
    )


def model_maps(
    embedding: Embedding | None,
) -> tuple[tuple[Map, ...], tuple[tuple[float, float], ...]]:
    """Return an embedding's maps without padding, and how far the image fills each.

    They are rounded to float16, as the embeddings that a project keeps are: a classifier that was
    trained there answers elsewhere, from a fresh embedding, the very same.
    """
    if embedding is None:
        return (), ()
    maps, spans = [], []
    for array in (embedding.array, *embedding.high_res):
        stride = embedding.input_side / array.shape[1]
        span = (embedding.input_size[0] / stride, embedding.input_size[1] / stride)
        rows, columns = int(np.ceil(span[0])), int(np.ceil(span[1]))
        maps.append(array[:, :rows, :columns].astype(np.float16).astype(np.float32))
        spans.append(span)
    return tuple(maps), tuple(spans)


def classical(image: UInt8[np.ndarray, "h w 3"]) -> Map:
    """Compute filter responses at every pixel.

    The image's colours in CIE L*a*b*, and at each scale: the smoothed colours, gradient magnitude,
    Laplacian, both eigenvalues of the Hessian, both of the structure tensor, and local contrast.
    Derivatives are of lightness and multiplied by their scale, so that all scales weigh alike.

    Returns:
        Channels over the image's pixels.
    """
    lab = _lab(image)
    light = np.ascontiguousarray(lab[..., 0])
    channels = list(cv2.split(lab))
    for sigma in SCALES:
        smooth = _gaussian(lab, sigma)
        channels += cv2.split(smooth)
        channels += _edges(np.ascontiguousarray(smooth[..., 0]), sigma)
        channels += _structure(_gaussian(light, sigma / 2), sigma)
        variance = _gaussian(light * light, sigma) - smooth[..., 0] ** 2
        channels.append(np.sqrt(np.maximum(variance, 0)))
    return np.stack(channels)


def lightness(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Return L*/50, the first of the filter responses."""
    return np.ascontiguousarray(_lab(image)[..., 0])


def differences(responses: Map, stride: float) -> Map:
    """Compare colours and lightness with what lies round them, near and far.

    A tree asks for one number at a time, so a difference of two has to be one.

    Args:
        responses: As `classical` returns them, at any resolution.
        stride: Pixels of the working image per cell.

    Returns:
        Smoothed colours minus colours smoothed two scales wider, and lightness in the spread of
        its surroundings.
    """
    smooth = [responses[0:3]]
    per_scale = (len(responses) - 3) // len(SCALES)
    smooth += [responses[3 + per_scale * i :][:3] for i in range(len(SCALES))]
    smooth += [_each_channel(responses[0:3], sigma / stride) for sigma in FAR]
    parts = [near - far for near, far in zip(smooth, smooth[2:], strict=False)]
    light, squared = responses[0], responses[0] ** 2
    for sigma, far in zip(FAR, smooth[-len(FAR) :], strict=True):
        variance = _gaussian(squared, sigma / stride) - far[0] ** 2
        spread = np.sqrt(np.maximum(variance, 0)) + np.float32(0.02)
        parts.append(
            np.stack([(light - far[0]) / spread, (smooth[2][0] - far[0]) / spread, spread])
        )
    return np.concatenate(parts)


def relative(
    responses: Float32[np.ndarray, "c h w"], of: Float32[np.ndarray, "c _h _w"]
) -> Float32[np.ndarray, "c h w"]:
    """Say how far each response lies from its image's middle, in the image's own spread.

    Args:
        responses: Filter responses at any resolution.
        of: Responses of the whole image, from which middle and spread are taken.

    Returns:
        Responses minus the median, over the median distance from it. Outliers are not bounded: a
        forest only asks what is greater.
    """
    # About a thousand cells: their median is the image's, and sorting all of them was a third of
    # the time that a prediction takes.
    step = max(1, min(of.shape[1:]) // 32)
    flat = np.ascontiguousarray(of[:, ::step, ::step]).reshape(len(of), -1)
    middle = np.median(flat, axis=1)[:, None]
    spread = np.median(np.abs(flat - middle), axis=1)[:, None] + np.float32(0.01)
    told: Map = responses - middle[:, :, None]
    told /= spread[:, :, None]
    return told


def quantise(values: Float[np.ndarray, "c h w"]) -> Quantised:
    """Keep a map in 8 bits."""
    least, most = values.min(axis=(1, 2)), values.max(axis=(1, 2))
    step = np.maximum(most - least, 1e-6) / 255
    levels = np.round((values - least[:, None, None]) / step[:, None, None])
    return Quantised(
        levels=levels.astype(np.uint8),
        least=least.astype(np.float32),
        step=step.astype(np.float32),
    )


def to_bytes(features: Features) -> bytes:
    """Return the cached form of an image's features: a NumPy archive without objects in it."""
    arrays: dict[str, np.ndarray] = {
        "version": np.array(VERSION),
        "size": np.array(features.size),
        "spans": np.array(features.spans, np.float64).reshape(-1, 2),
        "model_id": np.array(features.model_id),
    }
    for i, part in enumerate((features.classical, features.descriptors, *features.maps)):
        arrays |= {f"levels{i}": part.levels, f"least{i}": part.least, f"step{i}": part.step}
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def from_bytes(content: bytes, *, where: str = "the cached features") -> Features:
    """Read the cached form.

    Raises:
        ImageError: If it is damaged or of another version; compute the features again.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if int(arrays["version"]) != VERSION:
                raise ImageError(f"{where} are of version {arrays['version']}; remove them")
            spans = tuple((float(r), float(c)) for r, c in arrays["spans"])
            parts = [
                Quantised(
                    levels=arrays[f"levels{i}"], least=arrays[f"least{i}"], step=arrays[f"step{i}"]
                )
                for i in range(len(spans) + 2)
            ]
            height, width = (int(v) for v in arrays["size"])
            return Features(
                classical=parts[0],
                descriptors=parts[1],
                maps=tuple(parts[2:]),
                spans=spans,
                size=(height, width),
                model_id=str(arrays["model_id"]),
            )
    except ImageError:
        raise
    except Exception as error:  # NumPy and zipfile throw many classes at damaged bytes
        raise ImageError(f"{where} are damaged ({error}); remove them and run again") from error


class FeatureCache:
    """Features of images on disk, one file per image and model, found by the image's content hash.

    What is damaged counts as missing: it is computed again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, content_hash: str, model_id: str) -> Path:
        """Return where an image's features lie, whether they are there or not."""
        return self.folder / f"{content_hash}-{model_id or 'classical'}.npz".replace("/", "_")

    def get(self, content_hash: str, model_id: str) -> Features | None:
        """Return an image's features, or None if they are missing or damaged."""
        path = self.path(content_hash, model_id)
        try:
            return from_bytes(path.read_bytes(), where=str(path))
        except (OSError, ImageError):
            return None

    def put(self, content_hash: str, features: Features) -> None:
        """Write an image's features, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path(content_hash, features.model_id), to_bytes(features))


def _lab(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / np.float32(50)
    return np.asarray(lab, np.float32)


def _gaussian(values: np.ndarray, sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))


def _each_channel(values: Map, sigma: float) -> Map:
    return np.stack([_gaussian(np.ascontiguousarray(channel), sigma) for channel in values])


def _edges(smooth: Float32[np.ndarray, "h w"], sigma: float) -> list[np.ndarray]:
    """Gradient magnitude, Laplacian, and the Hessian's eigenvalues of a smoothed image."""
    # A Sobel kernel's weights add up to 8 for first derivatives and to 4 for second ones.
    along_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=sigma / 8)
    along_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=sigma / 8)
    xx = cv2.Sobel(smooth, cv2.CV_32F, 2, 0, scale=sigma**2 / 4)
    yy = cv2.Sobel(smooth, cv2.CV_32F, 0, 2, scale=sigma**2 / 4)
    xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1, scale=sigma**2 / 4)
    return [np.hypot(along_x, along_y), xx + yy, *_eigenvalues(xx, xy, yy)]


def _structure(smooth: Float32[np.ndarray, "h w"], sigma: float) -> list[np.ndarray]:
    """Roots of the structure tensor's eigenvalues: contrast across and along what runs here."""
    along_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=sigma / 8)
    along_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=sigma / 8)
    products = (along_x * along_x, along_x * along_y, along_y * along_y)
    values = _eigenvalues(*(_gaussian(p, sigma) for p in products))
    return [np.sqrt(np.maximum(v, 0)) for v in values]


def _eigenvalues(xx: np.ndarray, xy: np.ndarray, yy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of symmetric 2 x 2 matrices, greater first."""
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return middle + half, middle - half

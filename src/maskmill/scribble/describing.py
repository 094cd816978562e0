"""Descriptors of an image's pixels by the pixel encoder that ships with maskmill.

The encoder (`model.pixel_encoder`) was taught once, on made-up projects and photographs, what
carries over from strokes on one image to others (`scribble.pretrain`). It runs as ONNX. Its answers
are kept with an image's features, so another encoder is another `features.VERSION`.
"""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from jaxtyping import Float32, UInt8

ENCODER = "weights/pixels/encoder.onnx"
"""In the package."""
DESCRIPTORS = 24
"""Channels, `model.pixel_encoder.DESCRIPTORS`."""
STRIDE = 4
"""Pixels that the encoder sees of a cell, each way."""
MARGIN = 16
"""Cells that are mirrored around an image: beyond its edge the encoder sees nothing, which shows in
descriptors near by, and strokes may lie there."""


def describe(
    image: UInt8[np.ndarray, "h w 3"], grid: tuple[int, int]
) -> Float32[np.ndarray, "24 rows columns"]:
    """Describe an image at its working grid.

    Args:
        image: RGB pixels.
        grid: Rows and columns, see `features.grid_size`.
    """
    rows, columns = grid
    size = (columns * STRIDE, rows * STRIDE)
    how = cv2.INTER_AREA if image.shape[1] > size[0] else cv2.INTER_LINEAR
    seen = np.asarray(cv2.resize(image, size, interpolation=how), np.float32) / 255
    wide = MARGIN * STRIDE
    framed = np.asarray(cv2.copyMakeBorder(seen, wide, wide, wide, wide, cv2.BORDER_REFLECT))
    planes = np.ascontiguousarray(framed.transpose(2, 0, 1))[None]
    found: Float32[np.ndarray, "24 _h _w"] = _encoder().run(None, {"image": planes})[0][0]
    return np.ascontiguousarray(found[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


def open_encoder(graph: bytes | str) -> Any:
    """Open an encoder's ONNX, its bytes or its path, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@cache
def _encoder() -> Any:
    """Open the encoder that ships, once a process."""
    return open_encoder(str(Path(str(resources.files("maskmill"))) / ENCODER))

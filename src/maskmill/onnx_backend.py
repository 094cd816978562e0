"""Runs exported ONNX files with NumPy in and out; knows ONNX Runtime and no PyTorch.

The files' inputs and outputs are described in `docs/decisions/onnx.md`. Prompts without a mask and
prompts with one have a graph each: without a mask, all prompts share the image's side of the first
attention, which is computed once per call instead of once per prompt. For the grids of everything
mode the decoder stands in two halves: most masks of a grid are not worth drawing.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int

from maskmill.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    import onnxruntime

ENCODER_FILE = "encoder.onnx"
DECODER_FILE = "decoder.onnx"
MASK_DECODER_FILE = "decoder_mask.onnx"
SHARE_FILE = "grid_share.onnx"
ATTEND_FILE = "grid_attend.onnx"
DRAW_FILE = "grid_draw.onnx"
ONNX_FILES = (ENCODER_FILE, DECODER_FILE, MASK_DECODER_FILE)
"""What an exported model's folder holds beside its card."""
GRID_FILES = (SHARE_FILE, ATTEND_FILE, DRAW_FILE)
"""What it also holds where everything mode has a quicker way; see `model.grid_decoder`."""


def has_onnx_files(folder: Path) -> bool:
    """Tell whether a model's folder holds every exported file."""
    return all((folder / name).is_file() for name in ONNX_FILES)


class OnnxBackend:
    """One exported model; safe to call from several threads, and picklable.

    A session is made when it is first needed: whoever decodes a stored embedding never loads the
    encoder. A copy sent to another process carries the folder's path and makes its own sessions.

    Args:
        folder: A model's folder that holds the exported files.
        threads: Threads per call; by default one per core.

    Raises:
        ConfigError: If an exported file is missing, or `threads` is not positive.
    """

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        if not has_onnx_files(folder):
            raise ConfigError(
                f"{folder} does not hold {', '.join(ONNX_FILES)}; "
                "run `maskmill model export` on the model, or use the torch backend"
            )
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}; it must be at least 1")
        self._folder = folder
        self._threads = threads
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self._folder, self._threads)

    def encode(
        self, image: Float32[np.ndarray, "1 3 s s"]
    ) -> tuple[Float32[np.ndarray, "1 c h w"], tuple[Float32[np.ndarray, "1 _c _h _w"], ...]]:
        """Return the embedding and the finer maps of one normalised, padded input frame."""
        embedding, *high_res = self._run(ENCODER_FILE, {"image": image})
        return embedding, tuple(high_res)

    def decode(
        self,
        embedding: Float32[np.ndarray, "1 c h w"],
        high_res: tuple[Float32[np.ndarray, "1 _c _h _w"], ...],
        point_coords: Float32[np.ndarray, "n p 2"],
        point_labels: Int[np.ndarray, "n p"],
        mask_input: Float32[np.ndarray, "n 1 low low"] | None,
        multimask_output: bool,
    ) -> tuple[Float32[np.ndarray, "n k low low"], Float32[np.ndarray, "n k"]]:
        """Return low-res mask logits and predicted IoU of `n` prompts in the input frame."""
        feeds = {
            **_image_feeds(embedding, high_res),
            "point_coords": point_coords,
            "point_labels": point_labels.astype(np.float32),
        }
        if mask_input is not None:
            feeds["mask_input"] = mask_input
        name = DECODER_FILE if mask_input is None else MASK_DECODER_FILE
        logits, iou = self._run(name, feeds)
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        return logits[:, chosen], iou[:, chosen]

    def point_decoder(
        self,
        embedding: Float32[np.ndarray, "1 c h w"],
        high_res: tuple[Float32[np.ndarray, "1 _c _h _w"], ...],
    ) -> "OnnxPointDecoder | None":
        """Return a decoder for many single points on one image; see `maskmill.automask`.

        None for a model that was exported without one.
        """
        if not all((self._folder / name).is_file() for name in GRID_FILES):
            return None
        share, attend, draw = (self._session(name, 1) for name in GRID_FILES)
        image = _image_feeds(embedding, high_res)
        names = [output.name for output in share.get_outputs()]
        image |= dict(zip(names, share.run(None, image), strict=True))
        return OnnxPointDecoder(attend, draw, image, self._threads or os.cpu_count() or 1)

    def _run(self, name: str, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        outputs: list[np.ndarray] = self._session(name, self._threads).run(None, feeds)
        return outputs

    def _session(self, name: str, threads: int | None) -> "onnxruntime.InferenceSession":
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = _open_session(self._folder / name, threads)
            return self._sessions[name]


NUMBERS_AT_ONCE = 1 << 19
"""About the size of what is held of one call's points, float32: what a core's cache holds."""


class OnnxPointDecoder:
    """The decoder in parts, for single foreground points on one image.

    Its sessions run on one thread each: two batches on a core each finish sooner than two batches
    on two cores one after the other.

    Args:
        attend: Session of what tells which masks are worth drawing.
        draw: Session of what draws.
        image: The image's maps and what all points share of them, by name.
        threads: How many may call this at once.
    """

    def __init__(
        self,
        attend: "onnxruntime.InferenceSession",
        draw: "onnxruntime.InferenceSession",
        image: dict[str, np.ndarray],
        threads: int,
    ) -> None:
        self._attend, self._draw, self._count = attend, draw, threads
        self._for_attend, self._for_draw = (
            {i.name: image[i.name] for i in session.get_inputs() if i.name in image}
            for session in (attend, draw)
        )
        self._names = [output.name for output in attend.get_outputs()]
        self._asked = {i.name for i in draw.get_inputs()} & set(self._names)
        one = next(o for o in attend.get_outputs() if o.name.endswith("attention"))
        self.most_at_once = max(1, NUMBERS_AT_ONCE // (2 * one.shape[1] * one.shape[2]))

    def attend(
        self, points: Float32[np.ndarray, "n 2"]
    ) -> tuple[dict[str, np.ndarray], Float32[np.ndarray, "n k"]]:
        """Return what `draw` needs, and what is to be expected of each point's three candidates."""
        outputs = self._attend.run(None, {**self._for_attend, "points": points})
        seen = dict(zip(self._names, outputs, strict=True))
        promised = "seen.promise" if "seen.promise" in seen else "seen.predicted_iou"
        return seen, seen[promised]

    def draw(
        self, seen: dict[str, np.ndarray], rows: Int[np.ndarray, " m"]
    ) -> tuple[Float32[np.ndarray, "m k low low"], Float32[np.ndarray, "m k"]]:
        """Return low-res mask logits and predicted IoU of some of the points that were seen."""
        feeds = {name: seen[name][rows] for name in self._asked}
        logits, *iou = self._draw.run(None, {**self._for_draw, **feeds})
        # A model that was exported by an earlier version has judged its masks before drawing them.
        return logits, iou[0] if iou else seen["seen.predicted_iou"][rows]

    @contextmanager
    def threads(self) -> Iterator[ThreadPoolExecutor | None]:
        """Return a pool whose threads may call this at once."""
        if self._count == 1:
            yield None
            return
        with ThreadPoolExecutor(self._count, "decode") as pool:
            yield pool


def _image_feeds(
    embedding: Float32[np.ndarray, "1 c h w"],
    high_res: tuple[Float32[np.ndarray, "1 _c _h _w"], ...],
) -> dict[str, np.ndarray]:
    finer = dict(zip(("high_res_8", "high_res_4"), high_res, strict=False))
    return {"embedding": embedding, **finer}


def _reopen(folder: Path, threads: int | None) -> OnnxBackend:
    return OnnxBackend(folder, threads=threads)


def _open_session(path: Path, threads: int | None) -> "onnxruntime.InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Planned buffers are kept per shape, and the number of prompts varies: 40 % more memory for no
    # time. The arena stays: without it every call faults its pages in anew.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    # Threads that spin while they wait take the core from whoever has work to do on it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own classes derive from nothing narrower
        raise CheckpointError(
            f"{path} is not a usable ONNX file ({str(error).splitlines()[0]}); "
            "install or export the model again"
        ) from error

"""Runs a `Sam` for inference with NumPy arrays in and out: the PyTorch half of `predict`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from maskmill.model.banded_encoder import encode_in_bands, threads_of_one
from maskmill.model.checkpoint import load_model
from maskmill.model.grid_decoder import GridDecoder, Seen
from maskmill.model.image_encoder import ImageEncoderViT
from maskmill.model.sam import Sam


class TorchBackend:
    """One model on one device; safe to call from several threads.

    Args:
        sam: A model in evaluation mode, on the device to run on.

    Raises:
        ValueError: If the model is in training mode, in which its batch statistics would move.
    """

    def __init__(self, sam: Sam) -> None:
        if sam.training:
            raise ValueError("the model is in training mode; call sam.eval() before predicting")
        self._sam = sam

    def encode(
        self, image: Float32[np.ndarray, "1 3 s s"]
    ) -> tuple[Float32[np.ndarray, "1 c h w"], tuple[Float32[np.ndarray, "1 _c _h _w"], ...]]:
        """Return the embedding and the finer maps of one normalised, padded input frame."""
        with torch.inference_mode():
            embedding, high_res = self._encode(self._tensor(image))
        return _array(embedding), tuple(_array(finer) for finer in high_res)

    def _encode(
        self, image: Float[torch.Tensor, "1 3 s s"]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        encoder, threads = self._sam.image_encoder, torch.get_num_threads()
        # Autocast is a setting of the calling thread, which others do not see.
        alone = threads == 1 or image.is_cuda or torch.is_autocast_enabled("cpu")
        if alone or not isinstance(encoder, ImageEncoderViT):
            return self._sam.encode(image)
        with threads_of_one(threads) as pool:
            return encode_in_bands(encoder, image, pool), ()

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
        with torch.inference_mode():
            logits, iou = self._sam.decode(
                self._tensor(embedding),
                tuple(self._tensor(finer) for finer in high_res),
                self._tensor(point_coords),
                self._tensor(point_labels),
                None if mask_input is None else self._tensor(mask_input),
                multimask_output=multimask_output,
            )
        return _array(logits), _array(iou)

    def point_decoder(
        self,
        embedding: Float32[np.ndarray, "1 c h w"],
        high_res: tuple[Float32[np.ndarray, "1 _c _h _w"], ...],
    ) -> "TorchPointDecoder | None":
        """Return a decoder for many single points on one image; see `maskmill.automask`.

        None for a transformer of another depth than all published models have.
        """
        if self._sam.config.decoder.depth != 2:
            return None
        finer = tuple(self._tensor(x) for x in high_res)
        with torch.inference_mode():
            return TorchPointDecoder(GridDecoder(self._sam), self._tensor(embedding), finer)

    def quick(self) -> AbstractContextManager[object]:
        """Return a context in which `encode` uses bfloat16, where this processor computes with it.

        One that does not would emulate it, and take hundreds of times as long.
        """
        enabled = not self._tensor(np.zeros(1, np.float32)).is_cuda and computes_bf16()
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        device = next(self._sam.parameters()).device
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def computes_bf16() -> bool:
    """Tell whether this processor has instructions for products of bfloat16."""
    if not hasattr(torch.cpu, "get_capabilities"):
        return False  # an older PyTorch, which cannot tell
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


DRAWN_AT_ONCE = 1 << 19
"""About the size of the largest temporary while masks are drawn: what a core's cache holds."""


class TorchPointDecoder:
    """A `GridDecoder` and one image, with NumPy arrays in and out.

    Args:
        grid: The decoder.
        embedding: Of the image.
        high_res: Of the image.
    """

    def __init__(
        self,
        grid: GridDecoder,
        embedding: Float[torch.Tensor, "1 c h w"],
        high_res: tuple[Float[torch.Tensor, "1 _c _h _w"], ...],
    ) -> None:
        self._grid, self._maps = grid, (embedding, high_res)
        self._shared, self._canvas = grid.share(embedding, high_res)
        self.most_at_once = grid.most_at_once
        self._drawn_at_once = max(1, DRAWN_AT_ONCE // self._canvas.base.numel())

    def attend(self, points: Float32[np.ndarray, "n 2"]) -> tuple[Seen, Float32[np.ndarray, "n k"]]:
        """Return what `draw` needs, and what is to be expected of each point's three candidates."""
        embedding, high_res = self._maps
        with torch.inference_mode():
            placed = torch.from_numpy(points).to(embedding.device)
            seen = self._grid.attend(embedding, high_res, self._shared, placed)
        return seen, _array(seen.promise)

    def draw(
        self, seen: Seen, rows: Int[np.ndarray, " m"]
    ) -> tuple[Float32[np.ndarray, "m k low low"], Float32[np.ndarray, "m k"]]:
        """Return low-res mask logits and predicted IoU of some of the points that were seen."""
        parts = torch.split(torch.from_numpy(rows), self._drawn_at_once)
        with torch.inference_mode():
            drawn = [self._grid.draw(self._canvas, seen.rows(part)) for part in parts]
            return _array(torch.cat([d.masks for d in drawn])), _array(
                torch.cat([d.predicted_iou for d in drawn])
            )

    @contextmanager
    def threads(self) -> Iterator[ThreadPoolExecutor | None]:
        """Return a pool of as many threads as PyTorch uses for one call, each using one itself.

        Two batches on a core each finish sooner than two batches on two cores one after the other:
        the operations are small, and threads that share one wait for each other in between.
        """
        count = torch.get_num_threads()
        if count == 1 or self._maps[0].is_cuda:
            yield None
            return
        with threads_of_one(count) as pool:
            yield pool


def load_torch_backend(folder: Path, *, threads: int | None = None) -> TorchBackend:
    """Load a model's folder onto the first CUDA device, or onto the CPU.

    Args:
        folder: A model's folder.
        threads: Threads per call, for the whole process: PyTorch has no setting per model.

    Raises:
        CheckpointError: If the weights are damaged or of another architecture.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    sam, _ = load_model(folder)
    return TorchBackend(sam.eval().to("cuda" if torch.cuda.is_available() else "cpu"))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()

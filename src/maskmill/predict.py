"""Prompts in, candidate masks out: `Predictor`, the same over ONNX Runtime and PyTorch.

`embed` runs the image encoder once per image and returns a value; `predict` decodes any number of
prompts against such a value. A predictor keeps no "current image", so that one object serves many
images and many threads. Points and boxes come in pixels of the original image; this file is where
they pass into the model's input frame. It loads neither PyTorch nor ONNX Runtime until a model is
loaded, and then only the one it runs on.
"""

import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from maskmill.config import Backend, ModelConfig
from maskmill.errors import ConfigError, PromptError
from maskmill.geometry import clip_boxes, preprocess_size, to_input_frame
from maskmill.images import resize_longest_side
from maskmill.onnx_backend import ONNX_FILES, OnnxBackend, has_onnx_files
from maskmill.values import Candidates, Embedding, Prompt
from maskmill.weights import config_of, model_folder, model_id_of, read_card, verify

if TYPE_CHECKING:
    import maskmill.model.sam

PROMPTS_PER_BATCH = 32
"""Prompts decoded at once: past this a CPU gains nothing and memory grows with every prompt."""

PADDING_LABEL, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT = -1, 2, 3
"""Labels that the prompt encoder gives to points which no caller of `Prompt` may use."""


@runtime_checkable
class ModelBackend(Protocol):
    """What runs the two halves of a model; all arrays are float32 unless they say otherwise."""

    def encode(
        self, image: Float32[np.ndarray, "1 3 s s"]
    ) -> tuple[Float32[np.ndarray, "1 c h w"], tuple[Float32[np.ndarray, "1 _c _h _w"], ...]]:
        """Return the embedding and the finer maps of one normalised, padded input frame."""
        ...

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
        ...


class Predictor:
    """A loaded model that turns images into embeddings, and prompts into candidate masks.

    Attributes:
        backend: What runs it.
        config: The model's sizes and its normalisation.
        model_id: Which weights these are; an `Embedding` of other weights is refused.
        backend_name: `onnx` or `torch`, whichever runs.

    Example:
        >>> import numpy as np
        >>> from maskmill.values import box_prompt, point_prompt
        >>> predictor = Predictor.load("tiny")
        >>> image = np.zeros((60, 80, 3), np.uint8)
        >>> embedding = predictor.embed(image)
        >>> prompts = [point_prompt((40, 30)), box_prompt(8, 8, 40, 50)]
        >>> candidates = predictor.predict(embedding, prompts)
        >>> candidates.best_masks().shape
        (2, 60, 80)
    """

    def __init__(
        self, backend: ModelBackend, config: ModelConfig, *, model_id: str, backend_name: str
    ) -> None:
        self.backend = backend
        self.config = config
        self.model_id = model_id
        self.backend_name = backend_name

    @classmethod
    def load(
        cls, model: str | Path = "tiny", *, backend: Backend = "auto", threads: int | None = None
    ) -> "Predictor":
        """Load a model by name or folder.

        With `auto`, ONNX Runtime runs a model whose folder holds ONNX files, unless PyTorch sees a
        CUDA device; PyTorch runs all others. `backend_name` says which it became.

        Args:
            model: A name that `maskmill model list` shows, or a model's folder.
            backend: Which runtime to use.
            threads: Threads per model call; by default the runtime's choice. PyTorch has one such
                setting per process.

        Raises:
            NotFound: If there is no such model.
            CheckpointError: If its files are damaged.
            ConfigError: If `backend` asks for ONNX files or a PyTorch that is not there.
        """
        folder = model_folder(model)
        name = _choose_backend(folder, backend)
        card = verify(folder) if name == "onnx" else read_card(folder)
        config, model_id = config_of(card), model_id_of(card)
        runner: ModelBackend
        if name == "onnx":
            runner = OnnxBackend(folder, threads=threads)
        else:
            from maskmill.model.torch_backend import load_torch_backend

            runner = load_torch_backend(folder, threads=threads)
        return cls(runner, config, model_id=model_id, backend_name=name)

    @classmethod
    def from_sam(cls, sam: "maskmill.model.sam.Sam", *, model_id: str = "unsaved") -> "Predictor":
        """Wrap a PyTorch model that is already in memory, on the device it is on.

        Args:
            sam: A model in evaluation mode (else `ValueError`); it is shared, not copied.
            model_id: What to stamp on embeddings. Change it when the weights change.
        """
        from maskmill.model.torch_backend import TorchBackend

        return cls(TorchBackend(sam), sam.config, model_id=model_id, backend_name="torch")

    def embed(self, image: UInt8[np.ndarray, "h w 3"]) -> Embedding:
        """Run the image encoder on one RGB image.

        Args:
            image: RGB pixels, EXIF orientation applied.

        Returns:
            All that prompts on this image need; the pixels themselves are not kept.

        Raises:
            ValueError: If the image has no pixels.
        """
        frame, input_size = preprocess(image, self.config)
        array, high_res = self.backend.encode(frame)
        return Embedding(
            array=array[0],
            high_res=tuple(finer[0] for finer in high_res),
            original_size=(image.shape[0], image.shape[1]),
            input_size=input_size,
            input_side=self.config.input_side,
            model_id=self.model_id,
        )

    def predict(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask_output: bool = True,
        prompts_per_batch: int = PROMPTS_PER_BATCH,
        names: Sequence[str] = (),
    ) -> Candidates:
        """Decode prompts against one image, each for its own object.

        Prompts of unlike structure may be mixed: those with equally many tokens (a point is one, a
        box two, its absence one) and alike in having a mask are decoded together. The grouping
        changes nothing beyond float rounding.

        Args:
            embedding: What this model's `embed` returned.
            prompts: In pixels of the original image. A point must lie in the closed rectangle
                [0, W] x [0, H]; a box is clipped to it, and refused if nothing remains.
            multimask_output: Three candidates per prompt, for ambiguous prompts, instead of one.
            prompts_per_batch: Most prompts decoded at once; bounds the memory.
            names: What errors call each prompt; by default its place in `prompts`, from 0.

        Returns:
            Candidates in the order of `prompts`; none if there are no prompts.

        Raises:
            PromptError: If a prompt lies outside the image or its mask input has another size.
            ValueError: If the embedding was made by another model.
        """
        self._refuse_foreign(embedding)
        names = names or [f"prompt {i}" for i in range(len(prompts))]
        arranged = [self._arrange(embedding, *one) for one in zip(names, prompts, strict=True)]
        lengths = [len(labels) for _, labels in arranged]
        low, k = self.config.low_res_side, self._candidates(multimask_output)
        logits = np.empty((len(prompts), k, low, low), np.float32)
        iou = np.empty((len(prompts), k), np.float32)
        for indices in _batches(prompts, lengths, prompts_per_batch):
            masks = [prompts[i].mask_input for i in indices]
            logits[indices], iou[indices] = self.decode(
                embedding,
                np.stack([arranged[i][0] for i in indices]),
                np.stack([arranged[i][1] for i in indices]),
                None if masks[0] is None else np.stack([m for m in masks if m is not None]),
                multimask_output=multimask_output,
            )
        return Candidates(
            low_res_mask_logits=logits,
            predicted_iou=iou,
            original_size=embedding.original_size,
            input_size=embedding.input_size,
            input_side=embedding.input_side,
            mask_threshold=self.config.mask_threshold,
        )

    def predict_points(
        self,
        embedding: Embedding,
        point_coords: Float[np.ndarray, "n 2"],
        *,
        multimask_output: bool = True,
    ) -> tuple[Float32[np.ndarray, "n k low low"], Float32[np.ndarray, "n k"]]:
        """Decode many one-point prompts in one batch, without a record per prompt.

        For everything mode, whose grid points lie inside the image; they are not checked here.

        Args:
            embedding: What this model's `embed` returned.
            point_coords: One foreground point per prompt, pixels of the original image.
            multimask_output: Three candidates per prompt instead of one.

        Returns:
            Low-res mask logits and predicted IoU.
        """
        scaled = to_input_frame(point_coords, embedding.original_size, embedding.input_size)
        coords = np.zeros((len(point_coords), 2, 2), np.float32)
        coords[:, 0] = scaled
        labels = np.tile(np.array([1, PADDING_LABEL]), (len(point_coords), 1))
        return self.decode(embedding, coords, labels, multimask_output=multimask_output)

    def decode(
        self,
        embedding: Embedding,
        point_coords: Float[np.ndarray, "n p 2"],
        point_labels: Int[np.ndarray, "n p"],
        mask_input: Float[np.ndarray, "n low low"] | None = None,
        *,
        multimask_output: bool = True,
    ) -> tuple[Float32[np.ndarray, "n k low low"], Float32[np.ndarray, "n k"]]:
        """Run the decoder once, on prompts already arranged in the input frame.

        The floor below `predict`: nothing is checked, scaled, padded or split.

        Args:
            embedding: What this model's `embed` returned.
            point_coords: Points (x, y) in the input frame, boxes as two corners, padding included.
            point_labels: 1 foreground, 0 background, 2 and 3 a box's corners, -1 padding.
            mask_input: Low-res mask logits per prompt.
            multimask_output: Three candidates per prompt instead of one.

        Returns:
            Low-res mask logits and predicted IoU.
        """
        return self.backend.decode(
            embedding.array[None].astype(np.float32, copy=False),
            tuple(finer[None].astype(np.float32, copy=False) for finer in embedding.high_res),
            point_coords.astype(np.float32, copy=False),
            point_labels,
            None if mask_input is None else mask_input[:, None].astype(np.float32, copy=False),
            multimask_output,
        )

    def _candidates(self, multimask_output: bool) -> int:
        return self.config.decoder.num_multimask_outputs if multimask_output else 1

    def _refuse_foreign(self, embedding: Embedding) -> None:
        if embedding.model_id != self.model_id:
            raise ValueError(
                f"the embedding was made by model {embedding.model_id!r}, this is "
                f"{self.model_id!r}; embed the image again with this model"
            )

    def _arrange(
        self, embedding: Embedding, name: str, prompt: Prompt
    ) -> tuple[Float32[np.ndarray, "p 2"], Int[np.ndarray, " p"]]:
        """Return a prompt's points, box corners and padding in the input frame."""
        low = self.config.low_res_side
        if prompt.mask_input is not None and prompt.mask_input.shape != (low, low):
            raise PromptError(
                f"{name}: mask_input is {prompt.mask_input.shape}, this model takes "
                f"({low}, {low}); pass low_res_mask_logits[prompt, candidate] of its Candidates"
            )
        coords, labels = _complete(prompt, embedding.original_size, name)
        scaled = to_input_frame(coords, embedding.original_size, embedding.input_size)
        return np.where(labels[:, None] == PADDING_LABEL, 0, scaled).astype(np.float32), labels


def preprocess(
    image: UInt8[np.ndarray, "h w 3"], config: ModelConfig
) -> tuple[Float32[np.ndarray, "1 3 s s"], tuple[int, int]]:
    """Bring an image into a model's input frame: resize, normalise, pad right and below with zeros.

    Args:
        image: RGB pixels.
        config: The model's input side and normalisation.

    Returns:
        The padded square frame, and the (H, W) that the image fills of it.

    Raises:
        ValueError: If the image has no pixels.
    """
    if image.size == 0:
        raise ValueError(f"an image of shape {image.shape} has no pixels; give at least one")
    height, width = preprocess_size((image.shape[0], image.shape[1]), config.input_side)
    resized = resize_longest_side(image, config.input_side).astype(np.float32)
    mean, std = np.array(config.pixel_mean, np.float32), np.array(config.pixel_std, np.float32)
    frame = np.zeros((1, 3, config.input_side, config.input_side), np.float32)
    frame[0, :, :height, :width] = ((resized - mean) / std).transpose(2, 0, 1)
    return frame, (height, width)


def _has_cuda() -> bool:
    # Importing PyTorch takes seconds, which inference on a CPU must not pay: look for a driver.
    if shutil.which("nvidia-smi") is None and not Path("/dev/nvidiactl").exists():
        return False
    import torch

    return torch.cuda.is_available()


def _choose_backend(folder: Path, backend: Backend) -> str:
    has_onnx = has_onnx_files(folder)
    has_torch = find_spec("torch") is not None
    if backend == "onnx" and not has_onnx:
        raise ConfigError(
            f"{folder} does not hold {', '.join(ONNX_FILES)}; "
            "run `maskmill model export` on the model, or use backend torch"
        )
    if (backend == "torch" or not has_onnx) and not has_torch:
        raise ConfigError(
            f"PyTorch is not installed{'' if has_onnx else f' and {folder} holds no ONNX files'}; "
            "run `pip install 'maskmill[train]'`"
        )
    if backend != "auto":
        return backend
    return "torch" if not has_onnx or (has_torch and _has_cuda()) else "onnx"


def _complete(
    prompt: Prompt, original_size: tuple[int, int], name: str
) -> tuple[Float[np.ndarray, "p 2"], Int[np.ndarray, " p"]]:
    """Return points then box corners in original pixels, as the reference predictor orders them."""
    coords, labels = np.empty((0, 2), np.float64), np.empty(0, np.int64)
    if prompt.point_coords is not None and prompt.point_labels is not None:
        _refuse_outside(prompt.point_coords, original_size, name)
        coords = prompt.point_coords.astype(np.float64)
        labels = prompt.point_labels.astype(np.int64)
    if prompt.box is not None:
        corners = _clip_box(prompt.box, original_size, name)
        coords = np.concatenate([coords, corners])
        labels = np.append(labels, (BOX_TOP_LEFT, BOX_BOTTOM_RIGHT))
    elif len(coords):
        # The paper's model was trained with this point in a missing box's place.
        coords = np.concatenate([coords, np.zeros((1, 2))])
        labels = np.append(labels, PADDING_LABEL)
    return coords, labels


def _refuse_outside(
    point_coords: Float[np.ndarray, "p 2"], original_size: tuple[int, int], name: str
) -> None:
    height, width = original_size
    for x, y in point_coords.tolist():
        if not (0 <= x <= width and 0 <= y <= height):
            raise PromptError(
                f"{name}: point ({x:g}, {y:g}) lies outside the image, which is "
                f"{width} wide and {height} high; give x, y in its pixels"
            )


def _clip_box(
    box: Float[np.ndarray, "4"], original_size: tuple[int, int], name: str
) -> Float[np.ndarray, "2 2"]:
    height, width = original_size
    corners = clip_boxes(box.astype(np.float64)[None], original_size).reshape(2, 2)
    if not (corners[1] > corners[0]).all():
        raise PromptError(
            f"{name}: box {box.tolist()} lies outside the image, which is {width} wide "
            f"and {height} high; give x0,y0,x1,y1 in its pixels"
        )
    return corners


def _batches(
    prompts: Sequence[Prompt], lengths: Sequence[int], prompts_per_batch: int
) -> Iterator[list[int]]:
    """Yield indices of prompts that one decoder call can take together."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for i, (prompt, length) in enumerate(zip(prompts, lengths, strict=True)):
        groups.setdefault((length, prompt.mask_input is not None), []).append(i)
    for indices in groups.values():
        for start in range(0, len(indices), prompts_per_batch):
            yield indices[start : start + prompts_per_batch]

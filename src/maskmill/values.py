"""The values that flow between the floors: prompts, embeddings and candidates.

All are frozen records of NumPy arrays; nothing here knows a model, a file or a backend. Coordinates
are pixels of the original image (x, y), sizes are (H, W), boxes are half-open XYXY.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from maskmill.errors import PromptError
from maskmill.geometry import low_res_to_original


@dataclass(frozen=True, eq=False, kw_only=True)
class Prompt:
    """Points, a box and/or a mask given for one object, in original-image pixels.

    Attributes:
        point_coords: Points (x, y). A pixel is named by its index; its centre, +0.5, is added
            inside the prompt encoder.
        point_labels: One per point; 1 foreground, 0 background.
        box: Half-open XYXY box.
        mask_input: Low-res mask logits of an earlier `Candidates`, in its padded input frame.
    """

    point_coords: Float[np.ndarray, "n 2"] | None = None
    point_labels: Int[np.ndarray, " n"] | None = None
    box: Float[np.ndarray, "4"] | None = None
    mask_input: Float[np.ndarray, "low_h low_w"] | None = None

    def __post_init__(self) -> None:
        points = 0 if self.point_coords is None else len(self.point_coords)
        labels = 0 if self.point_labels is None else len(self.point_labels)
        if points != labels:
            raise PromptError(
                f"a prompt has {points} points and {labels} labels; give one label per point"
            )
        if points and not np.isfinite(np.asarray(self.point_coords)).all():
            raise PromptError("a point is not finite; give (x, y) in pixels of the image")
        if labels and not np.isin(np.asarray(self.point_labels), (0, 1)).all():
            raise PromptError(
                f"point labels {np.asarray(self.point_labels).tolist()} are not allowed; "
                "use 1 for the object and 0 for what is not"
            )
        if self.box is not None and not (
            np.isfinite(self.box).all() and self.box[2] > self.box[0] and self.box[3] > self.box[1]
        ):
            raise PromptError(
                f"box {np.asarray(self.box).tolist()} is empty; "
                "give x0,y0,x1,y1 with x0 < x1 and y0 < y1"
            )
        if not points and self.box is None and self.mask_input is None:
            raise PromptError("a prompt is empty; give at least one point, a box or a mask")


def point_prompt(*points: tuple[float, float] | tuple[float, float, int]) -> Prompt:
    """Build a prompt of points.

    Args:
        points: (x, y) for the object, or (x, y, label) with label 1 object, 0 not the object;
            pixels of the original image.

    Returns:
        The prompt.

    Raises:
        PromptError: If there is no point or a label is neither 0 nor 1.

    Example:
        >>> point_prompt((10, 20), (5, 6, 0)).point_labels.tolist()
        [1, 0]
    """
    coords = np.array([p[:2] for p in points], np.float32).reshape(-1, 2)
    labels = np.array([p[2] if len(p) == 3 else 1 for p in points], np.int64)
    return Prompt(point_coords=coords, point_labels=labels)


def box_prompt(x0: float, y0: float, x1: float, y1: float) -> Prompt:
    """Build a prompt of one half-open XYXY box, in pixels of the original image.

    Raises:
        PromptError: If the box is empty or not finite.
    """
    return Prompt(box=np.array([x0, y0, x1, y1], np.float32))


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedding:
    """What the image encoder made of one image: all that prompts need, and no pixels.

    Attributes:
        array: Encoder output, `c h w`, over the padded square input frame.
        high_res: Finer feature maps for sharp edges, coarse to fine; empty for the paper's models.
        original_size: (H, W) of the image, pixels.
        input_size: (H, W) after the longest side was resized to the model's input side, unpadded.
        input_side: Side of the padded square input frame, pixels.
        model_id: The checkpoint that made it; another model refuses it.
    """

    array: Float[np.ndarray, "c h w"]
    high_res: tuple[Float[np.ndarray, "_c _h _w"], ...] = ()
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    input_side: int
    model_id: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Candidates:
    """The masks a model offers for `n` prompts: `k` each, 3 if ambiguity was asked for, else 1.

    Attributes:
        low_res_mask_logits: Decoder output over the padded input frame, a quarter of its side.
        predicted_iou: The model's own estimate of each mask's quality, about [0, 1], not clamped.
        original_size: (H, W) of the image, pixels.
        input_size: (H, W) of the image inside the input frame, before padding.
        input_side: Side of the padded square input frame, pixels.
        mask_threshold: Cut-off in logits between background and object.
    """

    low_res_mask_logits: Float[np.ndarray, "n k low_h low_w"]
    predicted_iou: Float[np.ndarray, "n k"]
    original_size: tuple[int, int]
    input_size: tuple[int, int]
    input_side: int
    mask_threshold: float = 0.0

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self.predicted_iou)

    def best(self) -> Int[np.ndarray, " n"]:
        """Return, per prompt, the index of the candidate with the highest predicted IoU."""
        best: Int[np.ndarray, " n"] = self.predicted_iou.argmax(axis=1)
        return best

    def mask_logits(self, prompt: int, candidate: int) -> Float[np.ndarray, "h w"]:
        """Upsample one candidate to the original image, un-thresholded.

        Args:
            prompt: Index of the prompt.
            candidate: Index of the candidate.

        Returns:
            Mask logits at `original_size`.
        """
        return low_res_to_original(
            self.low_res_mask_logits[prompt, candidate],
            input_side=self.input_side,
            input_size=self.input_size,
            original_size=self.original_size,
        )

    def masks(self) -> Bool[np.ndarray, "n k h w"]:
        """Upsample and threshold every candidate to the original image."""
        n, k = self.predicted_iou.shape
        out = np.empty((n, k, *self.original_size), bool)
        for i in range(n):
            for j in range(k):
                out[i, j] = self.mask_logits(i, j) > self.mask_threshold
        return out

    def best_masks(self) -> Bool[np.ndarray, "n h w"]:
        """Upsample and threshold, per prompt, the candidate with the highest predicted IoU."""
        out = np.empty((len(self), *self.original_size), bool)
        for i, j in enumerate(self.best()):
            out[i] = self.mask_logits(i, int(j)) > self.mask_threshold
        return out

"""Training the box detector on embeddings that were computed once.

The encoder is frozen, so an image and some flipped and cut-out views of it are embedded at the
start; after that a step costs what the light head costs. What a step sees is a function of the seed
and its number.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from maskmill import rle
from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage, even_sample, read_pixels
from maskmill.model.box_head import BoxHead
from maskmill.predict import Predictor
from maskmill.train.fitting import fit
from maskmill.values import Embedding

SPREAD = 0.54 / 6
"""Deviation of the bump over a box's centre, share of the box's side; TTFNet's."""
CLIP = 5.0
"""Greatest norm of a step's gradients."""
KEPT_INSIDE = 0.5
"""A box of which less is inside a cut-out view is left out of it."""


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """How the detector is trained."""

    steps: int = 300
    """Optimiser steps."""
    batch_images: int = 6
    """Views a step."""
    views: int = 4
    """Views of each image that are embedded: itself, and flipped or cut-out ones."""
    max_images: int = 300
    """Most images that are embedded, evenly over their sources; each view takes about 0.6 MB."""
    learning_rate: float = 8e-3
    """Peak rate of AdamW; a tenth of the steps warm up, a cosine follows."""
    weight_decay: float = 0.02
    """Decay of AdamW."""
    box_weight: float = 2.0
    """Weight of the boxes' loss beside that of the centres."""
    threads: int = 1
    """Threads of PyTorch; 0 leaves it to PyTorch."""
    seed: int = 0
    """Decides weights, views and order."""


@dataclass(frozen=True, eq=False)
class View:
    """An embedded view of an image, and the half-open XYXY boxes on it in the input frame."""

    embedding: Embedding
    boxes: Float32[np.ndarray, "n 4"]


def train_detector(
    predictor: Predictor,
    images: Sequence[LabelledImage],
    config: DetectorConfig | None = None,
    *,
    on_step: Callable[[int, float], object] | None = None,
) -> BoxHead:
    """Train a detector for a model.

    Args:
        predictor: The model whose embeddings it will see.
        images: With all their objects labelled: what is not labelled counts as background.
        config: How.
        on_step: Called after each step with its number and loss.

    Returns:
        The head, in evaluation mode.

    Raises:
        DatasetError: If no image has a mask.
    """
    config = config or DetectorConfig()
    chosen = even_sample([i for i in images if _boxes(i).size], config.max_images)
    if not chosen:
        raise DatasetError("no image with a mask to train the box detector on; label some")
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    views = [v for image in chosen for v in embed_views(predictor, image, config)]
    head = BoxHead([len(m) for m in _maps(views[0].embedding)])
    some = views[:: max(1, len(views) // 64)]
    head.measure([torch.stack(maps) for maps in zip(*map(_tensors, some), strict=True)])

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng([config.seed, step])
        batch = [views[i] for i in rng.integers(0, len(views), config.batch_images)]
        maps = [torch.stack(m).float() for m in zip(*map(_tensors, batch), strict=True)]
        return detector_loss(head, maps, [view.boxes for view in batch], config.box_weight)

    fit(
        head, loss_at, steps=config.steps, learning_rate=config.learning_rate,
        weight_decay=config.weight_decay, clip=CLIP, on_step=on_step,
    )  # fmt: skip
    return head


def embed_views(predictor: Predictor, image: LabelledImage, config: DetectorConfig) -> list[View]:
    """Embed an image as it is, and some random views of it."""
    pixels, boxes = read_pixels(image), _boxes(image)
    rng = np.random.default_rng([config.seed, zlib.crc32(image.image_id.encode())])
    views = [_view(predictor, pixels, boxes)]
    for _ in range(config.views - 1):
        views.append(_view(predictor, *random_view(pixels, boxes, rng)))
    return views


def random_view(
    pixels: UInt8[np.ndarray, "h w 3"], boxes: Float32[np.ndarray, "n 4"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "H W 3"], Float32[np.ndarray, "m 4"]]:
    """Cut a random window out of an image and flip it, with the boxes that are mostly in it."""
    h, w = pixels.shape[:2]
    share = rng.uniform(0.5, 1.0)
    height, width = max(1, round(h * share)), max(1, round(w * share))
    y, x = int(rng.integers(0, h - height + 1)), int(rng.integers(0, w - width + 1))
    cut, moved = pixels[y : y + height, x : x + width], boxes - np.array([x, y, x, y], np.float32)
    inside = moved.clip(0, np.array([width, height, width, height], np.float32))
    kept = _areas(inside) > KEPT_INSIDE * _areas(moved)
    inside = inside[kept]
    if rng.random() < 0.5:
        cut, inside = cut[:, ::-1], inside[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (width, 0, width, 0)
    if rng.random() < 0.5:
        cut = cut[::-1]
        inside = inside[:, [0, 3, 2, 1]] * (1, -1, 1, -1) + (0, height, 0, height)
    return np.ascontiguousarray(cut), inside.astype(np.float32)


def detector_loss(
    head: BoxHead,
    maps: Sequence[Float[Tensor, "b _c _h _w"]],
    boxes: Sequence[Float32[np.ndarray, "_n 4"]],
    box_weight: float,
) -> Float[Tensor, ""]:
    """Compare what a head says of some embedded views with the boxes on them."""
    logits, reach = head(*maps)
    targets = [make_targets(b, logits.shape[2:], head.stride) for b in boxes]
    heat = torch.from_numpy(np.stack([t[0] for t in targets]))[:, None]
    sides = torch.from_numpy(np.stack([t[1] for t in targets]))
    weight = torch.from_numpy(np.stack([t[2] for t in targets]))
    objects = max(1, sum(len(b) for b in boxes))
    centres = _centre_loss(logits, heat) / objects
    overlap = _overlap_loss(reach, sides)
    return centres + box_weight * (overlap * weight).sum() / weight.sum().clamp(min=1e-6)


def make_targets(
    boxes: Float32[np.ndarray, "n 4"], size: tuple[int, ...], stride: int
) -> tuple[Float32[np.ndarray, "H W"], Float32[np.ndarray, "4 H W"], Float32[np.ndarray, "H W"]]:
    """Draw what the head should say of a view.

    Returns:
        A bump of height 1 over each box's centre; each cell's distances to the sides of the box
        whose bump it lies in; and how much those count: each box alike, whatever its size.
    """
    height, width = size
    y, x = ((np.arange(n) + 0.5) * stride for n in (height, width))
    heat = np.zeros((height, width), np.float32)
    sides = np.ones((4, height, width), np.float32)
    weight = np.zeros((height, width), np.float32)
    for x0, y0, x1, y1 in boxes[np.argsort(-_areas(boxes))]:  # small boxes lie over large ones
        cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
        # The cell of the centre is the middle of the bump, or no cell would be wholly right.
        at_x = (min(int(cx / stride), width - 1) + 0.5) * stride
        at_y = (min(int(cy / stride), height - 1) + 0.5) * stride
        spread_x = max((x1 - x0) * SPREAD, stride * 0.4)
        spread_y = max((y1 - y0) * SPREAD, stride * 0.4)
        bump = np.exp(
            -((y[:, None] - at_y) ** 2) / (2 * spread_y**2)
            - (x[None] - at_x) ** 2 / (2 * spread_x**2)
        ).astype(np.float32)
        inside = (bump > 0.2) & (bump >= heat)
        heat = np.maximum(heat, bump)
        grid = np.broadcast_arrays(x[None] - x0, y[:, None] - y0, x1 - x[None], y1 - y[:, None])
        sides[:, inside] = np.stack(grid)[:, inside].clip(0.5 * stride / 2, None)
        weight[inside] = bump[inside] / bump[inside].sum() if inside.any() else 0
    return heat, sides, weight


def _centre_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """CornerNet's focal loss: near a centre a miss counts less."""
    p = torch.sigmoid(logits)
    positive = heat > 0.999
    right = F.logsigmoid(logits) * (1 - p) ** 2
    wrong = F.logsigmoid(-logits) * p**2 * (1 - heat) ** 4
    return -torch.where(positive, right, wrong).sum()


def _overlap_loss(reach: Tensor, sides: Tensor) -> Tensor:
    """1 - GIoU of boxes around the same cell, given by their distances to its middle."""
    left, top, right, bottom = reach.unbind(1)
    true_left, true_top, true_right, true_bottom = sides.unbind(1)
    shared = (torch.minimum(left, true_left) + torch.minimum(right, true_right)) * (
        torch.minimum(top, true_top) + torch.minimum(bottom, true_bottom)
    )
    hull = (torch.maximum(left, true_left) + torch.maximum(right, true_right)) * (
        torch.maximum(top, true_top) + torch.maximum(bottom, true_bottom)
    )
    area = (left + right) * (top + bottom)
    union = area + (true_left + true_right) * (true_top + true_bottom) - shared
    return 1 - shared / union + (hull - union) / hull


def _boxes(image: LabelledImage) -> Float32[np.ndarray, "n 4"]:
    found = [rle.box(mask.rle) for mask in image.annotations if not mask.is_crowd]
    return np.array(found, np.float32).reshape(-1, 4)


def _areas(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _view(predictor: Predictor, pixels: np.ndarray, boxes: np.ndarray) -> View:
    embedding = predictor.embed(pixels)
    scale = np.float32(embedding.input_size[0] / embedding.original_size[0])
    small = Embedding(
        **{
            **vars(embedding),
            "array": embedding.array.astype(np.float16),
            "high_res": tuple(m.astype(np.float16) for m in embedding.high_res),
        }
    )
    return View(small, boxes * scale)


def _maps(embedding: Embedding) -> tuple[np.ndarray, ...]:
    return embedding.array, *embedding.high_res


def _tensors(view: View) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.asarray(m)) for m in _maps(view.embedding))

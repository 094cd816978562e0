"""Fit everything mode's predicted IoU to a model that is trained, on its own training images.

The rest of the model stays as it is: a grid of points is asked on some images, and two networks of
three inputs learn how well the masks fit the labels. Labels are never complete, so a mask that lies
mostly where nothing is labelled says less than one on labelled ground. It takes seconds to minutes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from maskmill import rle
from maskmill.automask.decoding import point_decoder
from maskmill.config import TrainConfig
from maskmill.errors import ImageError
from maskmill.formats.labelled import LabelledImage, even_sample
from maskmill.geometry import point_grid, to_input_frame
from maskmill.images import read_image
from maskmill.model.grid_iou import Correction, GridIou
from maskmill.model.sam import Sam
from maskmill.model.torch_backend import TorchBackend
from maskmill.predict import Predictor

POINTS_PER_SIDE = 12
"""The grid that is asked: a seventh of everything mode's points say as much."""
UNLABELLED_WEIGHT = 0.2
"""What a mask on unlabelled ground weighs: nobody said that there is nothing."""
QUANTILE = 0.8
"""Share of the masks that are worth no more than they promised. Of the rest few are lost undrawn:
an object is found from many points, and a point is drawn for the best of its three masks."""
STEPS, BATCH, RATE = 400, 1024, 1e-2


class Asked(NamedTuple):
    """What is known of each candidate of a grid, and what came of it: `n` numbers each.

    `sketched` and `drawn` are `n 3`, what `Correction` takes before and after drawing; `iou` is the
    IoU with the best object or union of objects, `labelled` the share of the mask on labelled
    ground, `source` a number for where the image is from.
    """

    sketched: Tensor
    drawn: Tensor
    iou: Tensor
    labelled: Tensor
    source: Tensor


def fit_grid_iou(sam: Sam, images: Sequence[LabelledImage], config: TrainConfig) -> None:
    """Teach a model, in evaluation mode, what its grid's masks are worth.

    Args:
        sam: Changed in place; a model without a predicted IoU of its own for grids stays as it is.
        images: What it was trained on; one that cannot be read any more is passed over.
        config: Says how many of them are asked, and the seed.
    """
    judge = sam.mask_decoder.grid_iou
    chosen = even_sample(images, config.grid_iou_images) if config.grid_iou_images else []
    if judge is None or not chosen:
        return
    predictor = Predictor(TorchBackend(sam), sam.config, model_id="", backend_name="torch")
    sources = sorted({image.source for image in chosen})
    parts: list[Asked] = []
    for image in chosen:
        # One photograph that went bad since it was drawn last must not cost the whole training.
        with suppress(ImageError):
            parts += ask_grid(predictor, judge, image, sources.index(image.source))
    if not parts:
        return
    fit(judge, Asked(*(torch.cat(values) for values in zip(*parts, strict=True))), config.seed)


def ask_grid(
    predictor: Predictor, judge: GridIou, image: LabelledImage, source: int
) -> Iterator[Asked]:
    """Ask a grid on one image, and hold its masks against the labels."""
    embedding = predictor.embed(read_image(image.path))
    h, w = image.size
    grid = (point_grid(POINTS_PER_SIDE) * (w, h)).astype(np.float32)
    points = to_input_frame(grid, embedding.original_size, embedding.input_size)
    decoder = point_decoder(predictor, embedding)
    regions = torch.from_numpy(low_res_regions(image, embedding.input_size))
    valid_h, valid_w = regions.shape[1:]
    for i in range(0, len(points), decoder.most_at_once):
        with _inputs_of(judge.promise) as sketched, _inputs_of(judge.worth) as drawn:
            some = points[i : i + decoder.most_at_once].astype(np.float32)
            seen, _ = decoder.attend(some)
            logits, _ = decoder.draw(seen, np.arange(len(some)))
        inside = logits[:, :, :valid_h, :valid_w] > predictor.config.mask_threshold
        masks = torch.from_numpy(inside).flatten(0, 1)
        labelled = (masks & regions.any(0)).sum((1, 2)) / masks.sum((1, 2)).clamp(min=1)
        iou = iou_with_unions(masks, regions)
        before, after = (torch.cat(calls).flatten(0, 1) for calls in (sketched, drawn))
        yield Asked(before, after, iou, labelled, torch.full(iou.shape, source))


@contextmanager
def _inputs_of(correction: Correction) -> Iterator[list[Tensor]]:
    """Collect what a network is asked: `n k 3` for each call."""
    calls: list[Tensor] = []

    def listen(_: object, inputs: tuple[Tensor, ...]) -> None:
        calls.append(torch.stack(inputs, dim=-1).float().cpu().clone())

    hook = correction.register_forward_pre_hook(listen)
    try:
        yield calls
    finally:
        hook.remove()


def low_res_regions(
    image: LabelledImage, input_size: tuple[int, int]
) -> Bool[np.ndarray, "m low_h low_w"]:
    """Draw an image's labelled masks at the low-res frame's scale, without its padding."""
    import cv2

    h, w = (max(1, round(side / 4)) for side in input_size)
    full = (rle.decode(annotation.rle).astype(np.uint8) for annotation in image.annotations)
    shares = [cv2.resize(255 * mask, (w, h), interpolation=cv2.INTER_AREA) for mask in full]
    return np.stack(shares) > 127


def iou_with_unions(
    masks: Bool[Tensor, "n h w"], regions: Bool[Tensor, "m h w"]
) -> Float[Tensor, " n"]:
    """Measure each mask against what it could be: one region, or all that it mostly covers.

    People divide a surface as they see fit; a mask of several regions together is no mistake.

    Returns:
        The larger of the IoU with the best region and the IoU with the union of the regions of
        which the mask covers more than half; 0 for an empty mask.

    Example:
        >>> halves = torch.eye(2).bool()[:, None]
        >>> iou_with_unions(torch.ones(1, 1, 2).bool(), halves)
        tensor([1.])
    """
    pixels, truth = masks.flatten(1).float(), regions.flatten(1).float()
    area, sizes = pixels.sum(1), truth.sum(1)
    shared = pixels @ truth.t()
    best = (shared / (area[:, None] + sizes - shared).clamp(min=1)).amax(1)
    covered = (shared > 0.5 * sizes).float()
    united = (covered @ truth).clamp(max=1)
    within = (united * pixels).sum(1)
    return torch.maximum(best, within / (united.sum(1) + area - within).clamp(min=1))


def fit(judge: GridIou, asked: Asked, seed: int) -> None:
    """Fit both networks, every source with the same weight: first the worth, then its promise."""
    weight = torch.where(asked.labelled > 0.5, 1.0, UNLABELLED_WEIGHT)
    for source in set(asked.source.tolist()):
        of_source = asked.source == source
        weight[of_source] /= weight[of_source].sum()
    weight /= weight.mean()

    def gap(told: Tensor, iou: Tensor) -> Tensor:
        return (told - iou).square()

    def shortfall(promised: Tensor, worth: Tensor) -> Tensor:
        short = worth - promised
        return torch.maximum(QUANTILE * short, (QUANTILE - 1) * short)

    _fit_one(judge.worth, asked.drawn, asked.iou, weight, gap, seed)
    with torch.no_grad():
        device = next(judge.parameters()).device
        worth = judge.worth(*asked.drawn.to(device).unbind(-1)).cpu()
    _fit_one(judge.promise, asked.sketched, worth, weight, shortfall, seed)


def _fit_one(
    correction: Correction,
    known: Float[Tensor, "n 3"],
    wanted: Float[Tensor, " n"],
    weight: Float[Tensor, " n"],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    seed: int,
) -> None:
    """Fit one network, from the same start whatever was fitted before."""
    generator = torch.Generator().manual_seed(seed)
    device = next(correction.parameters()).device
    layers = [layer for layer in correction.modules() if isinstance(layer, nn.Linear)]
    for layer in layers:
        spread = 0.0 if layer is layers[-1] else layer.in_features**-0.5
        drawn = spread * torch.randn(layer.weight.shape, generator=generator)
        layer.weight.data = drawn.to(layer.weight)
        nn.init.zeros_(layer.bias)
    known, wanted, weight = (x.to(device) for x in (known, wanted, weight))
    optimizer = torch.optim.AdamW(correction.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(known), (BATCH,), generator=generator).to(device)
        told = correction(*known[rows].unbind(-1))
        loss = (weight[rows] * loss_of(told, wanted[rows])).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()

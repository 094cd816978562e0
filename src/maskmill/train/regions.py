"""Training the region head on labelled images whose embeddings were computed once.

A step sees cut-outs of some images, scaled, turned, flipped, brightened and coloured anew, and the
model's maps cut out of the image's one embedding in the same way. What a step sees is a function of
the seed and its number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int32
from torch import Tensor

from maskmill import regions, rle
from maskmill.errors import DatasetError
from maskmill.formats import LabelledImage, even_sample, read_pixels
from maskmill.model.region_head import RegionHead
from maskmill.predict import Predictor
from maskmill.train.fitting import fit

CLIP = 1.0
"""Greatest norm of a step's gradients."""
CROWD = -1
"""Number of pixels that say nothing: a crowd's."""


@dataclass(frozen=True, kw_only=True)
class RegionConfig:
    """How the region head is trained."""

    steps: int = 600
    """Optimiser steps."""
    batch_images: int = 4
    """Cut-outs a step."""
    crop: int = 192
    """Side of a cut-out, working pixels."""
    zoom: float = 1.5
    """Cut-outs are scaled by up to this factor, either way."""
    max_images: int = 300
    """Most images that are held, evenly over their sources; each takes about 4 MB."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW; a tenth of the steps warm up, a cosine follows."""
    weight_decay: float = 1e-4
    """Decay of AdamW."""
    threads: int = 1
    """Threads of PyTorch; 0 leaves it to PyTorch."""
    seed: int = 0
    """Decides weights, cut-outs and order."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """An image at its working size, with all that is taught of it; tensors in 16 bits.

    Attributes:
        image: As the head sees it.
        depth: See `regions.depth_of`.
        objects: Number of each pixel's object; 0 is the ground, `CROWD` says nothing.
        maps: The model's, over the image.
    """

    image: Float[Tensor, "3 h w"]
    depth: Float[Tensor, "1 h w"]
    objects: Int32[Tensor, "1 h w"]
    maps: tuple[Float[Tensor, "_c _h _w"], ...]


def train_regions(
    predictor: Predictor,
    images: Sequence[LabelledImage],
    config: RegionConfig | None = None,
    *,
    on_step: Callable[[int, float], object] | None = None,
) -> tuple[RegionHead, int]:
    """Train a region head for a model.

    Args:
        predictor: The model whose maps it will see.
        images: With all their objects labelled: what is not labelled counts as ground.
        config: How.
        on_step: Called after each step with its number and loss.

    Returns:
        The head, in evaluation mode, and the side at which it works.

    Raises:
        DatasetError: If no image has a mask.
    """
    config = config or RegionConfig()
    chosen = even_sample([i for i in images if _masks(i)], config.max_images)
    if not chosen:
        raise DatasetError("no image with a mask to train the region head on; label some")
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    side = regions.side_for(np.concatenate([_shares(image) for image in chosen]))
    sheets = [make_sheet(predictor, image, side) for image in chosen]
    head = RegionHead(sum(len(maps) for maps in sheets[0].maps))
    whole = [
        torch.cat([_resized(m.float(), sheet.maps[0].shape[1:]) for m in sheet.maps])
        for sheet in sheets[:: max(1, len(sheets) // 64)]
    ]
    head.measure(whole)

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng([config.seed, step])
        cuts = [
            cut_out(sheets[i], rng, config)
            for i in rng.integers(0, len(sheets), config.batch_images)
        ]
        image, maps, depth, objects = (torch.stack(part) for part in zip(*cuts, strict=True))
        return region_loss(head(image, maps), depth[:, 0], objects[:, 0].numpy())

    fit(
        head, loss_at, steps=config.steps, learning_rate=config.learning_rate,
        weight_decay=config.weight_decay, clip=CLIP, on_step=on_step,
    )  # fmt: skip
    return head, side


def make_sheet(predictor: Predictor, image: LabelledImage, side: int) -> Sheet:
    """Read and embed an image, and number its objects; small ones lie over large ones."""
    pixels = read_pixels(image)
    seen = regions.working_image(pixels, side)
    height, width = seen.shape[:2]
    objects = np.zeros((height, width), np.int32)
    order = sorted(image.annotations, key=lambda m: (not m.is_crowd, -rle.area(m.rle)))
    for number, mask in enumerate(order, 1):
        drawn = rle.decode(mask.rle).astype(np.float32)
        if drawn.shape != objects.shape:
            drawn = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA))
        objects[drawn > 0.5] = CROWD if mask.is_crowd else number
    depth = regions.depth_of(objects.clip(0))
    maps = regions.covered_maps(predictor.embed(pixels))
    return Sheet(
        image=torch.from_numpy(seen).permute(2, 0, 1).half(),
        depth=torch.from_numpy(depth)[None].half(),
        objects=torch.from_numpy(objects)[None],
        maps=tuple(torch.from_numpy(m).half() for m in maps),
    )


def cut_out(
    sheet: Sheet, rng: np.random.Generator, config: RegionConfig
) -> tuple[
    Float32[Tensor, "3 n n"], Float32[Tensor, "c m m"], Float32[Tensor, "1 n n"],
    Int32[Tensor, "1 n n"],
]:  # fmt: skip
    """Cut a square out of a sheet, scaled, turned, flipped and coloured at random.

    Beyond the image's edge it is mirrored, objects as well.

    Returns:
        The image, the model's maps, the depth and the objects' numbers.
    """
    height, width = sheet.objects.shape[1:]
    scale = float(np.exp(rng.uniform(-1, 1) * np.log(config.zoom)))
    reach = np.array([config.crop / scale / width, config.crop / scale / height])  # of the image
    room = np.maximum(0.0, 1 - reach)
    middle = (0.5 - room / 2) + rng.random(2) * room  # x, y
    turn, flip = int(rng.integers(4)), bool(rng.random() < 0.5)

    def at(cells: int) -> Float32[Tensor, "1 k k 2"]:
        along = (np.arange(cells) + 0.5) / cells - 0.5
        y, x = np.meshgrid(along, along, indexing="ij")
        if flip:
            x = -x
        for _ in range(turn):
            y, x = x, -y
        spots = (middle + np.stack([x, y], -1) * reach) * 2 - 1
        return torch.from_numpy(spots.astype(np.float32))[None]

    fine, coarse = at(config.crop), at(config.crop // regions.CELL)
    image = _sampled(sheet.image, fine)
    maps = torch.cat([_sampled(m, coarse) for m in sheet.maps])
    objects = _sampled(sheet.objects, fine, "nearest").round().int()
    return _coloured(image, rng), maps, _sampled(sheet.depth, fine), objects


def region_loss(
    logits: Float[Tensor, "b 3 h w"],
    depth: Float[Tensor, "b h w"],
    objects: Int32[np.ndarray, "b h w"],
) -> Float[Tensor, ""]:
    """Compare what a head says of some cut-outs with what is taught of them."""
    told = torch.from_numpy((objects != CROWD).astype(np.float32))
    inside = torch.from_numpy((objects > 0).astype(np.float32))
    outline = torch.from_numpy(
        np.stack([regions.outline_of(each) for each in objects]).astype(np.float32)
    )
    chance = torch.sigmoid(logits[:, 0]) * told
    # Outlines decide whether a small object's mask is right, and are few pixels.
    each = F.binary_cross_entropy_with_logits(logits[:, 0], inside, reduction="none")
    shared = (chance * inside).sum((1, 2))
    dice = 1 - (2 * shared + 1) / (chance.sum((1, 2)) + inside.sum((1, 2)) + 1)
    edges = F.binary_cross_entropy_with_logits(logits[:, 1], outline, reduction="none")
    deep = F.smooth_l1_loss(torch.sigmoid(logits[:, 2]), depth, beta=0.1, reduction="none")
    pixels = each * (1 + 2 * outline) + edges + 2 * deep * (1 + 4 * inside)
    return (pixels * told).sum() / told.sum().clamp(min=1) + dice.mean()


def _coloured(
    image: Float32[Tensor, "3 n n"], rng: np.random.Generator
) -> Float32[Tensor, "3 n n"]:
    """Change an image's contrast, brightness and tint, and add noise: other cameras, other days."""
    curve = float(np.exp(rng.normal(0, 0.15)))
    tint = np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.1, (3, 1, 1))).astype(np.float32)
    noise = rng.normal(0, 0.02, image.shape).astype(np.float32)
    lifted = float(rng.normal(0, 0.08))
    return image.clamp(min=0) ** curve * torch.from_numpy(tint) + lifted + torch.from_numpy(noise)


def _sampled(values: Tensor, spots: Tensor, mode: str = "bilinear") -> Tensor:
    return F.grid_sample(
        values[None].float(), spots, mode=mode, padding_mode="reflection", align_corners=False
    )[0]


def _resized(values: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(values[None], size=tuple(size), mode="bilinear", align_corners=False)[0]


def _masks(image: LabelledImage) -> list[rle.Rle]:
    return [mask.rle for mask in image.annotations if not mask.is_crowd]


def _shares(image: LabelledImage) -> Float[np.ndarray, " n"]:
    masks = _masks(image)
    return np.array([np.sqrt(rle.area(mask)) / max(mask.size) for mask in masks])

"""Batches for interactive training: which images, which of their masks, in what frame.

What a step sees is a pure function of (seed, step, place in the batch). So a killed run resumes
with the very same batches, whatever the number of workers that prepare them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.data import Dataset

from maskmill import rle
from maskmill.config import ModelConfig, TrainConfig
from maskmill.errors import DatasetError
from maskmill.formats.labelled import LabelledImage
from maskmill.images import read_image
from maskmill.train.augment import (
    draw_placement,
    image_window,
    jitter_colour,
    place,
    place_mask,
)


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's images and masks, in the input frame.

    Attributes:
        images: Normalised, padded with zeros.
        masks: Targets of each image.
    """

    images: Float[Tensor, "b 3 s s"]
    masks: Bool[Tensor, "b m s s"]


def usable_images(images: Sequence[LabelledImage], config: TrainConfig) -> list[LabelledImage]:
    """Keep the images that can teach: of an allowed source, with a mask of a usable size.

    Raises:
        DatasetError: If none is left; the message says what was dropped and why.
    """
    allowed = [i for i in images if not config.sources or i.source in config.sources]
    kept = [i for i in allowed if usable_masks(i, config)]
    if not kept:
        others = len(images) - len(allowed)
        elsewhere = f"{others} of other sources than {', '.join(config.sources)}, "
        raise DatasetError(
            f"no image to train on: of {len(images)}, {elsewhere if others else ''}{len(allowed)} "
            f"without a mask between {config.min_mask_share:.2%} and {config.max_mask_share:.0%} "
            "of the image; check the labels, or widen min_mask_share and max_mask_share"
        )
    return kept


def usable_masks(image: LabelledImage, config: TrainConfig) -> list[int]:
    """List the masks of an image that are neither crowds, nor noise, nor nearly the whole image."""
    pixels = image.size[0] * image.size[1]
    return [
        i
        for i, annotation in enumerate(image.annotations)
        if not annotation.is_crowd
        and config.min_mask_share <= rle.area(annotation.rle) / pixels <= config.max_mask_share
    ]


def source_weights(sources: Sequence[str], power: float) -> Float[np.ndarray, " n"]:
    """Give each image its chance: its source's size to a power, shared within the source.

    Args:
        sources: The source of each image.
        power: 1 draws all images alike, 0 all sources alike.

    Returns:
        Chances that sum to 1.

    Example:
        >>> source_weights(["street", "cats", "cats"], 0.0).tolist()
        [0.5, 0.25, 0.25]
    """
    _, index, counts = np.unique(sources, return_inverse=True, return_counts=True)
    weights = counts.astype(float) ** power
    chances: np.ndarray = (weights / counts / weights.sum())[index]
    return chances


class StepDataset(Dataset[Batch]):
    """Batches by step number.

    Args:
        images: Usable images.
        model: Says how pixels are normalised.
        config: The run's settings.
        rank: This process among `world` processes that share each step.
        world: Number of processes.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        model: ModelConfig,
        config: TrainConfig,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.images = list(images)
        self.model, self.config = model, config
        self.rank, self.world = rank, world
        self.cumulative = np.cumsum(source_weights([i.source for i in images], config.source_power))

    def __len__(self) -> int:
        return self.config.steps

    def input_side(self, step: int) -> int:
        """Give the side of the frame at a step: small at first, larger in the last part."""
        late = step >= round(self.config.steps * (1 - self.config.late_share))
        return self.config.late_input_side if late else self.config.input_side

    def __getitem__(self, step: int) -> Batch:
        each = self.config.batch_images // self.world
        examples = [self._example(step, self.rank * each + i) for i in range(each)]
        return Batch(
            torch.from_numpy(np.stack([image for image, _ in examples])),
            torch.from_numpy(np.stack([masks for _, masks in examples])),
        )

    def _example(self, step: int, place_in_batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw images until one shows a mask in its frame; almost always the first does."""
        rng = np.random.default_rng([self.config.seed, step, place_in_batch])
        for _ in range(20):
            chosen = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
            image = self.images[min(chosen, len(self.images) - 1)]
            example = make_example(image, self.input_side(step), self.model, self.config, rng)
            if example is not None:
                return example
        raise DatasetError(
            "twenty images in a row show no mask after cropping; raise the lower end of "
            f"scale_jitter {self.config.scale_jitter} or check the masks"
        )


def make_example(
    image: LabelledImage,
    side: int,
    model: ModelConfig,
    config: TrainConfig,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "3 s s"], Bool[np.ndarray, "m s s"]] | None:
    """Read an image, augment it, and choose some of its masks.

    Args:
        image: Where the pixels and run lengths are.
        side: Side of the frame, pixels.
        model: Says how pixels are normalised.
        config: Augmentation and the number of masks.
        rng: The example's own generator.

    Returns:
        Normalised frame and masks, repeated where the image shows too few; None if it shows none.
    """
    pixels = read_image(image.path)
    if pixels.shape[:2] != image.size:
        raise DatasetError(
            f"{image.path} is {pixels.shape[:2]} (H, W), its masks are {image.size}; "
            "correct or remove its labels"
        )
    placement = draw_placement(image.size, side, config, rng)
    masks: list[np.ndarray] = []
    smallest = config.min_mask_share * side * side / 2
    for i in rng.permutation(usable_masks(image, config)):
        mask = place_mask(rle.decode(image.annotations[i].rle), side, placement)
        if mask.sum() >= smallest:
            masks.append(mask)
        if len(masks) == config.masks_per_image:
            break
    if not masks:
        return None
    colours = jitter_colour(place(pixels, side, placement), config.colour_jitter, rng)
    mean, std = np.array(model.pixel_mean, np.float32), np.array(model.pixel_std, np.float32)
    normal = (colours - mean) / std
    normal *= image_window(side, placement)[..., None]
    repeated = [masks[i % len(masks)] for i in range(config.masks_per_image)]
    return np.ascontiguousarray(normal.transpose(2, 0, 1), np.float32), np.stack(repeated)

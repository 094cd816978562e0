"""The validation curve: the loss on a few images that are not trained on, while a run goes.

The same images, prompts and clicks each time, so that only the weights make a difference. It is for
people to look at: nothing is chosen by it, and the run's own weights and draws are not touched.
"""

from collections.abc import Sequence

import torch

from maskmill.config import ModelConfig, TrainConfig
from maskmill.formats.labelled import LabelledImage, even_sample
from maskmill.train.data import StepDataset, usable_masks
from maskmill.train.interactive import InteractiveLoss

EVERY = 10
"""Steps between two looks."""
MOST = 8
"""Images that are looked at."""
STEP = 0
"""Draws the frames and the prompts."""


class Watch:
    """Measures a model in training on images that it does not train on.

    Args:
        images: Labelled; at most `MOST` of them are used, and those that show no usable mask never.
        model: Says how pixels are normalised.
        config: The run's settings.
    """

    def __init__(
        self, images: Sequence[LabelledImage], model: ModelConfig, config: TrainConfig
    ) -> None:
        usable = even_sample([i for i in images if usable_masks(i, config)], MOST)
        self._seed = config.seed
        self._batch = StepDataset(usable, model, config)[STEP] if usable else None

    def due(self, step: int, steps: int) -> bool:
        """Tell whether to look after this step: at the first, now and then, and at the last."""
        return self._batch is not None and (step % EVERY == 0 or step + 1 == steps)

    @torch.no_grad()
    def measure(self, session: InteractiveLoss, device: torch.device) -> dict[str, float]:
        """Play the sessions; returns `val_loss` and, where a point was asked, its IoU."""
        if self._batch is None:
            return {}
        was_training = session.training
        session.eval()
        generator = torch.Generator().manual_seed(self._seed)
        result = session(self._batch.images.to(device), self._batch.masks.to(device), generator)
        session.train(was_training)
        found = {"val_loss": float(result.loss)}
        for name in ("iou_from_point", "iou_from_box"):
            if name in result.metrics:
                found[f"val_{name}"] = float(result.metrics[name])
        return found

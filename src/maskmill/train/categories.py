"""Training the category head: a multinomial logistic regression on masks' descriptors."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from maskmill.descriptors import OUTER, SHAPE, describe
from maskmill.formats import LabelledImage, even_sample, read_pixels
from maskmill.model.category_head import CategoryHead
from maskmill.predict import Predictor


@dataclass(frozen=True, kw_only=True)
class CategoryConfig:
    """How the category head is trained."""

    least: int = 3
    """Masks that a category must have, or it is left out."""
    max_images: int = 1000
    """Most images that are described, evenly over their sources."""
    decay: float = 0.01
    """Weight of the squared weights beside the loss; more trusts few examples less."""
    steps: int = 100
    """Most steps of L-BFGS; it stops when nothing changes."""
    threads: int = 1
    """Threads of PyTorch; 0 leaves it to PyTorch."""


def train_categories(
    predictor: Predictor,
    images: Sequence[LabelledImage],
    config: CategoryConfig | None = None,
) -> tuple[CategoryHead, tuple[str, ...]] | None:
    """Train a category head for a model.

    Categories weigh alike, however many masks each has.

    Args:
        predictor: The model whose maps it will see.
        images: With masks that have categories; other masks are passed over.
        config: How.

    Returns:
        The head, in evaluation mode, and the names in its order; None where fewer than two
        categories have masks enough.
    """
    config = config or CategoryConfig()
    counts = Counter(mask.category for image in images for mask in image.annotations)
    names = tuple(sorted(n for n, c in counts.items() if n is not None and c >= config.least))
    if len(names) < 2:
        return None
    if config.threads:
        torch.set_num_threads(config.threads)
    rows, places = [], []
    for image in even_sample(images, config.max_images):
        masks = [m for m in image.annotations if m.category in names and not m.is_crowd]
        if masks:
            pixels = read_pixels(image)
            rows.append(describe(pixels, predictor.embed(pixels), [m.rle for m in masks]))
            places += [names.index(m.category or "") for m in masks]
    descriptors, labels = torch.from_numpy(np.concatenate(rows)), torch.tensor(places)
    head = CategoryHead(descriptors.shape[1], OUTER + SHAPE, len(names))
    head.measure(descriptors)
    shares = torch.bincount(labels, minlength=len(names)).clamp(min=1).float()
    weights = (len(labels) / len(names)) / shares
    optimiser = torch.optim.LBFGS(
        head.parameters(), max_iter=config.steps, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = torch.zeros(())
        for said in head.opinions(descriptors):
            total = total + F.cross_entropy(said, labels, weight=weights)
        for name, values in head.named_parameters():
            if name.endswith("weight"):
                total = total + config.decay * (values**2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return head.eval(), names

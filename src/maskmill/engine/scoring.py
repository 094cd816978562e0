"""What a region's measures weigh: learned from regions of images that people labelled.

A region head is sure of pixels of which it has seen many, and says little of whether an object is
whole. So once it is trained, its regions of the training images are held against the masks there,
and a logistic regression learns which of them are right. That the head has learned from these very
images hardly matters (`docs/decisions/engine.md`): from which score on regions are used is what the
hold-out decides.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from maskmill import rle
from maskmill.engine.proposals import AT_IOU
from maskmill.engine.region_finder import RegionFinder
from maskmill.formats import LabelledImage, even_sample, read_pixels
from maskmill.predict import Predictor
from maskmill.region_scores import MEASURES, Scoring

MOST_IMAGES = 60
"""Training images whose regions are measured; more only narrow what is known."""
LEAST = 10
"""With fewer right or fewer wrong regions nothing is learned."""
PENALTY = 3.0
"""Of a weight's square: what few regions say is doubted."""
MOSTLY = 0.5
"""A region of which a crowd covers more says nothing."""


def learn_scoring(
    finder: RegionFinder, predictor: Predictor, images: Sequence[LabelledImage]
) -> Scoring | None:
    """Learn which regions of a head are right.

    Args:
        finder: The region head.
        predictor: Its model.
        images: With all their objects labelled; the head may have learned from them.

    Returns:
        None where too few are right, or too few are wrong.
    """
    told = [_measured(finder, predictor, image) for image in even_sample(images, MOST_IMAGES)]
    measures = np.concatenate([np.zeros((0, len(MEASURES))), *(each for each, _ in told)])
    right = np.concatenate([np.zeros(0, bool), *(each for _, each in told)])
    return fit_scoring(measures, right)


def fit_scoring(
    measures: Float[np.ndarray, "n m"], right: Bool[np.ndarray, " n"]
) -> Scoring | None:
    """Fit a logistic regression.

    Args:
        measures: Of each region, see `region_scores.MEASURES`.
        right: Whether it is.

    Returns:
        None where too few are right, or too few are wrong.
    """
    import torch
    import torch.nn.functional as F

    if min(right.sum(), (~right).sum()) < LEAST:
        return None
    mean, deviation = measures.mean(0), measures.std(0) + 1e-6
    seen = torch.from_numpy((measures - mean) / deviation)
    told = torch.from_numpy(right.astype(np.float64))
    weight = torch.zeros(len(mean) + 1, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        logits = seen @ weight[1:] + weight[0]
        lost = F.binary_cross_entropy_with_logits(logits, told, reduction="sum")
        lost = lost + PENALTY / 2 * (weight[1:] ** 2).sum()
        lost.backward()  # type: ignore[no-untyped-call]
        return lost

    solver.step(loss)  # type: ignore[no-untyped-call]
    bias, *weights = weight.detach().tolist()
    return Scoring(
        mean=mean, deviation=deviation, weight=np.array(weights), bias=bias,
        regions=len(right), right=float(right.mean()),
    )  # fmt: skip


def _measured(
    finder: RegionFinder, predictor: Predictor, image: LabelledImage
) -> tuple[Float[np.ndarray, "n m"], Bool[np.ndarray, " n"]]:
    """Measure the regions of an image, and say which are right."""
    pixels = read_pixels(image)
    found = finder.measured(pixels, predictor.embed(pixels))
    if not found:
        return np.zeros((0, len(MEASURES))), np.zeros(0, bool)
    drawn = [rle.encode(region.mask(image.size)) for region, _ in found]
    best, crowded = np.zeros(len(found)), np.zeros(len(found))
    if image.annotations:
        crowd = np.array([mask.is_crowd for mask in image.annotations])
        iou = rle.iou(drawn, [mask.rle for mask in image.annotations], crowd=crowd.tolist())
        best = iou[:, ~crowd].max(1, initial=0)
        crowded = iou[:, crowd].max(1, initial=0)
    known = crowded <= MOSTLY
    measures = np.stack([measures for _, measures in found])
    return measures[known], (best >= AT_IOU)[known]

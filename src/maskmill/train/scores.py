"""From measurements on images to the numbers that are printed.

Every number is the mean over an image's masks, then over images, so that a photograph of a hundred
nuts weighs no more than one of a dog. Two are made otherwise: the rank correlation is taken over
all candidates together, and `over_sources` is the mean of the sources' own numbers. This file knows
no model and no file.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from maskmill.formats import Refused
from maskmill.train.recall import BUDGETS
from maskmill.train.sessions import CLICKS, GOALS, Sessions


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageResult:
    """What was measured on one image."""

    source: str
    """The image's source."""
    sessions: Sessions
    """The simulated sessions, one per mask."""
    average_recall: dict[int, float] | None
    """Recall of everything mode by budget; None where it was not run."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The numbers for a set of images; None is what could not be measured."""

    iou_at_click: dict[str, float]
    """Mean IoU after that many clicks."""
    best_of_three: float
    """Mean IoU of the best of the three candidates of the first click."""
    iou_from_box: float
    """Mean IoU of the one mask for the object's box."""
    boundary_iou_from_box: float
    """Mean boundary IoU of that mask: how well its outline is met."""
    clicks_to: dict[str, float]
    """Mean number of clicks to that IoU; 20 where it was never reached."""
    iou_rank_correlation: float | None
    """Spearman's correlation of predicted and true IoU over the first click's candidates."""
    average_recall: dict[str, float | None]
    """Recall of everything mode with that many masks, mean over IoU 0.50 to 0.95."""
    images: int
    """Images measured."""
    masks: int
    """Masks measured."""
    average_recall_images: int
    """Images on which everything mode was run."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A model's numbers on a dataset."""

    overall: Scores
    """Over all images alike."""
    over_sources: Scores
    """The mean of the sources' own numbers."""
    sources: dict[str, Scores]
    """Each source by itself."""
    refused: tuple[Refused, ...] = ()
    """Images that could not be measured."""

    def to_json(self) -> dict[str, Any]:
        """Return one object: the overall numbers at its top, the others under their names."""
        return {
            **asdict(self.overall),
            "over_sources": asdict(self.over_sources),
            "sources": {name: asdict(scores) for name, scores in self.sources.items()},
            "refused": [{"path": r.path.name, "reason": r.reason} for r in self.refused],
        }


def score_all(results: Sequence[ImageResult], refused: Sequence[Refused] = ()) -> Evaluation:
    """Average measurements overall, per source and over sources.

    Args:
        results: One per image, at least one; their order does not matter.
        refused: What could not be measured.
    """
    names = sorted({result.source for result in results})
    sources = {name: score([r for r in results if r.source == name]) for name in names}
    return Evaluation(
        overall=score(results),
        over_sources=_over_sources(list(sources.values())),
        sources=sources,
        refused=tuple(refused),
    )


def score(results: Sequence[ImageResult]) -> Scores:
    """Average measurements over the masks of each image, then over images.

    Args:
        results: One per image, at least one.
    """
    sessions = [result.sessions for result in results]
    recalls = [r.average_recall for r in results if r.average_recall is not None]
    return Scores(
        iou_at_click={str(k): _mean([s.iou[:, k - 1].mean() for s in sessions]) for k in CLICKS},
        best_of_three=_mean([s.true_iou.max(axis=1).mean() for s in sessions]),
        iou_from_box=_mean([s.iou_from_box.mean() for s in sessions]),
        boundary_iou_from_box=_mean([s.boundary_iou_from_box.mean() for s in sessions]),
        clicks_to={f"{g:.2f}": _mean([s.clicks_to(g).mean() for s in sessions]) for g in GOALS},
        iou_rank_correlation=rank_correlation(
            np.concatenate([s.predicted_iou.ravel() for s in sessions]),
            np.concatenate([s.true_iou.ravel() for s in sessions]),
        ),
        average_recall={str(b): _mean_known([recall[b] for recall in recalls]) for b in BUDGETS},
        images=len(results),
        masks=sum(len(s.iou) for s in sessions),
        average_recall_images=len(recalls),
    )


def rank_correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float | None:
    """Return Spearman's rank correlation; equal values share the mean of their ranks.

    Returns:
        The correlation in [-1, 1], or None where it is not defined: fewer than two values, or all
        of one side equal.

    Example:
        >>> rank_correlation(np.array([0.1, 0.5, 0.9]), np.array([10.0, 20.0, 15.0]))
        0.5
    """
    if len(a) < 2:
        return None
    # Summed in a fixed order, so that the order of the images changes no digit.
    order = np.lexsort((a, b))
    ranks_a, ranks_b = _ranks(a[order]), _ranks(b[order])
    ranks_a, ranks_b = ranks_a - ranks_a.mean(), ranks_b - ranks_b.mean()
    spread = np.sqrt((ranks_a @ ranks_a) * (ranks_b @ ranks_b))
    return float(np.clip(ranks_a @ ranks_b / spread, -1, 1)) if spread else None


def _ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(((last - counts + 1 + last) / 2)[group], np.float64)


def _mean(values: Sequence[float]) -> float:
    # fsum is exact, so the order of the images changes no digit.
    return math.fsum(values) / len(values)


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _over_sources(scores: Sequence[Scores]) -> Scores:
    def table(name: str) -> dict[str, Any]:
        rows = [getattr(s, name) for s in scores]
        return {key: _mean_known([row[key] for row in rows]) for key in rows[0]}

    return Scores(
        iou_at_click=table("iou_at_click"),
        best_of_three=_mean([s.best_of_three for s in scores]),
        iou_from_box=_mean([s.iou_from_box for s in scores]),
        boundary_iou_from_box=_mean([s.boundary_iou_from_box for s in scores]),
        clicks_to=table("clicks_to"),
        iou_rank_correlation=_mean_known([s.iou_rank_correlation for s in scores]),
        average_recall=table("average_recall"),
        images=sum(s.images for s in scores),
        masks=sum(s.masks for s in scores),
        average_recall_images=sum(s.average_recall_images for s in scores),
    )

"""Which images people see next, and why.

A random share comes first: images that fall into the hold-out, which judge every model and must not
be picked by one. The others are chosen by how unsure the model is of them and how unlike they are
to what is labelled or chosen already, so that a batch is not ten times the same hard image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from maskmill.predict import Predictor
from maskmill.values import Embedding, Prompt, point_prompt

Reason = Literal["hold-out", "unsure and unlike the rest", "random"]
GRID = 8
"""Points along each side at which the model is asked how sure it is."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Waiting:
    """An image that nobody has labelled.

    Attributes:
        image_id: Its row.
        split: The split that it falls into.
        doubt: How unsure the model is, [0, 1].
        feature: Its embedding's mean and deviation, channel by channel.
    """

    image_id: int
    split: str
    doubt: float = 0.0
    feature: Float[np.ndarray, " d"] | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An image to label next, and why."""

    image_id: int
    reason: Reason


def choose(
    waiting: Sequence[Waiting],
    number: int,
    rng: np.random.Generator,
    *,
    holdout_share: float,
    labelled: Sequence[Float[np.ndarray, " d"]] = (),
    by: Literal["doubt", "random"] = "doubt",
) -> list[Choice]:
    """Choose the next images.

    Args:
        waiting: What there is to choose from.
        number: How many; all that there are, if fewer.
        rng: Draws the random ones.
        holdout_share: Share of the images chosen that come from the hold-out.
        labelled: Features of the images that are labelled already.
        by: `random` asks no model, for comparison.
    """
    held = [w for w in waiting if w.split == "val"]
    free = [w for w in waiting if w.split != "val"]
    wanted = min(len(held), max(round(number * holdout_share), number - len(free)))
    drawn = rng.permutation(len(held))[:wanted]
    chosen = [Choice(image_id=held[i].image_id, reason="hold-out") for i in drawn]
    rest = number - len(chosen)
    if by == "random" or any(w.feature is None for w in free):
        picked = rng.permutation(len(free))[:rest]
        return chosen + [Choice(image_id=free[i].image_id, reason="random") for i in picked]
    why: Reason = "unsure and unlike the rest"
    best = _unsure_and_unlike(free, rest, labelled)
    return chosen + [Choice(image_id=free[i].image_id, reason=why) for i in best]


def _unsure_and_unlike(
    free: Sequence[Waiting], number: int, labelled: Sequence[Float[np.ndarray, " d"]]
) -> list[int]:
    """Take again and again the image with the largest product of doubt and distance."""
    if not free or number < 1:
        return []
    features = np.stack([w.feature for w in free if w.feature is not None])
    scale = features.std(0) + 1e-6
    features = features / scale
    doubt = np.array([w.doubt for w in free]) + 1e-6
    distance = np.full(len(free), np.inf)
    for one in labelled:
        distance = np.minimum(distance, np.linalg.norm(features - one / scale, axis=1))
    if not len(labelled):
        distance = np.linalg.norm(features - features.mean(0), axis=1) + 1e-6
    picked: list[int] = []
    for _ in range(min(number, len(free))):
        best = int((doubt * distance).argmax())
        picked.append(best)
        distance = np.minimum(distance, np.linalg.norm(features - features[best], axis=1))
    return picked


def feature(embedding: Embedding) -> Float[np.ndarray, " d"]:
    """Describe an image by the mean and deviation of each channel of its embedding."""
    channels = embedding.array.reshape(len(embedding.array), -1).astype(np.float32)
    return np.concatenate([channels.mean(1), channels.std(1)])


def doubt(predictor: Predictor, embedding: Embedding) -> float:
    """Ask the model on a coarse grid how good its masks would be.

    Returns:
        One minus the mean, over the points, of the best predicted IoU; within [0, 1].
    """
    height, width = embedding.original_size
    at = (np.arange(GRID) + 0.5) / GRID
    points: list[Prompt] = [point_prompt((x * width, y * height)) for y in at for x in at]
    found = predictor.predict(embedding, points, multimask_output=True)
    return float(np.clip(1 - found.predicted_iou.max(1).mean(), 0, 1))

"""What stage 3 did not find: which images people are asked about, and what their answers say.

A sample of masks lies on images that have masks, most of it on those that have many. What is
missing is asked of images that are drawn at random among all that stage 3 has looked at, those on
which it found nothing included.
"""

from collections.abc import Sequence

import numpy as np

from maskmill.engine.labelling import KIND, operation_of
from maskmill.store import Annotation, ImageFilter, Project
from maskmill.store.bulk import already_done

FOUND_AT = 0.5
"""IoU above which a mask shows its object, however roughly: then the object is not missing."""
RESAMPLES = 1000
LEAST_IMAGES = 5
"""Images with objects below which no interval is told: so few differ by chance too little."""
PAGE = 500

Answer = tuple[int, int, int]
"""Of an image: its masks, those of them that nobody has looked at, and objects without one."""


def passed_by_stage_three(project: Project) -> list[int]:
    """Return the images that jobs of stage 3 have done and nobody has labelled since, by row.

    An image is done when it was committed, with masks or without. Somebody has labelled it when it
    is no longer open, or holds a mask that stage 3 did not make.

    Args:
        project: Open for reading or writing.
    """
    names = [operation_of(job.id) for job in project.jobs.all(kind=KIND)]
    found: list[int] = []
    after = 0
    while page := project.images.page(ImageFilter(state="open"), after=after, limit=PAGE):
        after = page[-1].id
        paths = [image.path for image in page]
        done = {path for name in names for path in already_done(project, name, paths)}
        there = [image.id for image in page if image.path in done]
        masks = project.annotations.of_images(there)
        found += [i for i in there if all(by_stage_three(project, m) for m in masks.get(i, ()))]
    return found


def by_stage_three(project: Project, mask: Annotation) -> bool:
    """Tell whether stage 3 made a mask, whoever has corrected it since."""
    first = mask if mask.version == 1 else project.annotations.history(mask.id)[0]
    return (first.made.made_by, first.made.stage) == ("model", "automatic")


def draw_images(images: Sequence[int], size: int, rng: np.random.Generator) -> list[int]:
    """Draw images at random, each as likely as any other; all, if there are fewer.

    Returns:
        Their rows, in rising order.
    """
    if not images:
        return []
    chosen = rng.choice(len(images), min(size, len(images)), replace=False)
    return sorted(images[i] for i in chosen)


def estimate_recall(iou: np.ndarray, answers: Sequence[Answer]) -> float | None:
    """Estimate the share of the objects of some images that have a mask.

    Args:
        iou: Of the sample's masks with what people made of them, `n`. A mask that nobody looked at
            counts by the share of these that shows an object.
        answers: Of the images.

    Returns:
        None if nobody counted, or nothing is known of the masks.

    Example:
        >>> estimate_recall(np.array([0.9, 0.1]), [(6, 4, 1)])  # 2 masks seen, half of 4 unseen
        0.8
    """
    return _recall(_shown(iou), np.array(answers, np.int64).reshape(-1, 3).sum(0))


def recall_interval(
    iou: np.ndarray, answers: Sequence[Answer], *, seed: int
) -> tuple[float, float] | None:
    """Return the 95 % interval of `estimate_recall`: a bootstrap over images and over the sample.

    Args:
        iou: As for the estimate.
        answers: Of images that were drawn at random.
        seed: Decides which are drawn again.

    Returns:
        None where the estimate is, and where fewer than `LEAST_IMAGES` have objects.
    """
    with_objects = sum(masks + missing > 0 for masks, _, missing in answers)
    if with_objects < LEAST_IMAGES or estimate_recall(iou, answers) is None:
        return None
    counts = np.array(answers, np.int64)
    rng, n = np.random.default_rng(seed), len(answers)
    again = []
    for _ in range(RESAMPLES):
        shown = _shown(iou[rng.integers(len(iou), size=len(iou))] if len(iou) else iou)
        again.append(_recall(shown, counts[rng.integers(n, size=n)].sum(0)))
    low, high = np.percentile([each for each in again if each is not None], [2.5, 97.5])
    return float(low), float(high)


def _shown(iou: np.ndarray) -> float | None:
    """Return the share of a sample's masks that shows an object."""
    return float((iou > FOUND_AT).mean()) if len(iou) else None


def _recall(shown: float | None, counts: np.ndarray) -> float | None:
    masks, unseen, missing = counts.tolist()
    if unseen and shown is None:
        return None  # nothing is known of them
    found = masks - unseen + (unseen * shown if shown is not None else 0.0)
    return found / (found + missing) if found + missing else None

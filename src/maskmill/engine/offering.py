"""Regions that are offered to who clicks: what the region head outlines there.

The head was taught by the project's own masks, so the region under a click is often nearer to what
a person wants than what the mask decoder draws. Not always: the hold-out says from which score on
regions are better than the decoder's answers, and those alone are offered, before these. What
masks cover already is cut away, so of two objects that the head takes for one, the second is what
the first has left. What people made on the image so far says how they draw, and regions follow it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from maskmill import rle
from maskmill.engine.proposals import Proposal, outlined
from maskmill.engine.region_finder import RegionFinder
from maskmill.formats import LabelledImage, even_sample, read_pixels
from maskmill.mending import Mending
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.train.clicks import Click, first_click
from maskmill.train.sessions import mask_iou
from maskmill.values import Embedding, point_prompt

MOST_IMAGES = 20
"""Hold-out images that are clicked on; more only narrow what is known."""
LEAST_SHARE = 0.2
"""A region of which masks that are there leave less than this is no offer any more."""
SAME_OBJECT = 0.5
"""IoU from which a mask that people made is of a region's object."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What clicks on hold-out objects say of the region head's regions.

    Attributes:
        threshold: Score from which regions are offered; None if the decoder's masks are better.
        objects: Objects that were clicked on, each at its centre.
        by_model: Mean IoU of what the mask decoder shows first.
        by_offer: The same, where a region that is sure enough is shown instead.
    """

    threshold: float | None
    objects: int
    by_model: float
    by_offer: float


def offers(
    finder: RegionFinder | None, image: UInt8[np.ndarray, "h w 3"], embedding: Embedding
) -> list[Proposal]:
    """Return the regions of an image that are offered under clicks, best first.

    Args:
        finder: The region head; None offers nothing.
        image: RGB pixels.
        embedding: Of the image, by the head's model.
    """
    threshold = None if finder is None else threshold_of(finder.card)
    if finder is None or threshold is None:
        return []
    return [region for region in outlined(finder, image, embedding) if region.score >= threshold]


def threshold_of(card: Mapping[str, Any]) -> float | None:
    """Return the score from which a region head's card has regions offered; None offers none."""
    told = card.get("offer")
    value = told.get("threshold") if isinstance(told, Mapping) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def following(mending: Mending, regions: Sequence[Rle], masks: Sequence[Rle]) -> list[Rle]:
    """Draw offered regions as people drew the objects that have masks.

    Args:
        mending: Of the regions.
        regions: As the head outlined them.
        masks: What people made on the image, whatever it was made from.

    Returns:
        The regions in their order; one that a mask is of stays as it was.
    """
    settled = {}
    if regions and masks:
        iou = rle.iou(list(masks), list(regions))
        for mask, row in zip(masks, iou, strict=True):
            if row.max() >= SAME_OBJECT:
                settled[int(row.argmax())] = mask
    moved = mending.after(settled)
    return [moved.get(i, region) for i, region in enumerate(regions)]


def offered_at(click: Click, regions: Sequence[Rle], taken: Sequence[Rle]) -> Rle | None:
    """Return what is offered under a click, if anything is.

    Args:
        click: Where, pixels of the image.
        regions: That are offered, best first.
        taken: Masks that the image has already.
    """
    x, y = int(click.x), int(click.y)
    for region in regions:
        whole = rle.decode(region)
        if not whole[y, x]:
            continue
        free = whole & ~rle.decode(rle.union(list(taken))) if taken else whole
        if not free[y, x]:
            return None
        _, parts = cv2.connectedComponents(free.astype(np.uint8), connectivity=8)
        part: Bool[np.ndarray, "h w"] = parts == parts[y, x]
        return rle.encode(part) if part.sum() >= LEAST_SHARE * whole.sum() else None
    return None


def measure_offer(
    finder: RegionFinder, predictor: Predictor, images: Sequence[LabelledImage]
) -> Offer | None:
    """Click on hold-out objects, and choose from which score regions are offered.

    Args:
        finder: The region head.
        predictor: Its model.
        images: That neither has learned from, with all their objects.

    Returns:
        None without objects.
    """
    rows = [_clicked(finder, predictor, i) for i in even_sample(images, MOST_IMAGES)]
    if not sum(map(len, rows)):
        return None
    score, region, model = np.concatenate(rows).T
    order = np.argsort(-score, kind="stable")
    score, gain = score[order], np.cumsum((region - model)[order])
    last = np.append(score[1:] != score[:-1], True)  # equal scores go together
    best = int(np.where(last, gain, -np.inf).argmax())
    pays = gain[best] > 0 and score[best] > 0
    return Offer(
        threshold=float(score[best]) if pays else None,
        objects=len(score),
        by_model=float(model.mean()),
        by_offer=float(model.mean() + (gain[best] / len(score) if pays else 0.0)),
    )


def _clicked(
    finder: RegionFinder, predictor: Predictor, image: LabelledImage
) -> Float[np.ndarray, "n 3"]:
    """Return of each object the score and IoU of the region under a click, and the model's IoU."""
    truths = [rle.decode(m.rle) for m in image.annotations if not m.is_crowd and rle.area(m.rle)]
    if not truths:
        return np.zeros((0, 3))
    pixels = read_pixels(image)
    embedding = predictor.embed(pixels)
    found = outlined(finder, pixels, embedding)
    masks = [rle.decode(region.rle) for region in found]
    rows = []
    for truth in truths:
        click = first_click(truth)
        answer = predictor.predict(embedding, [point_prompt(click)], multimask_output=True)
        model = mask_iou(answer.masks()[0, int(answer.best()[0])], truth)
        under = [k for k, mask in enumerate(masks) if mask[int(click.y), int(click.x)]]
        score, region = (
            (found[under[0]].score, mask_iou(masks[under[0]], truth)) if under else (0.0, model)
        )
        rows.append((score, region, model))
    return np.array(rows)

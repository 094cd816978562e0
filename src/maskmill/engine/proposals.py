"""Stages 2 and 3: masks that a model makes for people, kept at a precision that was measured.

Three ways propose: everything mode and, where a round has trained them, the box detector and the
region head; the detector's masks let follow the image's edges (`boundary`) are a way of their own.
What a way finds is kept above a threshold of its score: the lowest at which the hold-out, whose
images people labelled whole, says that enough of what is kept is right. Where no threshold reaches
that, nothing is kept: a wrong mask costs a person more than a missing one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, UInt8

from maskmill import rle
from maskmill.automask import AutoMask, automask
from maskmill.boundary import as_colours, follow_edges
from maskmill.config import AutomaskConfig
from maskmill.engine.detector import Detector, detect
from maskmill.engine.heads import Heads
from maskmill.engine.region_finder import RegionFinder
from maskmill.masks import mask_to_box
from maskmill.predict import Predictor
from maskmill.rle import Rle
from maskmill.values import Embedding

PRECISION, AT_IOU = 0.95, 0.75
"""A pre-filled mask is right if it has this IoU with an object, and so many of them must be."""
LEAST = 10
"""Fewer right masks than this on the hold-out prove no precision."""
OVERLAP = 0.5
"""What overlaps a mask that is there by this IoU is not proposed again."""

Way = Literal["detector", "detector along edges", "regions", "everything mode"]
WAYS: tuple[Way, ...] = get_args(Way)


@dataclass(frozen=True, eq=False, kw_only=True)
class Proposal(AutoMask):
    """A mask that might be pre-filled.

    Attributes:
        score: What it is kept by: predicted IoU in everything mode; where the detector found it,
            times stability, the box's score, the agreement of box and mask, and that of the masks
            from the box and from its middle; a region's own score.
        by: Which way found it.
        category: What it shows, where a category head is sure.
    """

    score: float
    by: Way
    category: str | None = None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What the hold-out says of a threshold.

    Attributes:
        threshold: Score from which masks are kept; None if no threshold is good.
        precision: Share of the hold-out's masks above it that are right.
        kept: Masks of the hold-out above it.
        found: Share of the hold-out's objects that they find.
        way: Whose scores these are.
        instead: Where no threshold is good: lower precisions that can be had, and the share of the
            hold-out's objects found at each.
    """

    threshold: float | None
    precision: float
    kept: int
    found: float
    way: Way = "everything mode"
    instead: tuple[tuple[float, float], ...] = ()

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> "Calibration":
        """Read what `asdict` made of one."""
        instead = tuple((float(at), float(found)) for at, found in told.get("instead", ()))
        return Calibration(**{**told, "instead": instead})


def candidates(
    predictor: Predictor,
    image: UInt8[np.ndarray, "h w 3"],
    grid: AutomaskConfig,
) -> list[Proposal]:
    """Return what everything mode finds, best first.

    Args:
        predictor: The model.
        image: RGB pixels.
        grid: Everything mode's settings; see `nearly_open`.
    """
    found = [
        Proposal(**vars(mask), score=mask.predicted_iou, by="everything mode")
        for mask in automask(predictor, image, grid)
    ]
    # A part of an object, or the object with its surroundings, is not counted against the way
    # that also found the object itself, and surer: it would never be proposed.
    return without_overlaps(sorted(found, key=lambda mask: -mask.score))


def nearly_open(config: AutomaskConfig) -> AutomaskConfig:
    """Open everything mode's quality filters, for whom a calibrated threshold decides."""
    return replace(config, pred_iou_thresh=0.3, stability_score_thresh=0.3)


def detected(predictor: Predictor, embedding: Embedding, detector: Detector) -> list[Proposal]:
    """Return the masks that the decoder makes of the detector's boxes, best first."""
    found = [
        Proposal(
            **vars(one.mask),
            score=one.box_score
            * one.mask.predicted_iou
            * one.mask.stability_score
            * one.agreement
            * one.consent,
            by="detector",
        )
        for one in detect(predictor, embedding, detector.boxes(embedding))
    ]
    return without_overlaps(sorted(found, key=lambda mask: -mask.score))


def outlined(
    finder: RegionFinder, image: UInt8[np.ndarray, "h w 3"], embedding: Embedding
) -> list[Proposal]:
    """Return the region head's objects, best first; they do not overlap."""
    height, width = image.shape[:2]
    found = []
    for region in finder.find(image, embedding):
        coded = rle.encode(region.mask((height, width)))
        left, top, right, bottom = rle.box(coded)
        found.append(
            Proposal(
                rle=coded,
                box=(left, top, right, bottom),
                area=rle.area(coded),
                predicted_iou=region.score,
                stability_score=region.sure,
                point=region.middle,
                crop_box=(0, 0, width, height),
                score=region.score,
                by="regions",
            )
        )
    return found


def found_by(
    way: Way,
    predictor: Predictor,
    image: UInt8[np.ndarray, "h w 3"],
    heads: Heads,
    grid: AutomaskConfig,
) -> list[Proposal]:
    """Return what one way finds on an image, best first, and named where a head knows names.

    Args:
        way: Which.
        predictor: The model.
        image: RGB pixels.
        heads: Of this model; a way whose head is missing finds nothing.
        grid: Everything mode's settings.
    """
    if way == "everything mode":
        found = candidates(predictor, image, grid)
        return _named(found, heads, predictor, image)
    embedding = predictor.embed(image)
    found = []
    if way == "regions" and heads.regions is not None:
        found = outlined(heads.regions, image, embedding)
    elif way != "regions" and heads.detector is not None:
        found = detected(predictor, embedding, heads.detector)
        if way == "detector along edges":
            found = along_edges(found, image)
    return _named(found, heads, predictor, image, embedding)


def _named(
    found: list[Proposal],
    heads: Heads,
    predictor: Predictor,
    image: UInt8[np.ndarray, "h w 3"],
    embedding: Embedding | None = None,
) -> list[Proposal]:
    """Name what was found; the embedding is computed where there is none yet."""
    if heads.categories is None or not found:
        return found
    seen = embedding or predictor.embed(image)
    names = heads.categories.name(image, seen, [mask.rle for mask in found])
    return [replace(mask, category=name) for mask, name in zip(found, names, strict=True)]


def along_edges(found: Sequence[Proposal], image: UInt8[np.ndarray, "h w 3"]) -> list[Proposal]:
    """Let the outlines of masks follow the image; scores and order stay.

    Args:
        found: Best first.
        image: RGB pixels.
    """
    colours = as_colours(image)
    moved = []
    for mask in found:
        pixels = follow_edges(colours, rle.decode(mask.rle))
        moved.append(
            replace(
                mask,
                rle=rle.encode(pixels),
                box=_box(pixels),
                area=int(pixels.sum()),
                by="detector along edges",
            )
        )
    return without_overlaps(moved)


def _box(mask: Bool[np.ndarray, "h w"]) -> tuple[int, int, int, int]:
    left, top, right, bottom = mask_to_box(mask).tolist()
    return left, top, right, bottom


def propose(
    found: Sequence[Proposal], calibration: Calibration, *, taken: Sequence[Rle] = ()
) -> list[Proposal]:
    """Choose the candidates to pre-fill.

    Args:
        found: Of one way, best first.
        calibration: Of the same model and the same way.
        taken: Masks that the image has already; what overlaps one by half is not proposed.
    """
    if calibration.threshold is None:
        return []
    sure = [mask for mask in found if mask.score >= calibration.threshold]
    return without_overlaps(sure, taken)


def without_overlaps(found: Sequence[Proposal], taken: Sequence[Rle] = ()) -> list[Proposal]:
    """Keep, best first, the masks that overlap no better one and nothing that is there by half."""
    if not found:
        return []
    masks = [mask.rle for mask in found]
    # All at once: mask by mask takes a hundred times as long.
    free = np.ones(len(found), bool)
    if taken:
        free = rle.iou(masks, list(taken)).max(1) < OVERLAP
    iou = rle.iou(masks, masks)
    chosen: list[int] = []
    for i in np.flatnonzero(free).tolist():
        if not chosen or iou[i, chosen].max() < OVERLAP:
            chosen.append(i)
    return [found[i] for i in chosen]


def best_way(calibrations: Mapping[Way, Calibration]) -> Calibration:
    """Return the calibration that finds the most objects at the precision that was asked for."""
    return max(calibrations.values(), key=worth)


def worth(calibration: Calibration) -> tuple[bool, float]:
    """Return what ways are compared by: a threshold at all, and the objects found from it on."""
    return calibration.threshold is not None, calibration.found


def calibrate(
    found: Sequence[Sequence[Proposal]],
    truths: Sequence[Sequence[Rle]],
    *,
    precision: float = PRECISION,
    at_iou: float = AT_IOU,
    way: Way = "everything mode",
) -> Calibration:
    """Find the lowest threshold at which the masks kept are right often enough.

    Args:
        found: The candidates of every hold-out image.
        truths: All objects of every hold-out image.
        precision: Share of the masks kept that has to be right.
        at_iou: IoU from which a mask is right.
        way: Which way found them.
    """
    rows = [right(masks, objects, at_iou) for masks, objects in zip(found, truths, strict=True)]
    scores = np.concatenate([s for s, _ in rows]) if rows else np.zeros(0)
    hits = np.concatenate([r for _, r in rows]) if rows else np.zeros(0)
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], hits[order]
    kept = np.arange(1, len(scores) + 1)
    reached = np.cumsum(hits)
    whole = np.append(scores[1:] != scores[:-1], True)[: len(scores)]  # equal scores go together
    good = np.flatnonzero(whole & (reached / kept >= precision) & (reached >= LEAST))
    objects = sum(len(t) for t in truths)
    if not len(good):
        share = float(hits.mean()) if len(hits) else 0.0
        return Calibration(threshold=None, precision=share, kept=0, found=0.0, way=way)
    last = int(good[-1])
    return Calibration(
        threshold=float(scores[last]),
        precision=float(reached[last] / kept[last]),
        kept=int(kept[last]),
        found=float(reached[last] / max(1, objects)),
        way=way,
    )


def calibrate_together(
    found: Mapping[Way, Sequence[Sequence[Proposal]]],
    truths: Sequence[Sequence[Rle]],
    *,
    precision: float = PRECISION,
    at_iou: float = AT_IOU,
) -> dict[Way, Calibration]:
    """Calibrate ways that propose one after another, each on what those before it left.

    What overlaps a mask that is kept is not proposed again. So a later way loses what earlier ones
    found too, right masks mostly, and keeps its wrong ones: of a hundred masks with 95 right ones,
    88 of them found before, 7 of 12 are right.

    Args:
        found: The candidates of every hold-out image, by way, in the order in which they propose.
        truths: All objects of every hold-out image.
        precision: Share of the masks kept that has to be right, of each way's and so of all.
        at_iou: IoU from which a mask is right.

    Returns:
        Of each way what holds for the masks that are left to it; the share of objects found is that
        of all objects.
    """
    objects = max(1, sum(map(len, truths)))
    kept: list[list[Rle]] = [[] for _ in truths]
    calibrations: dict[Way, Calibration] = {}
    for way, masks in found.items():
        left = [without_overlaps(m, k) if k else m for m, k in zip(masks, kept, strict=True)]
        missing = [_missing(t, k, at_iou) for t, k in zip(truths, kept, strict=True)]
        one = calibrate(left, missing, precision=precision, at_iou=at_iou, way=way)
        share = sum(map(len, missing)) / objects
        calibrations[way] = replace(one, found=one.found * share)
        for there, more in zip(kept, left, strict=True):
            there += [mask.rle for mask in propose(more, one)]
    return calibrations


def _missing(objects: Sequence[Rle], kept: Sequence[Rle], at_iou: float) -> list[Rle]:
    """Return the objects that no mask shows."""
    if not objects or not kept:
        return list(objects)
    best = rle.iou(list(objects), list(kept)).max(1)
    return [each for each, iou in zip(objects, best, strict=True) if iou < at_iou]


def right(
    masks: Sequence[Proposal], objects: Sequence[Rle], at_iou: float
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Match masks with objects, best first; a second mask of one object is wrong.

    Returns:
        Each mask's score, and 1 where it is right.
    """
    scores = np.array([mask.score for mask in masks])
    hits = np.zeros(len(masks))
    if not len(masks) or not len(objects):
        return scores, hits
    iou = rle.iou([mask.rle for mask in masks], objects)
    free = np.ones(len(objects), bool)
    for i in np.argsort(-scores, kind="stable"):
        best = int(np.where(free, iou[i], -1).argmax())
        if free[best] and iou[i, best] >= at_iou:
            free[best] = False
            hits[i] = 1
    return scores, hits

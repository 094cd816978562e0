"""A project's frozen masks as what training and measuring read."""

from collections.abc import Container
from pathlib import Path

from maskmill.formats import LabelledImage, LabelledMask
from maskmill.store import Annotation, Image, Project
from maskmill.store.snapshots import Snapshot

IMAGES_AT_ONCE = 500


def labelled_images(
    project: Project,
    snapshot: Snapshot,
    split: str,
    *,
    known: Container[tuple[int, int]] = (),
    by_people: bool = False,
) -> list[LabelledImage]:
    """Read the images of one split of a snapshot with the masks that people answer for.

    A model's mask that no person looked at teaches nobody and judges nobody: it is left out, as are
    images on which nothing remains.

    Args:
        project: Open for reading or writing.
        snapshot: What is frozen.
        split: train or val.
        known: (annotation, version) pairs to leave out: those that a model has learned from.
        by_people: Leave out what a model made, also where a person accepted it: the profile of
            stage 3, as the paper's.
    """
    ids = [i for i, of in project.snapshots.splits(snapshot).items() if of == split]
    categories = {c.id: c.name for c in project.categories.all()}
    found = []
    for start in range(0, len(ids), IMAGES_AT_ONCE):
        some = ids[start : start + IMAGES_AT_ONCE]
        masks = project.snapshots.masks(snapshot, some)
        for image_id in some:
            chosen = [
                mask
                for mask in masks.get(image_id, ())
                if answered_for(mask)
                and (mask.id, mask.version) not in known
                and not (by_people and mask.made.made_by == "model" and _proposed(mask))
            ]
            if chosen:
                found.append(_labelled(project.images.get(image_id), chosen, categories, split))
    return found


def answered_for(mask: Annotation) -> bool:
    """Tell whether a person made a mask, accepted it, or brought it in."""
    made = mask.made
    if mask.review == "rejected":
        return False
    return made.made_by == "person" or made.stage == "imported" or mask.review == "accepted"


def _proposed(mask: Annotation) -> bool:
    """Tell whether one of our models made a mask; of imported ones nobody knows who did."""
    return mask.made.stage != "imported"


def _labelled(
    image: Image, masks: list[Annotation], categories: dict[int, str], split: str
) -> LabelledImage:
    return LabelledImage(
        image_id=str(image.id),
        path=Path(image.path),
        size=image.size,
        source=image.source,
        split=split,
        group=image.group_name,
        annotations=tuple(
            LabelledMask(
                rle=mask.rle,
                category=categories.get(mask.category_id or 0),
                is_crowd=mask.is_crowd,
                annotation_id=mask.id,
            )
            for mask in masks
        ),
    )

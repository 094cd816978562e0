"""A project's frozen masks as what training and measuring read."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from maskmill.exchange.provenance import IMPORTS
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
    whole: bool = False,
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
        whole: Leave out images of which people answer for a part only: what takes for ground where
            no mask is would learn that the objects there are none.
    """
    ids = [i for i, of in project.snapshots.splits(snapshot).items() if of == split]
    categories = {c.id: c.name for c in project.categories.all()}
    found = []
    for start in range(0, len(ids), IMAGES_AT_ONCE):
        some = ids[start : start + IMAGES_AT_ONCE]
        masks = project.snapshots.masks(snapshot, some)
        for image_id in _whole_then(project, masks, some) if whole else some:
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


def whole_images(
    project: Project, masks: Mapping[int, Sequence[Annotation]], image_ids: Sequence[int]
) -> list[int]:
    """Return the images for all of which people answer: where no mask is, there is no object.

    Somebody finished them, empty ones too, or brought them in with their masks. A model's mask that
    nobody looked at may show an object or none, and leaves an image open.

    Args:
        project: Open for reading or writing.
        masks: Of each image.
        image_ids: The images.
    """
    standing = project.work.of(image_ids)
    return [i for i in image_ids if _is_whole(project, masks.get(i, ()), standing[i].state)]


def _is_whole(project: Project, masks: Sequence[Annotation], state: str) -> bool:
    if any(mask.review != "rejected" and not answered_for(mask) for mask in masks):
        return False
    return state in ("in_review", "complete") or (
        state == "open" and any(_brought_in(project, mask) for mask in masks)
    )


def _brought_in(project: Project, mask: Annotation) -> bool:
    """Tell whether a mask was imported, whoever made it before or has corrected it since."""
    first = mask if mask.version == 1 else project.annotations.history(mask.id)[0]
    return first.made.stage == "imported" or first.operation_id.startswith(IMPORTS)


def _whole_then(
    project: Project, masks: Mapping[int, Sequence[Annotation]], image_ids: Sequence[int]
) -> list[int]:
    """Return the images that were whole when they were frozen: nothing has come to them since."""
    frozen = {mask.id for each in masks.values() for mask in each}
    grown = {
        mask.image_id
        for each in project.annotations.of_images(image_ids).values()
        for mask in each
        if mask.id not in frozen and mask.review != "rejected"
    }
    return [i for i in whole_images(project, masks, image_ids) if i not in grown]


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

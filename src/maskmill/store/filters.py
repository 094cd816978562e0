"""Which images: a filter as a value, and what it is in SQL, fast at any place of a large project.

What is asked of masks is answered by `mask_groups`, whose key begins with the category and goes on
in the order of images; the rest by an index that covers images. So the ids of any page are read
off an index, in their order, and only the page's own rows are fetched.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from maskmill.store.schema import ANY, NONE, images, mask_groups
from maskmill.store.team_tables import assignments, image_states


@dataclass(frozen=True, kw_only=True)
class ImageFilter:
    """Which images; what is None does not matter.

    What is asked of masks (category, stage, review, author, predicted IoU) is asked of one mask: an
    image is chosen if one of its living masks is all that.

    Attributes:
        source: The set that it came with.
        split: train, val or test.
        group_name: Its scene or subject.
        has_masks: Whether it has a living mask; False finds what is not labelled yet.
        category_id: A mask of this category; 0 asks for one without any.
        stage: A mask of this stage: assisted, semi, automatic or imported.
        review: A mask with this verdict: accepted, rejected, or unreviewed, which waits for one.
        author: A mask by this annotator.
        predicted_iou_below: A mask whose predicted IoU is lower.
        state: Where it stands in the queue: open, in_review, returned or complete.
        assigned_to: Whose it is.
        deleted: Deleted images instead of living ones.
    """

    source: str | None = None
    split: str | None = None
    group_name: str | None = None
    has_masks: bool | None = None
    category_id: int | None = None
    stage: str | None = None
    review: str | None = None
    author: str | None = None
    predicted_iou_below: float | None = None
    state: str | None = None
    assigned_to: str | None = None
    deleted: bool = False


def chosen_ids(project_id: int, which: ImageFilter, *, after: int = 0) -> Select[Any]:
    """Return the statement that lists the ids of the images chosen, without an order or bounds.

    Args:
        project_id: Whose images.
        which: Which of them.
        after: Only ids above this one.
    """
    of_masks = _of_masks(which)
    if not of_masks:
        statement = select(images.c.id.label("id")).where(images.c.deleted == which.deleted)
        return statement.where(
            images.c.project_id == project_id, images.c.id > after, *_of_images(which)
        )
    groups = mask_groups.c
    put_away = select(images.c.id).where(images.c.project_id == project_id, images.c.deleted)
    statement = select(groups.image_id.label("id")).where(
        groups.project_id == project_id,
        groups.category_id == _category(which),
        groups.image_id > after,
        groups.image_id.in_(put_away) if which.deleted else groups.image_id.not_in(put_away),
        *of_masks,
    )
    if of_images := _of_images(which):
        statement = statement.where(images.c.id == groups.image_id, *of_images)
    # An image has a row for each kind of its masks; they lie beside each other.
    return statement.distinct()


def count_of(project_id: int, which: ImageFilter) -> Select[Any]:
    """Return the statement that counts the images chosen."""
    return select(func.count()).select_from(chosen_ids(project_id, which).subquery())


def _of_images(which: ImageFilter) -> list[ColumnElement[bool]]:
    asked = [
        images.c[name] == getattr(which, name)
        for name in ("source", "split", "group_name")
        if getattr(which, name) is not None
    ]
    if which.has_masks is not None:
        count = images.c.mask_count
        asked.append(count > 0 if which.has_masks else count == 0)
    if which.state == "open":
        asked.append(images.c.id.not_in(select(image_states.c.image_id)))
    elif which.state is not None:
        there = select(image_states.c.image_id).where(image_states.c.state == which.state)
        asked.append(images.c.id.in_(there))
    if which.assigned_to is not None:
        theirs = select(assignments.c.image_id).where(assignments.c.name == which.assigned_to)
        asked.append(images.c.id.in_(theirs))
    return asked


def _of_masks(which: ImageFilter) -> list[ColumnElement[bool]]:
    groups = mask_groups.c
    asked = [
        groups[name] == getattr(which, name)
        for name in ("stage", "review", "author")
        if getattr(which, name) is not None
    ]
    if which.predicted_iou_below is not None:
        asked.append(groups.lowest_iou < which.predicted_iou_below)
    if which.category_id is not None:
        asked.append(groups.masks > 0)  # always true: says that masks are asked for
    return asked


def _category(which: ImageFilter) -> int:
    if which.category_id is None:
        return ANY
    return which.category_id or NONE

"""Between masks that travel and masks that are kept: requests to changes, rows to answers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from maskmill.engine.prefilling import is_prefilled
from maskmill.errors import Conflict, NotFound, StoreError
from maskmill.rle import Rle
from maskmill.server.decoder import wire_mask
from maskmill.server.service import Service
from maskmill.server.wire import (
    AnnotationOut,
    Delete,
    Keep,
    MadeIn,
    MadeOut,
    Mask,
    Put,
    Restore,
    ReviewRequest,
    Step,
)
from maskmill.store import UNCHANGED, Annotation, Change, Create, Edit, Made
from maskmill.store import Delete as StoredDelete
from maskmill.store import Restore as StoredRestore
from maskmill.store.changes import REDRAWING
from maskmill.store.keys import KEY


def apply_steps(
    service: Service, op_id: str, steps: Sequence[Step], *, name: str
) -> list[AnnotationOut]:
    """Make some changes as one operation; when this returns they are on the disk.

    Args:
        service: Whose project.
        op_id: Chosen by the browser; the same again is answered as the first time.
        steps: All of them or none.
        name: Who makes them.

    Raises:
        Conflict: If somebody was faster, or made a mask under the same UUID.
        NotFound: If a mask, image, category or model does not exist.
        MaskError: If a mask is empty, malformed or of another size than its image.
        StoreError: If the changes do not go together.
    """
    changes = [_change(service, step, name) for step in steps]

    def keep_keys(connection: Connection, made: list[Annotation]) -> None:
        for step, change, annotation in zip(steps, changes, made, strict=True):
            if isinstance(change, Create):
                _keep_key(service, connection, step, annotation)

    try:
        annotations = service.project.annotations.apply(
            op_id, changes, by=name, over=REDRAWING, also=keep_keys
        )
    except Conflict as error:
        asked = [step.model_dump(exclude_unset=True) for step in steps]
        raise Conflict(str(error), current=error.current, attempted=asked) from error
    tell(service, annotations)
    return to_wire(service, annotations)


def apply_review(service: Service, key: str, request: ReviewRequest, *, name: str) -> AnnotationOut:
    """Keep the answer to "good mask?"; a rejected mask returns its image to the queue.

    Raises:
        Conflict: If somebody has changed the mask since.
        NotFound: If there is no such mask.
    """
    annotation_id = row_of(service, key)
    edit = Edit(annotation_id=annotation_id, based_on=request.base_version, review=request.verdict)

    def keep_note(connection: Connection, made: list[Annotation]) -> None:
        (annotation,) = made
        service.project.reviews.add_in(
            connection,
            annotation.id,
            annotation.version,
            verdict=request.verdict,
            note=request.note,
            name=name,
        )
        if request.verdict == "rejected":
            service.project.work.set_state_in(
                connection, annotation.image_id, "returned", name=name, note=request.note
            )

    (made,) = service.project.annotations.apply(request.op_id, [edit], by=name, also=keep_note)
    tell(service, [made])
    if request.verdict == "rejected":
        service.events.tell("image", image_id=made.image_id)
    return to_wire(service, [made])[0]


def to_wire(service: Service, annotations: Sequence[Annotation]) -> list[AnnotationOut]:
    """Write masks as they travel."""
    ids = [annotation.id for annotation in annotations]
    keys = service.project.keys.of(ids)
    notes = {row.annotation_id: row.note for row in service.project.reviews.latest(ids).values()}
    return [
        AnnotationOut(
            id=keys.get(each.id, str(each.id)),
            mask=wire_mask(each.rle),
            bbox=[each.box[0], each.box[1], each.box[2] - each.box[0], each.box[3] - each.box[1]],
            note=notes.get(each.id),
            made=_made_out(service, each.made),
            attributes=None if each.attributes is None else dict(each.attributes),
            **{name: getattr(each, name) for name in _ALIKE},
        )
        for each in annotations
    ]


_ALIKE = (
    *("image_id", "version", "deleted", "area", "category_id", "is_crowd", "review"),
    *("changed_by", "sequence", "at"),
)


def tell(service: Service, annotations: Sequence[Annotation]) -> None:
    """Tell all open pages that masks have changed."""
    for data in event_data(service, annotations):
        service.events.tell("annotation", **data)


def event_data(service: Service, annotations: Sequence[Annotation]) -> list[dict[str, Any]]:
    """Return what pages are told of changed masks."""
    keys = service.project.keys.of([each.id for each in annotations])
    return [
        {
            "sequence": each.sequence,
            "id": keys.get(each.id, str(each.id)),
            "image_id": each.image_id,
            "version": each.version,
            "deleted": each.deleted,
            "changed_by": each.changed_by,
        }
        for each in annotations
    ]


def row_of(service: Service, key: str) -> int:
    """Return the row of a mask by its name on the wire.

    Raises:
        NotFound: If there is no such mask.
    """
    found = int(key) if key.isdigit() else service.project.keys.find(key)
    if found is None:
        raise NotFound(f"annotation {key} does not exist; list those of its image")
    return found


def _change(service: Service, step: Step, name: str) -> Change:
    change = step.change
    if isinstance(change, Put) and change.base_version == 0:
        return _create(service, step.id, change, name)
    row = row_of(service, step.id)
    if isinstance(change, Delete):
        return StoredDelete(annotation_id=row, based_on=change.base_version)
    if isinstance(change, Restore):
        return StoredRestore(annotation_id=row, based_on=change.base_version)
    if isinstance(change, Keep):
        return _keep(service, row, change)
    given = change.model_fields_set
    mask = None if change.mask is None else _rle(change.mask)
    made = None if change.made is None else _made(service, change.made, name)
    # What somebody has redrawn must be looked at again.
    review: Any = UNCHANGED if mask is None else None
    if mask is not None and made is not None:
        drawn = _drawn_by_model(service, row, mask, change.base_version)
        made, review = (made, review) if drawn is None else (drawn.made, drawn.review)
    return Edit(
        annotation_id=row,
        based_on=change.base_version,
        rle=mask,
        made=made,
        category_id=change.category_id if "category_id" in given else UNCHANGED,
        attributes=change.attributes if "attributes" in given else UNCHANGED,
        review=review,
    )


def _drawn_by_model(service: Service, row: int, mask: Rle, version: int) -> Annotation | None:
    """Return the last version up to this one in which a model pre-filled this very mask.

    Who undoes what they mended gives the mask back to the model, kept by somebody or not.
    """
    for each in reversed(service.project.annotations.history(row)):
        if each.version <= version and each.rle == mask and is_prefilled(each.made):
            return each
    return None


def _keep(service: Service, row: int, keep: Keep) -> Edit:
    """Keep a mask as it was shown, though it may have followed something since."""
    shown = {each.version: each for each in service.project.annotations.history(row)}
    seen = shown.get(keep.base_version)
    if seen is None or not is_prefilled(seen.made):
        raise StoreError("only a mask that a model pre-filled is kept; others go to a reviewer")
    return Edit(
        annotation_id=row, based_on=keep.base_version, rle=seen.rle, made=seen.made,
        review="accepted",
    )  # fmt: skip


def _create(service: Service, key: str, put: Put, name: str) -> Create:
    if not KEY.fullmatch(key):
        raise StoreError(f"{key} names no new mask; choose a UUID in lower case for it")
    if put.image_id is None or put.mask is None or put.made is None:
        raise StoreError("a new mask needs image_id, mask and made; give all three")
    return Create(
        image_id=put.image_id,
        rle=_rle(put.mask),
        made=_made(service, put.made, name),
        category_id=put.category_id,
        is_crowd=put.is_crowd,
        attributes=put.attributes,
    )


def _keep_key(service: Service, connection: Connection, step: Step, annotation: Annotation) -> None:
    keys = service.project.keys
    earlier = keys.find_in(connection, step.id)
    if earlier is not None:
        raise Conflict(
            f"a mask {step.id} exists already; change it, or choose another UUID",
            current=service.project.annotations.get(earlier),
        )
    keys.keep_in(connection, step.id, annotation.id)


def _rle(mask: Mask) -> Rle:
    height, width = mask.size
    return Rle((height, width), mask.counts.encode("utf-8", "surrogatepass"))


def _made(service: Service, made: MadeIn, name: str) -> Made:
    return Made(
        made_by="person",
        author=name,
        stage="assisted",
        model_id=service.model_row(made.model_id),
        seconds=made.seconds,
        clicks=made.clicks,
        edits=made.edits,
        predicted_iou=made.predicted_iou,
        stability_score=made.stability_score,
        prompts=made.prompts,
        candidates=made.candidates,
    )


def _made_out(service: Service, made: Made) -> MadeOut:
    values = {name: getattr(made, name) for name in MadeOut.model_fields}
    return MadeOut(**{**values, "model_id": service.model_id(made.model_id)})

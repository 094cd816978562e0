"""Routes of masks: read, made, changed, deleted, restored, reviewed; several as one operation."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from maskmill.server.access import AnyMember, AnyReviewer
from maskmill.server.changes import apply_review, apply_steps, row_of, tell, to_wire
from maskmill.server.decoder import wire_mask
from maskmill.server.service import Service
from maskmill.server.wire import (
    AnnotationId,
    AnnotationOut,
    AnnotationsOut,
    ConflictOut,
    Delete,
    OperationId,
    OperationRequest,
    Put,
    PutRequest,
    Restore,
    RestoreRequest,
    ReviewRequest,
    RowId,
    Step,
    Version,
)
from maskmill.server.wire_images import RedrawnOut, RegionOut

router = APIRouter(tags=["annotations"])
Key = Annotated[AnnotationId, Path(description="The UUID of a mask, or the server's number.")]
ImageId = Annotated[RowId, Path()]
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ConflictOut, "description": "Somebody was faster; both versions."}
}


@router.get("/images/{image_id}/annotations")
def of_image(
    request: Request, member: AnyMember, image_id: ImageId, deleted: bool = False
) -> AnnotationsOut:
    """Return the masks of an image, oldest first; or those that were deleted, to restore them."""
    service: Service = request.app.state.service
    service.project.images.get(image_id)
    found = service.project.annotations.of_image(image_id, deleted=deleted)
    return AnnotationsOut(annotations=to_wire(service, found))


@router.post("/images/{image_id}/redraw")
def redraw(request: Request, member: AnyMember, image_id: ImageId) -> RedrawnOut:
    """Draw the pre-filled masks that nobody has looked at as people drew the others there.

    So are the regions that a click brings up. After an undo all are where they were.
    """
    service: Service = request.app.state.service
    image = service.project.images.get(image_id)
    offered = service.outliner.of(image, service.model_of(image))
    moved, regions = service.redrawer.redraw(image, [mask for mask, _ in offered])
    tell(service, moved)
    told = zip(regions, offered, strict=True)
    return RedrawnOut(
        annotations=to_wire(service, moved),
        regions=[RegionOut(mask=wire_mask(mask), score=score) for mask, (_, score) in told],
    )


@router.get("/annotations/{annotation_id}")
def get(request: Request, member: AnyMember, annotation_id: Key) -> AnnotationOut:
    """Return the latest version of a mask, also of one that was deleted."""
    service: Service = request.app.state.service
    found = service.project.annotations.get(row_of(service, annotation_id))
    return to_wire(service, [found])[0]


@router.get("/annotations/{annotation_id}/history")
def history(request: Request, member: AnyMember, annotation_id: Key) -> AnnotationsOut:
    """Return all versions of a mask, the first one first."""
    service: Service = request.app.state.service
    found = service.project.annotations.history(row_of(service, annotation_id))
    return AnnotationsOut(annotations=to_wire(service, found))


@router.put("/annotations/{annotation_id}", responses=CONFLICT)
def put(request: Request, member: AnyMember, annotation_id: Key, body: PutRequest) -> AnnotationOut:
    """Make a mask (`base_version` 0) or change one; what is left out of a change stays."""
    given = {name: getattr(body, name) for name in body.model_fields_set - {"op_id"}}
    change = Put.model_construct(_fields_set=set(given), **{**_defaults(), **given})
    return _one(request, member, annotation_id, body.op_id, change)


@router.delete("/annotations/{annotation_id}", responses=CONFLICT)
def delete(
    request: Request,
    member: AnyMember,
    annotation_id: Key,
    op_id: Annotated[OperationId, Query()],
    base_version: Annotated[Version, Query()],
) -> AnnotationOut:
    """Put a tombstone over a mask; `restore` brings it back."""
    change = Delete(base_version=base_version)
    return _one(request, member, annotation_id, op_id, change)


@router.post("/annotations/{annotation_id}/restore", responses=CONFLICT)
def restore(
    request: Request, member: AnyMember, annotation_id: Key, body: RestoreRequest
) -> AnnotationOut:
    """Bring a deleted mask back as it was, as a newer version."""
    change = Restore(base_version=body.base_version)
    return _one(request, member, annotation_id, body.op_id, change)


@router.post("/annotations/{annotation_id}/review", responses=CONFLICT)
def review(
    request: Request, member: AnyReviewer, annotation_id: Key, body: ReviewRequest
) -> AnnotationOut:
    """Answer "good mask?"; a rejected one returns its image to the queue with the note."""
    service: Service = request.app.state.service
    return apply_review(service, annotation_id, body, name=member.name)


@router.post("/operations", responses=CONFLICT)
def operate(request: Request, member: AnyMember, body: OperationRequest) -> AnnotationsOut:
    """Make some changes, all of them or none: split, merge, or undo what was several."""
    service: Service = request.app.state.service
    made = apply_steps(service, body.op_id, body.changes, name=member.name)
    return AnnotationsOut(annotations=made)


def _one(
    request: Request, member: AnyMember, key: str, op_id: str, change: Put | Delete | Restore
) -> AnnotationOut:
    service: Service = request.app.state.service
    (made,) = apply_steps(service, op_id, [Step(id=key, change=change)], name=member.name)
    return made


def _defaults() -> dict[str, Any]:
    return {name: info.default for name, info in Put.model_fields.items()}

"""Routes of the flow: which image next and why, leases, what is finished, what reviewers say."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from maskmill.engine.prefilling import look_over
from maskmill.errors import NotFound
from maskmill.server.access import AnyMember, AnyReviewer
from maskmill.server.changes import tell
from maskmill.server.images import described
from maskmill.server.service import Service
from maskmill.server.wire import RowId
from maskmill.server.wire_images import (
    AroundOut,
    AssignRequest,
    ImageOut,
    ImageReviewRequest,
    LeaseOut,
    NextOut,
    NextRequest,
)
from maskmill.store.work import LEASE_SECONDS

router = APIRouter(tags=["queue"])
ImageId = Annotated[RowId, Path()]
MOST_NOTE = 2000
"""Characters of a note, however many masks were rejected."""


@router.post("/queue/next")
def next_image(request: Request, member: AnyMember, body: NextRequest) -> NextOut:
    """Say which image to label now and why, and lease it to whoever asks."""
    return _next(request, member.name, body, review=False)


@router.post("/queue/review")
def next_review(request: Request, member: AnyReviewer, body: NextRequest) -> NextOut:
    """Say which image to review now, and lease it to whoever asks."""
    return _next(request, member.name, body, review=True)


@router.get("/images/{image_id}/around")
def around(request: Request, member: AnyMember, image_id: ImageId) -> AroundOut:
    """Say what lies before and behind an image, and what the queue would give whoever is done."""
    service: Service = request.app.state.service
    images = service.project.images
    images.get(image_id)
    queued = service.project.work.peek(member.name, after=image_id, order=service.planner.order())
    found = [*images.beside(image_id), None if queued is None else images.get(queued.image_id)]
    before, behind, next_one = (
        None if each is None else described(service, [each])[0] for each in found
    )
    return AroundOut(before=before, behind=behind, queued=next_one)


@router.put("/images/{image_id}/lease")
def lease(request: Request, member: AnyMember, image_id: ImageId) -> LeaseOut:
    """Take an image, or keep it: say so every minute. 409 names who else works on it."""
    service: Service = request.app.state.service
    until = service.project.work.lease(image_id, member.name)
    service.events.tell("image", image_id=image_id)
    return LeaseOut(expires_at=until, seconds=LEASE_SECONDS)


@router.delete("/images/{image_id}/lease", status_code=204)
def release(request: Request, member: AnyMember, image_id: ImageId) -> None:
    """Give an image back before its lease ends."""
    service: Service = request.app.state.service
    service.project.work.release(image_id, member.name)
    service.events.tell("image", image_id=image_id)


@router.post("/images/{image_id}/finish")
def finish(request: Request, member: AnyMember, image_id: ImageId) -> ImageOut:
    """Say that an image is labelled: it waits for a reviewer, and the lease ends.

    Pre-filled masks that are still there were seen and let stand: they are accepted.
    """
    service: Service = request.app.state.service
    if look_over(service.project, image_id, by=member.name):
        tell(service, service.project.annotations.of_image(image_id))
    service.project.work.release(image_id, member.name)
    return _moved(service, image_id, "in_review", member.name, None)


@router.post("/images/{image_id}/review")
def review(
    request: Request, member: AnyReviewer, image_id: ImageId, body: ImageReviewRequest
) -> ImageOut:
    """Answer "all found?": yes completes the image, no returns it to the queue with the note.

    An image with a rejected mask is returned in any case, with what was said of the mask.
    """
    service: Service = request.app.state.service
    service.project.work.release(image_id, member.name)
    masks = service.project.annotations.of_image(image_id)
    rejected = [mask.id for mask in masks if mask.review == "rejected"]
    if body.all_found and not rejected:
        return _moved(service, image_id, "complete", member.name, body.note)
    said = [row.note for row in service.project.reviews.latest(rejected).values()]
    note = "; ".join(each for each in [body.note, *said] if each) or None
    return _moved(service, image_id, "returned", member.name, note and note[:MOST_NOTE])


@router.post("/images/{image_id}/reopen")
def reopen(request: Request, member: AnyReviewer, image_id: ImageId) -> ImageOut:
    """Put an image back to where it began; its masks stay."""
    return _moved(request.app.state.service, image_id, "open", member.name, None)


@router.post("/assignments", status_code=204)
def assign(request: Request, member: AnyReviewer, body: AssignRequest) -> None:
    """Give images to a person, or to nobody in particular."""
    service: Service = request.app.state.service
    if body.name is not None and service.door.with_accounts:
        account = service.project.accounts.find(body.name)
        if account is None or account.disabled:
            raise NotFound(f"no account {body.name!r} to give images to; list the members")
    service.project.work.assign(body.image_ids, body.name)
    for image_id in body.image_ids[:100]:
        service.events.tell("image", image_id=image_id)


def _next(request: Request, name: str, body: NextRequest, *, review: bool) -> NextOut:
    service: Service = request.app.state.service
    found = service.project.work.next(
        name, review=review, after=body.after, order=service.planner.order()
    )
    if found is None:
        return NextOut(image=None, reason=None)
    service.events.tell("image", image_id=found.image_id)
    (image,) = described(service, [service.project.images.get(found.image_id)])
    if not image.embedded:
        service.embedder.hurry(found.image_id)
    return NextOut(image=image, reason=found.reason)


def _moved(service: Service, image_id: int, state: str, name: str, note: str | None) -> ImageOut:
    service.project.work.set_state(image_id, state, name=name, note=note)
    service.events.tell("image", image_id=image_id)
    return described(service, [service.project.images.get(image_id)])[0]

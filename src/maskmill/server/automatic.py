"""Routes of stage 3: the model labels the rest, and people correct a sample of what it made."""

from fastapi import APIRouter, Request

from maskmill.engine.auditing import (
    Audit,
    answer_found,
    audits,
    draw_audit,
    find_audit,
    report,
    tasks,
    waiting_images,
)
from maskmill.errors import NotFound
from maskmill.server.access import AnyMember, AnyReviewer
from maskmill.server.changes import to_wire
from maskmill.server.images import described, shown_name
from maskmill.server.labeller import words_of
from maskmill.server.service import Service
from maskmill.server.wire import RowId
from maskmill.server.wire_automatic import (
    DrawnImageOut,
    FoundRequest,
    LabelOut,
    LabelRequest,
    QualityNextOut,
    QualityOut,
    QualityRequest,
    ShareOut,
)

router = APIRouter(tags=["automatic"])


@router.get("/label")
def labelling(request: Request, member: AnyMember) -> LabelOut:
    """Say how far the model is with labelling what nobody has labelled."""
    return _label(request.app.state.service)


@router.post("/label", status_code=202)
def label(request: Request, member: AnyReviewer, body: LabelRequest) -> LabelOut:
    """Have the model label every image without a mask; answers at once."""
    service: Service = request.app.state.service
    service.labeller.start(precision=body.precision)
    return _label(service)


@router.post("/label/cancel")
def cancel(request: Request, member: AnyReviewer) -> LabelOut:
    """End it; the masks that are there stay."""
    service: Service = request.app.state.service
    service.labeller.cancel()
    return _label(service)


@router.get("/quality")
def audit(request: Request, member: AnyMember) -> QualityOut:
    """Say what people's corrections of the last sample show so far; 404 if none was drawn."""
    service: Service = request.app.state.service
    return _audit(service, find_audit(service.project))


@router.post("/quality")
def draw(request: Request, member: AnyReviewer, body: QualityRequest) -> QualityOut:
    """Draw a sample of the masks that the model made and nobody has seen."""
    service: Service = request.app.state.service
    seed = len(audits(service.project))
    drawn = draw_audit(
        service.project, size=body.masks, images=body.images, seed=seed, by=member.name
    )
    service.events.tell("engine")
    return _audit(service, drawn)


@router.get("/quality/next")
def next_task(
    request: Request, member: AnyReviewer, image_id: RowId | None = None
) -> QualityNextOut:
    """Return an image of the sample with masks that wait for a look, or one drawn at random.

    Those drawn at random come last, and without masks to judge: asked is what is missing. An
    `image_id` names one of them. The image is null when none waits.
    """
    service: Service = request.app.state.service
    project = service.project
    drawn = find_audit(project)
    if image_id is not None and image_id not in drawn.images:
        raise NotFound(f"image {image_id} was not drawn at random for audit {drawn.number}")
    waiting = [t for t in tasks(project, drawn) if t.state == "waiting"]
    of_sample = sorted(t.image_id for t in waiting)
    order = of_sample or waiting_images(project, drawn) if image_id is None else [image_id]
    if not order:
        return QualityNextOut(image=None, annotations=[], whole=False, left=0)
    image = project.images.get(order[0])
    here = {t.annotation_id for t in waiting if t.image_id == image.id}
    masks = [m for m in project.annotations.of_image(image.id) if m.id in here]
    return QualityNextOut(
        image=described(service, [image])[0],
        annotations=[mask.id for mask in to_wire(service, masks)],
        whole=not drawn.images or image.id in drawn.images,
        left=len(waiting),
    )


@router.post("/quality/found")
def found(request: Request, member: AnyReviewer, body: FoundRequest) -> QualityOut:
    """Answer for an image: how many objects have no mask?"""
    service: Service = request.app.state.service
    answer_found(service.project, body.image_id, missing=body.missing, by=member.name)
    service.events.tell("engine")
    return _audit(service, find_audit(service.project))


def _label(service: Service) -> LabelOut:
    labeller, job = service.labeller, service.labeller.last()
    return LabelOut(
        running=labeller.working,
        measuring=labeller.measuring,
        done=0 if job is None else job.done,
        total=None if job is None else job.total,
        message=labeller.trouble or (None if job is None else job.message),
        words=words_of(service.project),
    )


def _audit(service: Service, drawn: Audit) -> QualityOut:
    project = service.project
    told, waiting = report(project, drawn), set(waiting_images(project, drawn))
    drawn_images = [project.images.get(image_id) for image_id in drawn.images]
    complete, low, high = told.images_complete
    recall_low, recall_high = told.recall_interval or (None, None)
    return QualityOut(
        number=told.number,
        masks=told.masks,
        drawn=told.drawn,
        done=told.done,
        shares=[ShareOut(**vars(share)) for share in told.shares],
        by_size={size: [ShareOut(**vars(s)) for s in each] for size, each in told.by_size.items()},
        images=[
            DrawnImageOut(id=i.id, name=shown_name(i), answered=i.id not in waiting)
            for i in drawn_images
            if not i.deleted
        ],
        at_random=told.at_random,
        images_asked=told.images_asked,
        images_complete=complete,
        images_complete_low=low,
        images_complete_high=high,
        recall=told.recall,
        recall_low=recall_low,
        recall_high=recall_high,
    )

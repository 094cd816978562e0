"""Routes of Visual Prompting: strokes in, label maps, doubts, verdicts and masks out."""

import base64
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from maskmill import rle
from maskmill.errors import ConfigError
from maskmill.rle import Rle
from maskmill.scribble.folder import AUTHOR
from maskmill.scribble.rules import RuleSet
from maskmill.server.access import AnyMember, AnyReviewer
from maskmill.server.changes import tell
from maskmill.server.service import Service
from maskmill.server.wire import RowId
from maskmill.server.wire_scribbles import (
    ClassOut,
    CloseOut,
    CloseRequest,
    FoundOut,
    MasksOut,
    MasksRequest,
    RulesOut,
    RulesRequest,
    ScribbleOut,
    StrokeIO,
    StrokesOut,
    StrokesRequest,
)
from maskmill.store import Annotation, Create, Delete, Made
from maskmill.store.changes import Change
from maskmill.store.scribbles import Drawn, Rules

router = APIRouter(tags=["scribbles"])
ImageId = Annotated[RowId, Path()]
ALIKE = 0.5
"""IoU from which a region is the object of a mask that is there already."""
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "One channel of 8 bits."}
}


@router.get("/scribbles")
def standing(request: Request, member: AnyMember) -> ScribbleOut:
    """Say where Visual Prompting stands, and what was found; from then on features are made."""
    service: Service = request.app.state.service
    service.scribbler.wanted()
    told = service.scribbler.standing()
    by_name = {category.name: category for category in service.project.categories.all()}
    classes = [
        ClassOut(
            category_id=by_name[name].id if name in by_name else 0,
            name=name,
            colour=by_name[name].colour if name in by_name else None,
        )
        for name in told.classes
    ]
    found = [
        FoundOut(
            image_id=image_id,
            doubt=look.mean_doubt,
            passed=look.passed,
            reasons=[reason for _, reason in look.findings],
        )
        for image_id, look in service.scribbler.found().items()
    ]
    return ScribbleOut(
        run=told.run,
        phase=told.phase,
        done=told.done,
        total=told.total,
        classes=classes,
        warnings=list(told.warnings),
        trouble=told.trouble,
        drawn_on=[drawn.image_id for drawn in service.project.scribbles.all()],
        found=found,
    )


@router.post("/scribbles/everything", status_code=202)
def everything(request: Request, member: AnyMember) -> ScribbleOut:
    """Look at every image of the project, however many there are; answers at once."""
    service: Service = request.app.state.service
    service.scribbler.everything()
    return standing(request, member)


@router.get("/images/{image_id}/strokes")
def strokes(request: Request, member: AnyMember, image_id: ImageId) -> StrokesOut:
    """Return what is drawn on an image."""
    service: Service = request.app.state.service
    service.project.images.get(image_id)
    return _strokes(service.project.scribbles.of_image(image_id))


@router.put("/images/{image_id}/strokes")
def draw(
    request: Request, member: AnyMember, image_id: ImageId, body: StrokesRequest
) -> StrokesOut:
    """Replace what is drawn on an image; a classifier is trained, and looks at this image first."""
    service: Service = request.app.state.service
    drawn = service.project.scribbles.draw(
        body.op_id,
        image_id,
        [stroke.model_dump() for stroke in body.strokes],
        based_on=body.base_version,
        by=member.name,
    )
    service.scribbler.drawn(image_id)
    service.events.tell("strokes", image_id=image_id, version=drawn.version)
    return _strokes(drawn)


@router.get("/images/{image_id}/segmented", response_class=Response, responses=PICTURE)
def segmented(
    request: Request,
    member: AnyMember,
    image_id: ImageId,
    what: Annotated[Literal["labels", "doubt"], Query()] = "labels",
) -> Response:
    """Return what is found at the working grid, or how doubtful it is (255: no idea)."""
    service: Service = request.app.state.service
    look = service.scribbler.look(service.project.images.get(image_id))
    content = look.labels if what == "labels" else look.doubt
    return Response(content, media_type="image/png", headers={"cache-control": "no-store"})


@router.post("/images/{image_id}/segmented")
def close(request: Request, member: AnyMember, image_id: ImageId, body: CloseRequest) -> CloseOut:
    """Return what is found on an image at its own size, by the project's rules or by others."""
    service: Service = request.app.state.service
    rules = None if body.rules is None else _checked(body.rules)
    run = service.scribbler.standing().run
    image = service.project.images.get(image_id)
    found = service.scribbler.close(image, rules, full=body.full)
    return CloseOut(
        run=run,
        labels=base64.b64encode(found.labels).decode(),
        changed=base64.b64encode(found.changed).decode(),
        doubt=None if found.doubt is None else base64.b64encode(found.doubt).decode(),
        passed=found.passed,
        reasons=[reason for _, reason in found.findings],
        warnings=list(found.warnings),
    )


@router.post("/images/{image_id}/segmented/masks")
def make_masks(
    request: Request, member: AnyMember, image_id: ImageId, body: MasksRequest
) -> MasksOut:
    """Make annotations of an image's regions; those made so before that nobody touched go."""
    service: Service = request.app.state.service
    project = service.project
    image = project.images.get(image_id)
    done = project.annotations.done(body.op_id)
    if done is not None:  # repeated: the regions of today would be other changes
        gone = sum(mask.deleted for mask in done)
        return MasksOut(made=len(done) - gone, replaced=gone, there=0)
    found = service.scribbler.regions(image, refined=body.refined, full=body.full)
    living = project.annotations.of_image(image_id)
    before = [m for m in living if _is_ours(m)]
    others = [m.rle for m in living if not _is_ours(m)]
    regions = [region for region in found if not _is_there(region.mask, others)]
    kinds = project.categories.ensure(sorted({region.category for region in regions}))
    made = Made(made_by="model", author=AUTHOR, stage="automatic")
    changes: list[Change] = [Delete(annotation_id=m.id, based_on=m.version) for m in before]
    changes += [
        Create(
            image_id=image_id,
            rle=region.mask,
            made=made,
            category_id=kinds[region.category],
            attributes={"certainty": round(region.certainty, 4)},
        )
        for region in regions
    ]
    if changes:
        written = project.annotations.apply(body.op_id, changes, by=member.name)
        tell(service, written)
    there = len(found) - len(regions)
    return MasksOut(made=len(regions), replaced=len(before), there=there)


@router.get("/rules")
def rules(request: Request, member: AnyMember) -> RulesOut:
    """Return the project's rules."""
    service: Service = request.app.state.service
    return _rules(service.project.scribbles.rules())


@router.put("/rules")
def set_rules(request: Request, member: AnyReviewer, body: RulesRequest) -> RulesOut:
    """Replace the project's rules; all images are looked at again."""
    service: Service = request.app.state.service
    checked = msgspec.to_builtins(_checked(body.rules))
    kept = service.project.scribbles.set_rules(
        body.op_id, checked, based_on=body.base_version, by=member.name
    )
    service.scribbler.ruled()
    return _rules(kept)


def _is_ours(mask: Annotation) -> bool:
    """Tell whether strokes made a mask, and nobody has touched it since."""
    return mask.version == 1 and mask.made.author == AUTHOR and mask.review is None


def _is_there(region: Rle, others: list[Rle]) -> bool:
    return bool(others) and bool(rle.iou([region], others).max() >= ALIKE)


def _checked(rules: dict[str, Any]) -> RuleSet:
    try:
        return msgspec.convert(rules, type=RuleSet)
    except msgspec.ValidationError as error:
        raise ConfigError(f"these are no rules: {error}; see docs/visual-prompting.md") from error


def _strokes(drawn: Drawn) -> StrokesOut:
    return StrokesOut(
        version=drawn.version,
        strokes=[StrokeIO(**dict(stroke)) for stroke in drawn.strokes],
        changed_by=drawn.changed_by,
    )


def _rules(kept: Rules) -> RulesOut:
    rules = kept.rules if kept.rules is not None else msgspec.to_builtins(RuleSet())
    return RulesOut(version=kept.version, rules=dict(rules))

"""Routes of what comes after strokes: how good they are, rules, an image tried, a deployment."""

import base64
import re
import shutil
import threading
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from maskmill import rle
from maskmill.errors import ConfigError, NotFound
from maskmill.images import ImageLimits
from maskmill.scribble.checking import Confusion
from maskmill.scribble.suggest import as_rules
from maskmill.server.access import AnyMember, AnyReviewer, Busy
from maskmill.server.finishing import Checked, Suggested, Tried
from maskmill.server.images import shown_name
from maskmill.server.marking import marks, truths, usable_rules
from maskmill.server.packer import KEPT, keep_archive
from maskmill.server.pictures import overlay
from maskmill.server.service import Service
from maskmill.server.uploads import BODY
from maskmill.server.wire_proving import (
    CheckOut,
    ConfusionOut,
    DeploymentOut,
    GainOut,
    ImageCheckOut,
    LeftOutOut,
    PackedOut,
    PackRequest,
    SuggestedOut,
    TriedMaskOut,
    TriedModelOut,
    TriedOut,
)
from maskmill.store.categories import PALETTE

router = APIRouter(tags=["proving"])
NAME = re.compile(r"deployment-[0-9a-f]{12}\.zip")
PART = ".part"
"""Where the archive that is being written lies."""
SHOWN_SIDE = 1024
"""Longer side of what is drawn of an image that is tried, pixels."""
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {}}, "description": "The archive."}
}
_ONE_AT_A_TIME = threading.Lock()


@router.post("/scribbles/check")
def check(request: Request, member: AnyMember) -> CheckOut:
    """Judge the classifier by strokes that are left out, and by images that people labelled."""
    service: Service = request.app.state.service
    scribbler, project = service.scribbler, service.project
    _refuse_while_learning(service)
    marked, categories = marks(project)
    labelled = truths(project, scribbler.standing().classes)
    run = scribbler.standing().run
    told: Checked = scribbler.ask("check", marked, categories, labelled, scribbler.rules())
    return CheckOut(
        run=run,
        strokes=_confusion(told.strokes),
        unjudged=list(told.unjudged),
        masks=_confusion(told.masks),
        images=[ImageCheckOut(image_id=each.image_id, iou=each.iou) for each in told.images],
        left_out=[
            LeftOutOut(name=shown_name(project.images.get(each.image_id)), reason=each.reason)
            for each in told.left_out
        ],
    )


@router.post("/rules/suggest")
def suggest(request: Request, member: AnyMember) -> SuggestedOut:
    """Search rules that raise IoU on labelled images, cross-validated; keeps nothing."""
    service: Service = request.app.state.service
    _refuse_while_learning(service)
    labelled = truths(service.project, service.scribbler.standing().classes)
    told: Suggested = service.scribbler.ask("suggest", labelled)
    return SuggestedOut(
        rules=msgspec.to_builtins(as_rules(told.suggestions)),
        images=told.images,
        large=told.large,
        gains=[
            GainOut(category=each.category, before=each.before, after=each.after)
            for each in told.suggestions
        ],
    )


@router.post("/scribbles/try", openapi_extra=BODY, max_body_size=ImageLimits().max_bytes)
async def try_image(request: Request, member: AnyMember) -> TriedOut:
    """Segment an image that is in no project: the body is the file itself. It is not kept."""
    service: Service = request.app.state.service
    content = await request.body()
    rules, troubles = usable_rules(service.project, service.scribbler.standing().classes)
    told: Tried = await run_in_threadpool(
        service.scribbler.ask, "try_image", content, msgspec.json.encode(rules)
    )
    return TriedOut(
        labels=base64.b64encode(told.found.labels).decode(),
        passed=told.found.passed,
        reasons=[reason for _, reason in told.found.findings],
        warnings=[*told.found.warnings, *troubles],
        doubt=told.doubt,
        seconds=told.seconds,
    )


@router.post("/deployments")
def deploy(request: Request, member: AnyReviewer) -> DeploymentOut:
    """Write what `maskmill deploy` writes, with the project's rules, as an archive to fetch."""
    service: Service = request.app.state.service
    _refuse_while_learning(service)
    rules, troubles = usable_rules(service.project, service.scribbler.standing().classes)
    if troubles:
        raise ConfigError(
            f"nothing was deployed, for without its rules it would say something else: "
            f"{'; '.join(troubles)}; change or remove them in Scribble"
        )
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise Busy("another deployment is being written; ask again when it is done", retry_after=5)
    folder = service.packer.folder
    part = folder / PART
    try:
        shutil.rmtree(part, ignore_errors=True)  # what a killed server left
        part.mkdir(parents=True)
        told = msgspec.json.encode(rules)
        card = service.scribbler.ask("deploy", str(part / "deployed"), told)
        name = keep_archive(folder, part / "deployed")
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _ONE_AT_A_TIME.release()
    service.project.audit.record(member.name, "deployed", name, {"model_id": card["model_id"]})
    return DeploymentOut(
        name=name,
        bytes=(folder / name).stat().st_size,
        categories=card["categories"],
        install=card["install"],
    )


@router.get("/deployments/model")
def packed(request: Request, member: AnyMember) -> PackedOut:
    """Say whether the project's model is ready to be tried and carried away."""
    return _packed(request.app.state.service)


@router.post("/deployments/model", status_code=202)
def pack(request: Request, member: AnyReviewer, body: PackRequest) -> PackedOut:
    """Write what `maskmill deploy PROJECT` writes; answers at once."""
    service: Service = request.app.state.service
    service.packer.start(precision=body.precision)
    service.project.audit.record(
        member.name, "deployed", "model", {"model_id": service.decoder.model_id}
    )
    return _packed(service)


@router.post("/deployments/model/try", openapi_extra=BODY, max_body_size=ImageLimits().max_bytes)
async def try_model(request: Request, member: AnyMember) -> TriedModelOut:
    """Ask the deployed model about an image: the body is the file itself. It is not kept."""
    service: Service = request.app.state.service
    content = await request.body()
    told = await run_in_threadpool(service.packer.answer, content)
    known = {each.name: each.colour for each in service.project.categories.all()}
    masks = [
        rle.Rle((told["size"][0], told["size"][1]), m["segmentation"]["counts"].encode())
        for m in told["masks"]
    ]
    colours = [
        known.get(m["category"] or "", PALETTE[i % len(PALETTE)])
        for i, m in enumerate(told["masks"])
    ]
    drawn = await run_in_threadpool(
        overlay, masks, colours, (told["size"][0], told["size"][1]), SHOWN_SIDE
    )
    return TriedModelOut(
        overlay=base64.b64encode(drawn).decode(),
        masks=[TriedMaskOut(**{k: m[k] for k in TriedMaskOut.model_fields}) for m in told["masks"]],
        seconds=told["seconds"],
    )


@router.get("/deployments/{name}", response_class=FileResponse, responses=FILE)
def fetch(
    request: Request, member: AnyReviewer, name: Annotated[str, Path(max_length=100)]
) -> FileResponse:
    """Return a deployment's archive."""
    path = request.app.state.service.packer.folder / name
    if not NAME.fullmatch(name) or not path.is_file():
        raise NotFound(f"no deployment {name[:60]!r}; make one, the last {KEPT} are kept")
    return FileResponse(path, media_type="application/zip", filename=name)


def _refuse_while_learning(service: Service) -> None:
    """What is said of a classifier is said of the strokes that are there now."""
    if service.scribbler.learning:
        raise Busy("the latest strokes are being learned; ask again in a moment", retry_after=2)


def _packed(service: Service) -> PackedOut:
    ready = service.packer.ready()
    card = {} if ready is None else ready.card
    return PackedOut(
        working=service.packer.working,
        trouble=service.packer.trouble,
        name=None if ready is None else ready.name,
        bytes=0 if ready is None else ready.bytes,
        categories=card.get("categories", []),
        words=card.get("rests_on", []),
        install=card.get("install", "maskmill"),
        is_current=card.get("model_id") == service.decoder.model_id,
    )


def _confusion(told: Confusion | None) -> ConfusionOut | None:
    if told is None:
        return None
    return ConfusionOut(
        categories=list(told.categories),
        counts=told.counts.tolist(),
        iou=[told.iou(place) for place in range(len(told.categories))],
        mean_iou=told.mean_iou(),
    )

"""Routes of the data engine: where it stands, and its rounds."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from maskmill.engine.example import read_example
from maskmill.engine.gate import MIN_IMAGES
from maskmill.engine.heads import naming_of
from maskmill.engine.lineage import current_model, holdout_share, round_named, rounds_that_made
from maskmill.engine.rounds import RoundConfig, verdict_of
from maskmill.engine.standing import (
    RoundStanding,
    acceptance,
    in_words,
    missing_packages,
    seconds_per_mask,
    standing,
)
from maskmill.engine.starting import start_name
from maskmill.errors import StoreError
from maskmill.server.access import AnyMember, AnyReviewer
from maskmill.server.prefiller import asked_of, calibration_of
from maskmill.server.service import Service
from maskmill.server.trainer import curve
from maskmill.server.wire_proving import ConfusionOut
from maskmill.server.wire_rounds import (
    DecideRequest,
    EngineOut,
    ExampleOut,
    GateOut,
    InsteadOut,
    NamedImageOut,
    NamingOut,
    PointOut,
    PrefillOut,
    PrefillRequest,
    RoundDetailOut,
    RoundOut,
    RoundRequest,
    RoundsOut,
    SuggestionOut,
    WorkingOut,
    WorkOut,
)
from maskmill.store.changes import Stage
from maskmill.store.models import Round
from maskmill.store.round_work import Work

router = APIRouter(tags=["engine"])
WORST = 12
"""Images that are shown of those whose masks a round names wrongly."""
Number = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("/engine")
def get(request: Request, member: AnyMember) -> EngineOut:
    """Say where the engine stands, what it suggests, and why."""
    service: Service = request.app.state.service
    project = service.project
    # Asked once: a round that comes to rest between two looks would be "going on" and "resting".
    working = _working(service)
    found = standing(project, working=working is not None and not working.resting)
    model = current_model(project)
    return EngineOut(
        stage=found.stage,
        suggestion=SuggestionOut(
            what=found.suggestion.what,
            numbers=dict(found.suggestion.numbers),
            words=in_words(found.suggestion),
        ),
        rounds=_rounds(service, found.rounds),
        collecting=_work(found.collecting),
        working=working,
        example=None if found.rounds else _example(),
        prefill=_prefill(service),
        new_masks=found.new_masks,
        new_images=found.new_images,
        all_masks=found.all_masks,
        needed_masks=found.needed_masks,
        holdout_images=found.holdout_images,
        holdout_needed=MIN_IMAGES,
        waiting_images=found.waiting_images,
        missing=list(found.missing),
        model=service.decoder.config.name if model is None else model.name,
        model_id=service.decoder.model_id,
        can_roll_back=model is not None and model.id in rounds_that_made(project),
    )


@router.get("/rounds")
def all_rounds(request: Request, member: AnyMember) -> RoundsOut:
    """Return all rounds, the first one first."""
    service: Service = request.app.state.service
    return RoundsOut(rounds=_rounds(service, standing(service.project).rounds))


@router.get("/rounds/{number}")
def one(request: Request, member: AnyMember, number: Number) -> RoundDetailOut:
    """Return a round with its training curve."""
    service: Service = request.app.state.service
    round_ = round_named(service.project, number)
    told = _round(service, round_, None).model_dump()
    points = [PointOut(**point) for point in curve(service.project, round_)]
    return RoundDetailOut(**{**told, "points": points})


@router.post("/rounds", status_code=202)
def start(request: Request, member: AnyReviewer, body: RoundRequest) -> WorkingOut:
    """Train on what there is; answers at once, and `round` events tell how far it is."""
    service: Service = request.app.state.service
    if missing := missing_packages():
        raise StoreError(
            f"training needs {', '.join(missing)}; install with "
            "`pip install 'maskmill[train,export]'` and start the server again"
        )
    stage = standing(service.project).stage
    heads: dict[str, Any] = {} if body.head_steps is None else {"steps": body.head_steps}
    by_hand: Stage = "semi" if stage == "semi" else "assisted"
    config = RoundConfig(
        stage="automatic" if body.profile == "automatic" else by_hand,
        recipe="automatic" if body.profile == "automatic" else RoundConfig.recipe,
        masks=body.masks,
        start=body.start,
        val_share=holdout_share(service.project),
        training={} if body.steps is None else {"steps": body.steps},
        detector_training=heads,
        regions_training=heads,
    )
    service.trainer.start(config)
    return _going(service)


@router.post("/rounds/pause")
def pause(request: Request, member: AnyReviewer) -> WorkingOut:
    """Let the round rest; what it reached is kept."""
    service: Service = request.app.state.service
    service.trainer.pause()
    return _going(service)


@router.post("/rounds/resume", status_code=202)
def resume(request: Request, member: AnyReviewer) -> WorkingOut:
    """Go on with the round that rests."""
    service: Service = request.app.state.service
    service.trainer.start(None)
    return _going(service)


@router.post("/rounds/cancel")
def cancel(request: Request, member: AnyReviewer) -> RoundOut:
    """Give the open round up; its masks stay new."""
    service: Service = request.app.state.service
    return _round(service, service.trainer.cancel(by=member.name), None)


@router.post("/rounds/decide")
def decide(request: Request, member: AnyReviewer, body: DecideRequest) -> RoundOut:
    """Promote the new model or keep the old one, where the gate left it to a person."""
    service: Service = request.app.state.service
    return _round(service, service.trainer.decide(promote=body.promote, by=member.name), None)


@router.post("/rounds/roll-back")
def roll_back(request: Request, member: AnyReviewer) -> RoundOut:
    """Go back to the model before the current one."""
    service: Service = request.app.state.service
    return _round(service, service.trainer.roll_back(by=member.name), None)


@router.post("/prefill", status_code=202)
def prefill(request: Request, member: AnyReviewer, body: PrefillRequest) -> PrefillOut:
    """Put the masks that the model is sure of on the next images without one, as queued."""
    service: Service = request.app.state.service
    first = [image_id for image_id, _ in service.planner.order()]
    service.prefiller.start(body.images, body.precision, first=first)
    told = _prefill(service)
    assert told is not None  # it was begun just now
    return told


@router.post("/prefill/cancel")
def cancel_prefill(request: Request, member: AnyReviewer) -> PrefillOut:
    """End the pre-filling; the masks that are there stay."""
    service: Service = request.app.state.service
    service.prefiller.cancel()
    told = _prefill(service)
    assert told is not None  # it was going on
    return told


def _prefill(service: Service) -> PrefillOut | None:
    job = service.prefiller.last()
    if job is None:
        return None
    told = calibration_of(service.project, job) or {}
    return PrefillOut(
        running=service.prefiller.working,
        done=job.done,
        total=job.total,
        message=job.message if job.status in ("failed", "done") else None,
        asked=asked_of(job),
        threshold=told.get("threshold"),
        precision=told.get("precision"),
        found=told.get("found"),
        instead=[InsteadOut(precision=p, found=share) for p, share in told.get("instead", [])],
    )


def _example() -> ExampleOut:
    told = read_example()
    rounds = [
        RoundOut(
            number=each["round"],
            stage=each["stage"],
            status=each["status"],
            reason=None,
            started_at=0.0,
            ended_at=0.0,
            masks="all",
            start="current",
            start_name=None,
            work=WorkOut(
                **{name: each[name] for name in ("images", "seconds_per_mask", "masks_per_image")},
                masks=each["masks"] - each["prefilled_kept"],
                clicks_per_mask=each["clicks_per_mask"],
                strokes_per_mask=each["strokes_per_mask"],
                kept=each["prefilled_kept"],
                rejected=each["prefilled_rejected"],
                unseen=0,
                acceptance=acceptance(
                    Work(kept=each["prefilled_kept"], rejected=each["prefilled_rejected"])
                ),
            ),
            gate=GateOut.model_validate({**each["gate"], "reason": ""}),
            naming=None,
        )
        for each in told["rounds"]
    ]
    return ExampleOut(name=told["name"], rounds=rounds)


def _rounds(service: Service, frozen: tuple[RoundStanding, ...]) -> list[RoundOut]:
    """Write all rounds, those among them that froze no data."""
    works = {each.round.id: each.work for each in frozen}
    return [_round(service, r, works.get(r.id)) for r in service.project.models.rounds()]


def _round(service: Service, round_: Round, work: Work | None) -> RoundOut:
    gate = verdict_of(service.project, round_)
    settings = dict(round_.settings or {})
    other = start_name(settings.get("start"))
    return RoundOut(
        number=round_.number,
        stage=round_.stage,
        status=round_.status,
        reason=round_.reason,
        started_at=round_.started_at,
        ended_at=round_.ended_at,
        masks=settings.get("masks"),
        start=settings.get("start") if other is None else "other",
        start_name=other,
        work=None if work is None else _work(work),
        gate=None if gate is None else GateOut.model_validate(gate),
        naming=_naming(service, round_),
    )


def _naming(service: Service, round_: Round) -> NamingOut | None:
    check = naming_of(service.project, round_)
    if check is None:
        return None
    return NamingOut(
        table=ConfusionOut(
            categories=list(check.categories),
            counts=[list(row) for row in check.counts],
            iou=[None] * len(check.categories),
            mean_iou=None,
        ),
        images=[
            NamedImageOut(image_id=image_id, wrong=wrong, masks=masks)
            for image_id, wrong, masks in check.images[:WORST]
        ],
    )


def _work(work: Work) -> WorkOut:
    def each(total: float, of: int) -> float | None:
        return total / of if of else None

    return WorkOut(
        masks=work.masks,
        images=work.images,
        seconds_per_mask=seconds_per_mask(work),
        masks_per_image=each(work.masks + work.kept, work.images),
        clicks_per_mask=each(work.clicks, work.masks),
        strokes_per_mask=each(work.edits, work.masks),
        kept=work.kept,
        rejected=work.rejected,
        unseen=work.unseen,
        acceptance=acceptance(work),
    )


def _working(service: Service) -> WorkingOut | None:
    progress = service.trainer.progress()
    if progress is None:
        return None
    return WorkingOut(**vars(progress), resting=not service.trainer.working)


def _going(service: Service) -> WorkingOut:
    working = _working(service)
    if working is not None:
        return working
    rounds = service.project.models.rounds()  # the thread has not opened its row yet, or ended it
    number = rounds[-1].number if rounds else 1
    return WorkingOut(
        number=number, phase="collect", step=0, steps=None, seconds_left=None, resting=False
    )

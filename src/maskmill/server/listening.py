"""The route of events: what happens in the project, as it happens."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from maskmill.server.access import AnyMember
from maskmill.server.changes import event_data
from maskmill.server.events import as_text
from maskmill.server.service import Service

router = APIRouter(tags=["events"])
MOST_MISSED = 1000
"""Missed changes that are told one by one."""


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Until it is closed."}},
)
async def events(
    request: Request,
    member: AnyMember,
    since: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:
    """Tell what happens, as server-sent events.

    `annotation` (sequence, id, image_id, version, deleted, changed_by), `image` (image_id),
    `embedding` (image_id), `category` (category_id), `progress` (embedded, images), `round` (see
    `WorkingOut`, with the new points of its curve), `engine` (look at `/api/engine` again), `model`
    (model_id: another one is current). The id of an event is a sequence; given back as
    `Last-Event-ID` or `since`, what was missed comes first.
    """
    service: Service = request.app.state.service
    seen = int(last_event_id) if last_event_id and last_event_id.isdecimal() else since
    missed = [] if seen is None else await run_in_threadpool(_missed, service, seen)
    return StreamingResponse(
        service.events.listen(missed),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


def _missed(service: Service, sequence: int) -> list[str]:
    found = service.project.annotations.since(min(sequence, 2**53), limit=MOST_MISSED)
    told = event_data(service, found)
    return [as_text("annotation", data["sequence"], data) for data in told]

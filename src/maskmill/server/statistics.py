"""The route of numbers: how far the project is, and how fast its people are."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from maskmill.server.access import AnyMember
from maskmill.server.service import Service
from maskmill.server.wire_members import EffortOut, StatisticsOut
from maskmill.store import ImageFilter
from maskmill.store.effort import By, count_states, effort

router = APIRouter(tags=["statistics"])


@router.get("/statistics")
def get(
    request: Request,
    member: AnyMember,
    utc_offset_minutes: Annotated[int, Query(ge=-1440, le=1440)] = 0,
) -> StatisticsOut:
    """Return seconds per mask and masks per image by day, person and model.

    Only masks that people made count; `utc_offset_minutes` says when the reader's days begin.
    """
    service: Service = request.app.state.service
    project = service.project

    def by(*what: By) -> list[EffortOut]:
        found = effort(project.database, project.id, what, utc_offset_minutes=utc_offset_minutes)
        return [EffortOut(**{**vars(row), "key": " ".join(row.key)}) for row in found]

    people = by("person")
    return StatisticsOut(
        images=project.images.count(),
        images_with_masks=project.images.count(ImageFilter(has_masks=True)),
        masks=sum(row.masks for row in people),
        states=count_states(project.database, project.id),
        by_day=by("day"),
        by_person=people,
        by_model=by("model"),
        by_day_and_person=by("day", "person"),
        by_day_and_model=by("day", "model"),
    )

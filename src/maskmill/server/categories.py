"""Routes of categories: names, colours and the keys that choose them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from maskmill.errors import NotFound
from maskmill.server.access import AnyMember, AnyReviewer
from maskmill.server.service import Service
from maskmill.server.wire import RowId
from maskmill.server.wire_images import (
    CategoriesOut,
    CategoryChange,
    CategoryOut,
    CategoryRequest,
)

router = APIRouter(tags=["categories"])
CategoryId = Annotated[RowId, Path()]


@router.get("/categories")
def listed(request: Request, member: AnyMember) -> CategoriesOut:
    """Return all categories in the order in which they were made."""
    return CategoriesOut(categories=_all(request.app.state.service))


@router.post("/categories")
def add(request: Request, member: AnyMember, body: CategoryRequest) -> CategoryOut:
    """Make a category; one of that name that exists already is returned."""
    service: Service = request.app.state.service
    categories = service.project.categories
    row = categories.ensure([body.name])[body.name]
    if body.colour is not None or body.digit is not None:
        categories.change(row, colour=body.colour, digit=body.digit)
    return _told(service, row)


@router.patch("/categories/{category_id}")
def change(
    request: Request, member: AnyReviewer, category_id: CategoryId, body: CategoryChange
) -> CategoryOut:
    """Rename or recolour a category, or give it a key; its masks stay its own."""
    service: Service = request.app.state.service
    service.project.categories.change(
        category_id, name=body.name, colour=body.colour, digit=body.digit
    )
    if body.name is not None:
        service.scribbler.renamed()
    service.project.audit.record(
        member.name, "category changed", str(category_id), body.model_dump(exclude_unset=True)
    )
    return _told(service, category_id)


@router.delete("/categories/{category_id}", status_code=204)
def delete(request: Request, member: AnyReviewer, category_id: CategoryId) -> None:
    """Put a category away; refused while masks are of it."""
    service: Service = request.app.state.service
    service.project.categories.delete(category_id)
    service.project.audit.record(member.name, "category deleted", str(category_id))
    service.scribbler.renamed()
    service.events.tell("category", category_id=category_id)


def _told(service: Service, category_id: int) -> CategoryOut:
    service.events.tell("category", category_id=category_id)
    for category in _all(service):
        if category.id == category_id:
            return category
    raise NotFound(f"category {category_id} does not exist; list the categories")


def _all(service: Service) -> list[CategoryOut]:
    return [
        CategoryOut(id=row.id, name=row.name, colour=row.colour, digit=row.digit)
        for row in service.project.categories.all()
    ]

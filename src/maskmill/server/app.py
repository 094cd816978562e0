"""Puts the server together: routes under /api, the pages, and one table of errors to statuses."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from maskmill import __version__
from maskmill.errors import Conflict, MaskmillError, NotFound, StoreError
from maskmill.server import (
    annotations,
    automatic,
    categories,
    exports,
    images,
    listening,
    members,
    models,
    proving,
    queue,
    rounds,
    scribbles,
    sessions,
    statistics,
    uploads,
)
from maskmill.server.access import Allow, Busy, Forbidden, NotSignedIn, TooMany
from maskmill.server.changes import to_wire
from maskmill.server.pages import add_pages
from maskmill.server.security import Guard
from maskmill.server.service import Service
from maskmill.server.wire import ConflictOut, ErrorOut
from maskmill.store import Annotation

MAX_BODY = 16 * 2**20
"""Bytes of a request's body, unless its route says otherwise."""
STATUSES: tuple[tuple[type[MaskmillError], int], ...] = (
    (NotSignedIn, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooMany, 429),
    (Busy, 503),
    (MaskmillError, 422),
)
"""What each error is on the wire; the first that fits counts."""
ROUTERS = (
    sessions,
    models,
    images,
    uploads,
    annotations,
    categories,
    queue,
    statistics,
    rounds,
    automatic,
    scribbles,
    proving,
    exports,
    members,
    listening,
)
ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorOut, "description": "Nobody is signed in."},
    403: {"model": ErrorOut, "description": "Not with this role, or not from this page."},
    404: {"model": ErrorOut, "description": "There is no such thing."},
    422: {"model": ErrorOut, "description": "What was asked for is not allowed; why."},
}


def guarded(service: Service) -> ASGIApp:
    """Return the whole server, with its doors: what uvicorn runs."""
    return Guard(create_app(service), names=service.names, https=service.https)


def create_app(service: Service | None) -> FastAPI:
    """Put the routes together.

    Args:
        service: What they work with; None for an application that is only described.

    Raises:
        RuntimeError: If a route does not say who may call it.
    """
    app = FastAPI(
        title="maskmill",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        max_body_size=MAX_BODY,
    )
    app.state.service = service
    api = APIRouter(prefix="/api", responses=ERRORS)
    for route in api_routes():
        route.operation_id = f"{route.tags[0]}_{route.name}"
        route.openapi_extra = {"x-roles": list(allowed(route).roles or ("anybody",))}
    for part in ROUTERS:
        api.include_router(part.router)
    app.include_router(api)
    app.add_exception_handler(MaskmillError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _of_the_framework)
    add_pages(app)
    return app


def api_routes() -> list[APIRoute]:
    """Return all routes that are no pages."""
    routes = [route for part in ROUTERS for route in part.router.routes]
    return [route for route in routes if isinstance(route, APIRoute)]


def allowed(route: APIRoute) -> Allow:
    """Return who may call a route.

    Raises:
        RuntimeError: If it does not say so, or says so twice.
    """
    found = [part.call for part in route.dependant.dependencies if isinstance(part.call, Allow)]
    if len(found) != 1:
        raise RuntimeError(f"{route.path} must say once who may call it; see server/access.py")
    return found[0]


def _refused(request: Request, error: Exception) -> JSONResponse:
    """Say in one sentence why not."""
    assert isinstance(error, MaskmillError)
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    if isinstance(error, Conflict):
        return JSONResponse(_conflict(request, error), 409)
    body = ErrorOut(error=str(error), where=[]).model_dump()
    headers = {"retry-after": str(error.retry_after)} if isinstance(error, Busy) else {}
    if isinstance(error, StoreError) and _is_of_the_database(error):
        full = "make room" in str(error)
        return JSONResponse(body, 507 if full else 503, {} if full else {"retry-after": "1"})
    return JSONResponse(body, status, headers)


def _is_of_the_database(error: StoreError) -> bool:
    return isinstance(error.__cause__, DBAPIError) or "at once; try again" in str(error)


def _conflict(request: Request, error: Conflict) -> dict[str, Any]:
    service: Service = request.app.state.service
    current = None
    if isinstance(error.current, Annotation):
        (current,) = to_wire(service, [error.current])
    answer = ConflictOut(error=str(error), current=current, attempted=error.attempted)
    return answer.model_dump()


def _malformed(request: Request, error: Exception) -> JSONResponse:
    """Name the fields that are wrong; what they held is not repeated."""
    assert isinstance(error, RequestValidationError)
    problems = error.errors()[:10]
    where = [".".join(str(part) for part in each["loc"]) for each in problems]
    said = "; ".join(f"{at}: {each['msg']}" for at, each in zip(where, problems, strict=True))
    body = ErrorOut(error=f"{said}; see docs/http.md", where=where)
    return JSONResponse(body.model_dump(), 422)


def _of_the_framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail), "where": []}, error.status_code, error.headers)

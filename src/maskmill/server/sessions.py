"""Routes of sessions: coming in with a token or a password, who one is, going out."""

import getpass
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from maskmill.server.access import Anybody, AnyMember
from maskmill.server.service import Service
from maskmill.server.wire_members import PasswordRequest, SessionOut, TokenRequest

router = APIRouter(tags=["session"])


@router.post("/session")
def begin(
    request: Request, response: Response, member: Anybody, body: TokenRequest | PasswordRequest
) -> SessionOut:
    """Come in; the answer sets a cookie that scripts cannot read."""
    service: Service = request.app.state.service
    if isinstance(body, TokenRequest):
        secret = service.door.exchange(body.token, getpass.getuser())
    else:
        secret = service.door.sign_in(body.name, body.password)
    service.door.set_cookie(response, secret)
    found = service.door.member(secret)
    assert found is not None
    return _session(service, found)


@router.get("/session")
def get(request: Request, member: AnyMember) -> SessionOut:
    """Say who is asking, and how far the project is."""
    return _session(request.app.state.service, member)


@router.delete("/session", status_code=204)
def end(request: Request, response: Response, member: AnyMember) -> None:
    """Go out."""
    service: Service = request.app.state.service
    service.project.accounts.end_session(member.digest)
    service.project.audit.record(member.name, "signed out")
    response.delete_cookie(service.door.cookie, httponly=True, samesite="strict")


@router.get("/openapi.json")
def openapi(request: Request, member: AnyMember) -> dict[str, Any]:
    """Return the description of this interface."""
    app: FastAPI = request.app
    return app.openapi()


def _session(service: Service, member: AnyMember) -> SessionOut:
    return SessionOut(
        name=member.name,
        role=member.role,
        project=service.project.name,
        project_uid=service.project.uid,
        accounts=service.door.with_accounts,
        images=service.project.images.count(),
        embedded=service.embedder.done,
    )

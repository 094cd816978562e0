"""Routes of members: who may come in, as what, and what the audit log says they did."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from maskmill.errors import NotFound, StoreError
from maskmill.server.access import AnyAdmin, AnyMember, AnyReviewer, hash_password, is_password
from maskmill.server.service import Service
from maskmill.server.wire_members import (
    AuditOut,
    EntryOut,
    MemberChange,
    MemberOut,
    MemberRequest,
    MembersOut,
    Name,
    OwnPasswordRequest,
)
from maskmill.store.accounts import Account

router = APIRouter(tags=["members"])
MemberName = Annotated[Name, Path()]


@router.get("/members")
def listed(request: Request, member: AnyReviewer) -> MembersOut:
    """Return all accounts in the order of their names; none on one's own machine."""
    service: Service = request.app.state.service
    return MembersOut(members=[_member(each) for each in service.project.accounts.all()])


@router.post("/members")
def add(request: Request, member: AnyAdmin, body: MemberRequest) -> MemberOut:
    """Let a person in. The first account makes passwords count from the next start on."""
    service: Service = request.app.state.service
    accounts = service.project.accounts
    if not accounts.all() and body.role != "admin":
        raise StoreError("the first account must be an admin's, or nobody could add the others")
    made = accounts.add(body.name, body.role, hash_password(body.password))
    service.project.audit.record(member.name, "member added", made.name, {"role": made.role})
    return _member(made)


@router.patch("/members/{name}")
def change(request: Request, member: AnyAdmin, name: MemberName, body: MemberChange) -> MemberOut:
    """Change a role or a password, or shut an account; its sessions end."""
    service: Service = request.app.state.service
    password_hash = None if body.password is None else hash_password(body.password)
    changed = service.project.accounts.change(
        name, role=body.role, password_hash=password_hash, disabled=body.disabled
    )
    said = {"role": body.role, "password": body.password is not None, "disabled": body.disabled}
    service.project.audit.record(member.name, "member changed", name, said)
    return _member(changed)


@router.put("/session/password", status_code=204)
def change_own(request: Request, member: AnyMember, body: OwnPasswordRequest) -> None:
    """Change one's own password; all one's sessions end."""
    service: Service = request.app.state.service
    account = service.project.accounts.find(member.name)
    if account is None:
        raise NotFound("on one's own machine there are no passwords; ask an admin for an account")
    if not is_password(account, body.old):
        raise StoreError("the old password is wrong; nothing was changed")
    service.project.accounts.change(member.name, password_hash=hash_password(body.new))
    service.project.audit.record(member.name, "password changed", member.name)


@router.get("/audit")
def audit(
    request: Request,
    member: AnyAdmin,
    before: Annotated[int | None, Query(ge=1, lt=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> AuditOut:
    """Return what people did, the latest first."""
    service: Service = request.app.state.service
    entries = service.project.audit.page(before=before, limit=limit)
    return AuditOut(entries=[EntryOut(**asdict(each)) for each in entries])


def _member(account: Account) -> MemberOut:
    return MemberOut(name=account.name, role=account.role, disabled=account.disabled)

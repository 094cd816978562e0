"""Every route x every kind of visitor: who may call it stands here, and is held to the code."""

import dataclasses
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from maskmill.server import access
from maskmill.server.access import Allow, hash_password, is_password
from maskmill.server.app import allowed, api_routes, create_app
from maskmill.server.service import Service
from maskmill.store import Project
from maskmill.store.database import project_id_of

from .conftest import PASSWORD, ROLES, Browser, make_service

ALL, MEMBERS, REVIEWERS, ADMINS = (), ROLES, ("admin", "reviewer"), ("admin",)
MATRIX: dict[str, tuple[str, ...]] = {
    "POST /api/session": ALL,
    "GET /api/session": MEMBERS,
    "DELETE /api/session": MEMBERS,
    "PUT /api/session/password": MEMBERS,
    "GET /api/openapi.json": MEMBERS,
    "GET /api/model": MEMBERS,
    "GET /api/model/{name}": MEMBERS,
    "GET /api/images": MEMBERS,
    "POST /api/images": REVIEWERS,
    "GET /api/images/{image_id}": MEMBERS,
    "GET /api/images/{image_id}/file": MEMBERS,
    "GET /api/images/{image_id}/thumbnail": MEMBERS,
    "GET /api/images/{image_id}/overlay": MEMBERS,
    "GET /api/images/{image_id}/embedding": MEMBERS,
    "GET /api/images/{image_id}/regions": MEMBERS,
    "POST /api/images/{image_id}/decode": MEMBERS,
    "GET /api/images/{image_id}/annotations": MEMBERS,
    "POST /api/images/{image_id}/redraw": MEMBERS,
    "GET /api/images/{image_id}/around": MEMBERS,
    "PUT /api/images/{image_id}/lease": MEMBERS,
    "DELETE /api/images/{image_id}/lease": MEMBERS,
    "POST /api/images/{image_id}/finish": MEMBERS,
    "POST /api/images/{image_id}/review": REVIEWERS,
    "POST /api/images/{image_id}/reopen": REVIEWERS,
    "GET /api/annotations/{annotation_id}": MEMBERS,
    "PUT /api/annotations/{annotation_id}": MEMBERS,
    "DELETE /api/annotations/{annotation_id}": MEMBERS,
    "GET /api/annotations/{annotation_id}/history": MEMBERS,
    "POST /api/annotations/{annotation_id}/restore": MEMBERS,
    "POST /api/annotations/{annotation_id}/review": REVIEWERS,
    "POST /api/operations": MEMBERS,
    "GET /api/categories": MEMBERS,
    "POST /api/categories": MEMBERS,
    "PATCH /api/categories/{category_id}": REVIEWERS,
    "DELETE /api/categories/{category_id}": REVIEWERS,
    "POST /api/queue/next": MEMBERS,
    "POST /api/queue/review": REVIEWERS,
    "POST /api/assignments": REVIEWERS,
    "GET /api/statistics": MEMBERS,
    "GET /api/exports": REVIEWERS,
    "POST /api/exports": REVIEWERS,
    "GET /api/exports/{name}": REVIEWERS,
    "GET /api/members": REVIEWERS,
    "POST /api/members": ADMINS,
    "PATCH /api/members/{name}": ADMINS,
    "GET /api/audit": ADMINS,
    "GET /api/events": MEMBERS,
    "GET /api/engine": MEMBERS,
    "GET /api/rounds": MEMBERS,
    "GET /api/rounds/{number}": MEMBERS,
    "POST /api/rounds": REVIEWERS,
    "POST /api/rounds/pause": REVIEWERS,
    "POST /api/rounds/resume": REVIEWERS,
    "POST /api/rounds/cancel": REVIEWERS,
    "POST /api/rounds/decide": REVIEWERS,
    "POST /api/rounds/roll-back": REVIEWERS,
    "POST /api/prefill": REVIEWERS,
    "POST /api/prefill/cancel": REVIEWERS,
    "GET /api/label": MEMBERS,
    "POST /api/label": REVIEWERS,
    "POST /api/label/cancel": REVIEWERS,
    "GET /api/scribbles": MEMBERS,
    "POST /api/scribbles/everything": MEMBERS,
    "GET /api/images/{image_id}/strokes": MEMBERS,
    "PUT /api/images/{image_id}/strokes": MEMBERS,
    "GET /api/images/{image_id}/segmented": MEMBERS,
    "POST /api/images/{image_id}/segmented": MEMBERS,
    "POST /api/images/{image_id}/segmented/masks": MEMBERS,
    "POST /api/scribbles/check": MEMBERS,
    "POST /api/scribbles/try": MEMBERS,
    "POST /api/rules/suggest": MEMBERS,
    "POST /api/deployments": REVIEWERS,
    "GET /api/deployments/model": MEMBERS,
    "POST /api/deployments/model": REVIEWERS,
    "POST /api/deployments/model/try": MEMBERS,
    "GET /api/deployments/{name}": REVIEWERS,
    "GET /api/rules": MEMBERS,
    "PUT /api/rules": REVIEWERS,
    "GET /api/quality": MEMBERS,
    "POST /api/quality": REVIEWERS,
    "GET /api/quality/next": REVIEWERS,
    "POST /api/quality/found": REVIEWERS,
}
FILLED = {
    "{image_id}": "1",
    "{annotation_id}": "00000000-0000-4000-8000-000000000000",
    "{category_id}": "999",
    "{name}": "nobody",
    "{number}": "1",
}


def call(client: TestClient, route: str) -> int:
    """Call a route with nothing in it; returns the status."""
    method, path = route.split()
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return client.request(method, path).status_code


def test_the_matrix_names_every_route_and_the_code_agrees() -> None:
    described = create_app(None).openapi()["paths"]
    found = {
        f"{method.upper()} {path}": tuple(operation["x-roles"])
        for path, methods in described.items()
        for method, operation in methods.items()
    }
    assert found == {route: roles or ("anybody",) for route, roles in MATRIX.items()}
    assert len(api_routes()) == len(MATRIX)


def test_a_route_that_names_nobody_keeps_the_server_from_starting() -> None:
    route = api_routes()[0]
    (declared,) = [each for each in route.dependant.dependencies if isinstance(each.call, Allow)]
    route.dependant.dependencies.remove(declared)
    try:
        with pytest.raises(RuntimeError, match="who may call it"):
            create_app(None)
    finally:
        route.dependant.dependencies.append(declared)
    assert allowed(route)


@pytest.mark.parametrize("visitor", [None, *ROLES])
def test_every_route_lets_in_whom_it_names_and_nobody_else(
    team: Service, browser: Browser, visitor: str | None
) -> None:
    team.events.close()  # or its route would go on for ever
    client = browser(visitor)
    for route, roles in sorted(MATRIX.items(), key=lambda each: each[0] == "DELETE /api/session"):
        status = call(client, route)
        if not roles or visitor in roles:
            assert status not in (401, 403), (route, visitor, status)
        else:
            assert status == (401 if visitor is None else 403), (route, visitor, status)


def test_reading_changes_nothing(team: Service, browser: Browser) -> None:
    admin = browser("admin")
    team.events.close()

    def sequence() -> int:
        with team.project.database.read() as connection:
            assert project_id_of(connection, team.project.uid) == team.project.id
            rows = connection.exec_driver_sql(
                f"SELECT sequence FROM projects WHERE id = {team.project.id}"
            )
            return int(rows.scalar_one())

    before = sequence()
    for route in MATRIX:
        if route.startswith("GET"):
            call(admin, route)
    assert sequence() == before
    admin.post("/api/categories", json={"name": "control"})
    assert sequence() > before


def test_a_link_lets_one_browser_in(service: Service, browser: Browser) -> None:
    announced: list[str] = []
    service.door.announce = announced.append
    token = service.door.new_token()
    first, second = browser(), browser()
    assert first.post("/api/session", json={"token": token}).status_code == 200
    assert second.post("/api/session", json={"token": token}).status_code == 401
    assert second.get("/api/session").status_code == 401
    assert second.post("/api/session", json={"token": announced[-1]}).status_code == 200


def test_the_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(
    service: Service, browser: Browser
) -> None:
    answer = browser().post("/api/session", json={"token": service.door.new_token()})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    service.door.secure = True
    answer = browser().post("/api/session", json={"token": service.door.new_token()})
    assert "; secure" in answer.headers["set-cookie"].lower()


def test_tokens_and_cookies_are_kept_as_hashes_only(service: Service, client: TestClient) -> None:
    (secret,) = client.cookies.values()
    token = service.door.new_token()
    kept = [path.read_bytes() for path in service.project.folder.rglob("*") if path.is_file()]
    assert not any(secret.encode() in content or token.encode() in content for content in kept)
    with service.project.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT digest FROM sessions").scalars().all()
    assert access.digest_of(secret) in rows


def test_with_accounts_no_link_and_no_session_of_before_lets_anybody_in(
    service: Service, browser: Browser, client: TestClient
) -> None:
    token = service.door.new_token()
    service.project.accounts.add("ann", "admin", hash_password(PASSWORD))
    service.door.with_accounts = True
    assert client.get("/api/session").status_code == 401
    assert browser().post("/api/session", json={"token": token}).status_code == 401
    assert browser("ann").get("/api/session").json()["role"] == "admin"


def sign_in(client: TestClient, name: str, password: str) -> Any:
    return client.post("/api/session", json={"name": name, "password": password})


def test_a_wrong_name_and_a_wrong_password_sound_alike(team: Service, browser: Browser) -> None:
    wrong = [sign_in(browser(), *pair) for pair in (("admin", "wrong"), ("nobody", PASSWORD))]
    assert {answer.status_code for answer in wrong} == {401}
    assert wrong[0].json() == wrong[1].json()
    assert [each.action for each in team.project.audit.page()[:2]] == ["sign-in refused"] * 2


def test_guessing_passwords_is_slowed_down(
    team: Service, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "TRIES", 3)
    client = browser()
    for _ in range(3):
        assert sign_in(client, "admin", "wrong").status_code == 401
    stopped = sign_in(client, "admin", PASSWORD)
    assert stopped.status_code == 429
    assert 0 < int(stopped.headers["retry-after"]) <= access.TRIES_SECONDS
    assert sign_in(client, "reviewer", PASSWORD).status_code == 200
    later = time.monotonic() + access.TRIES_SECONDS + 1
    monkeypatch.setattr(access.time, "monotonic", lambda: later)
    assert sign_in(client, "admin", PASSWORD).status_code == 200


def test_sessions_end(team: Service, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, shut, outdated = browser("admin"), browser("annotator"), browser("reviewer")
    assert gone.delete("/api/session").status_code == 204
    gone.cookies.clear()
    assert gone.get("/api/session").status_code == 401
    team.project.accounts.change("annotator", disabled=True)
    assert shut.get("/api/session").status_code == 401
    assert sign_in(browser(), "annotator", PASSWORD).status_code == 401
    assert outdated.get("/api/session").status_code == 200
    later = time.time() + access.SESSION_SECONDS + 1
    monkeypatch.setattr("maskmill.store.accounts.now", lambda: later)
    assert outdated.get("/api/session").status_code == 401


def test_a_session_is_good_for_its_own_project_only(
    team: Service, browser: Browser, create: Any, photos: Any
) -> None:
    other: Project = create("other")
    theirs = make_service(other, photos)
    theirs.project.accounts.add("admin", "admin", hash_password(PASSWORD))
    theirs.door.with_accounts = True
    secret = theirs.door.sign_in("admin", PASSWORD)
    client = browser()
    client.cookies.set(theirs.door.cookie, secret)
    client.cookies.set(team.door.cookie, secret)
    assert client.get("/api/session").status_code == 401
    assert theirs.door.member(secret) is not None


def test_passwords_are_kept_as_argon2(team: Service) -> None:
    account = team.project.accounts.find("admin")
    assert account is not None
    assert account.password_hash.startswith("$argon2id$")
    assert is_password(account, PASSWORD)
    assert not is_password(account, PASSWORD + " ")
    assert not is_password(None, PASSWORD)
    assert not is_password(dataclasses.replace(account, disabled=True), PASSWORD)

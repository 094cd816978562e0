"""Accounts over HTTP: made by admins, written down, and never without an admin."""

from starlette.testclient import TestClient

from maskmill.server.service import Service

from .conftest import PASSWORD, Browser


def test_an_admin_lets_people_in_and_shuts_them_out(team: Service, browser: Browser) -> None:
    admin = browser("admin")
    new = {"name": "zoë", "role": "annotator", "password": PASSWORD}
    assert admin.post("/api/members", json=new).json()["role"] == "annotator"
    zoe = browser("zoë")
    assert zoe.get("/api/session").json()["role"] == "annotator"
    assert admin.patch("/api/members/zoë", json={"role": "reviewer"}).status_code == 200
    assert zoe.get("/api/session").status_code == 401  # what she was allowed has changed
    assert browser("zoë").get("/api/members").status_code == 200
    shut = admin.patch("/api/members/zoë", json={"disabled": True}).json()
    assert shut["disabled"]
    names = [each["name"] for each in admin.get("/api/members").json()["members"]]
    assert names == ["admin", "annotator", "reviewer", "zoë"]
    log = admin.get("/api/audit").json()["entries"]
    assert [each["action"] for each in log if each["subject"] == "zoë"] == [
        "member changed",
        "member changed",
        "member added",
    ]
    assert PASSWORD not in str(log)
    older = admin.get("/api/audit", params={"before": log[-1]["id"]}).json()["entries"]
    assert older == []


def test_what_is_wrong_with_an_account_is_refused(team: Service, browser: Browser) -> None:
    admin = browser("admin")
    new = {"name": "ann", "role": "annotator", "password": PASSWORD}
    for wrong in (
        {"password": "short"},
        {"role": "owner"},
        {"name": "admin"},
        {"name": " "},
        {"name": "a\x00b"},
        {"name": "x" * 65},
        {"disabled": False},
    ):
        assert admin.post("/api/members", json={**new, **wrong}).status_code == 422, wrong
    assert admin.patch("/api/members/nobody", json={"role": "admin"}).status_code == 404
    last = admin.patch("/api/members/admin", json={"role": "annotator"})
    assert last.status_code == 422
    assert "last admin" in last.json()["error"]
    assert admin.get("/api/session").json()["role"] == "admin"


def test_one_changes_ones_own_password(team: Service, browser: Browser) -> None:
    ann = browser("annotator")
    wrong = {"old": "something else", "new": "another long password"}
    assert ann.put("/api/session/password", json=wrong).status_code == 422
    right = {**wrong, "old": PASSWORD}
    assert ann.put("/api/session/password", json=right).status_code == 204
    assert ann.get("/api/session").status_code == 401
    again = {"name": "annotator", "password": "another long password"}
    assert browser().post("/api/session", json=again).status_code == 200


def test_on_ones_own_machine_the_first_account_is_an_admins(client: TestClient) -> None:
    new = {"name": "ann", "role": "annotator", "password": PASSWORD}
    assert client.post("/api/members", json=new).status_code == 422
    assert client.post("/api/members", json={**new, "role": "admin"}).status_code == 200
    assert client.get("/api/session").status_code == 200  # accounts count from the next start on
    own = {"old": PASSWORD, "new": "another long password"}
    assert client.put("/api/session/password", json=own).status_code == 404

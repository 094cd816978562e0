"""Sessions over HTTP: who one is, and how far the project is."""

from starlette.testclient import TestClient

from maskmill.server.service import Service

from .conftest import Browser


def test_a_session_says_who_and_where_one_is(client: TestClient, service: Service) -> None:
    told = client.get("/api/session").json()
    assert (told["role"], told["project"], told["accounts"]) == ("admin", "project", False)
    assert (told["images"], told["embedded"]) == (3, 0)
    assert told["project_uid"] == service.project.uid


def test_an_account_says_its_role(team: Service, browser: Browser) -> None:
    told = browser("annotator").get("/api/session").json()
    assert (told["name"], told["role"], told["accounts"]) == ("annotator", "annotator", True)


def test_the_description_is_for_members(team: Service, browser: Browser) -> None:
    assert browser().get("/api/openapi.json").status_code == 401
    told = browser("annotator").get("/api/openapi.json").json()
    assert "/api/session" in told["paths"]

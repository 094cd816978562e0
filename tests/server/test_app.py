"""The whole interface under random requests, and what each error is on the wire."""

import os
import sqlite3
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from maskmill.errors import MaskmillError, StoreError
from maskmill.server.app import STATUSES, create_app
from maskmill.server.openapi import described
from maskmill.server.service import Service
from maskmill.store import Project
from maskmill.store.verify import verify

from .conftest import ROLES, Browser
from .drawing import put_mask

EXAMPLES = int(os.environ.get("MASKMILL_EXAMPLES", "4"))
"""Requests per route and visitor; `make nightly` asks for more."""
SCHEMA = schemathesis.openapi.from_dict(described())
OPERATIONS = {each.ok().label: each.ok() for each in SCHEMA.get_all_operations()}


# Schemathesis draws from `random` itself, now and then; no request is worse for it.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("database_kind", "visitor"),
    [*(("sqlite", each) for each in (None, *ROLES)), ("postgresql", "admin")],
    indirect=["database_kind"],
)
def test_no_request_makes_a_mistake_of_ours_appear(
    team: Service, browser: Browser, visitor: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the interface's own description allows, and what it does not: never a 5xx."""
    # What requests begin is begun; that it trains is tested elsewhere, and took most of this test.
    for part in ("rounds", "prefilling", "calibration"):
        monkeypatch.setattr(f"maskmill.engine.{part}.run_child", _no_child)
    client = browser(visitor)
    team.events.close()
    put_mask(browser("admin"))
    kept = dict(client.cookies)
    statuses: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def send(label: str, data: st.DataObject) -> None:
        case = data.draw(OPERATIONS[label].as_strategy())
        client.cookies.clear()
        client.cookies.update(kept)
        answer = case_sent(client, case)
        statuses.add(answer.status_code)
        busy = answer.status_code == 503 and "retry-after" in answer.headers
        assert answer.status_code < 500 or busy, answer.text
        if answer.status_code >= 400:
            assert answer.json()["error"]

    for label in sorted(OPERATIONS, key=lambda each: each == "DELETE /api/session"):
        send(label)  # the last one signs out
    expected = {401} if visitor is None else {200, 404, 422}
    assert expected <= statuses, statuses
    assert not list(verify(team.project))


def _no_child(*arguments: str, stop: object = None) -> None:
    raise StoreError(f"{arguments[0]} is not run here")


def case_sent(client: TestClient, case: Any) -> Any:
    """Send what schemathesis made up, as our own pages send it."""
    made = case.as_transport_kwargs(base_url=str(client.base_url))
    headers = {**dict(made.get("headers") or {}), "origin": str(client.base_url)}
    headers = {name: value for name, value in headers.items() if name.lower() != "host"}
    headers = {name: str(value).encode("utf-8", "replace") for name, value in headers.items()}
    return client.request(
        made["method"],
        made["url"],
        params=made.get("params"),
        json=made.get("json"),
        content=made.get("data") if isinstance(made.get("data"), bytes | str) else None,
        headers=headers,
    )


def test_every_error_has_a_status_and_the_first_that_fits_is_the_narrowest() -> None:
    kinds = [kind for kind, _ in STATUSES]
    for place, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:place])
    assert kinds[-1] is MaskmillError


def full(project: Project) -> None:
    """Let the database grow no further."""
    with project.database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_full_disk_is_507_and_later_it_goes_on(client: TestClient, service: Service) -> None:
    full(service.project)
    answers = []
    for _ in range(200):
        answers.append(client.post("/api/categories", json={"name": f"{len(answers)}" * 100}))
        if answers[-1].status_code != 200:
            break
    assert answers[-1].status_code == 507, answers[-1].text
    assert "make room" in answers[-1].json()["error"]
    with service.project.database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert client.post("/api/categories", json={"name": "room again"}).status_code == 200
    names = [each["name"] for each in client.get("/api/categories").json()["categories"]]
    assert len(names) == len(answers)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_database_that_another_program_holds_is_503(
    client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service.project.database.write() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    other = sqlite3.connect(service.project.folder / "maskmill.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = client.post("/api/categories", json={"name": "cat"})
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"]
    other.execute("ROLLBACK")
    other.close()
    assert client.post("/api/categories", json={"name": "cat"}).status_code == 200


def test_what_is_no_route_is_404_in_a_sentence(client: TestClient) -> None:
    answer = client.get("/api/nothing")
    assert (answer.status_code, bool(answer.json()["error"])) == (404, True)
    assert client.post("/api/model").status_code == 405


def test_an_application_can_be_described_without_a_project() -> None:
    assert create_app(None).state.service is None

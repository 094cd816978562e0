"""Strange names, strange pages, strange bodies: refused before any route sees them."""

import asyncio
import itertools
import json
import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from maskmill.server.app import MAX_BODY
from maskmill.server.security import HEADERS, LOOPBACK, Guard
from maskmill.server.service import Service

from .conftest import HOME, Browser
from .test_access import FILLED, MATRIX

HOSTS = {
    "127.0.0.1:8000": True,
    "127.0.0.1": True,
    "localhost:1234": True,
    "LOCALHOST": True,
    "[::1]:8000": True,
    "evil.example": False,
    "evil.example:8000": False,
    "127.0.0.1.evil.example": False,
    "localhost.evil.example": False,
    "127.0.0.1@evil.example": False,
    "10.0.0.1": False,
    "192.168.1.5:8000": False,
    "0.0.0.0:8000": False,
    "2130706433": False,
    "127.1": False,
    "[::ffff:127.0.0.1]": False,
    "localhost.": False,
    "localhost:80:80": False,
    "": False,
}
ORIGINS: dict[str | None, bool] = {
    HOME: True,
    None: False,
    "null": False,
    "http://127.0.0.1": False,
    "http://127.0.0.1:8001": False,
    "http://localhost:8000": False,
    "https://127.0.0.1:8000": False,
    "http://evil.example": False,
    "http://127.0.0.1:8000.evil.example": False,
    "": False,
    "file://": False,
}
UNSAFE = [route for route in MATRIX if not route.startswith("GET")]


@pytest.mark.parametrize("host", HOSTS)
def test_only_our_own_names_are_answered(client: TestClient, host: str) -> None:
    for path in ("/", "/api/session", "/api/images/1/file"):
        answer = client.get(path, headers={"host": host})
        assert (answer.status_code != 421) == HOSTS[host], (path, answer.text)


@pytest.mark.parametrize("origin", ORIGINS)
def test_what_changes_something_comes_from_our_own_pages(
    client: TestClient, service: Service, origin: str | None
) -> None:
    del client.headers["origin"]
    headers = {} if origin is None else {"origin": origin}
    for route in UNSAFE:
        method, path = route.split()
        for name, value in FILLED.items():
            path = path.replace(name, value)
        if path == "/api/session":
            continue  # would sign out
        answer = client.request(method, path, headers=headers)
        assert (answer.status_code != 403) == ORIGINS[origin], (route, answer.text)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
def test_without_an_origin_the_browser_must_say_same_origin(client: TestClient, site: str) -> None:
    del client.headers["origin"]
    body = {"name": "cat"}
    refused = client.post("/api/categories", json=body, headers={"sec-fetch-site": site})
    assert refused.status_code == 403
    allowed = client.post("/api/categories", json=body, headers={"sec-fetch-site": "same-origin"})
    assert allowed.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_json_that_a_form_could_send_is_refused(client: TestClient, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = client.post("/api/categories", content=b'{"name": "cat"}', headers=headers)
    assert answer.status_code == 422
    assert client.get("/api/categories").json() == {"categories": []}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post"])
def test_other_methods_are_no_way_round(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/categories")
    assert answer.status_code in (403, 405)


def test_every_answer_carries_the_policies_and_none_opens_a_door(client: TestClient) -> None:
    foreign = {"origin": "http://evil.example"}
    paths = ("/", "/api/session", "/api/images/1/file", "/api/nothing", "/nothing", "/api/model")
    answers = [client.get(path, headers=foreign) for path in paths]
    answers.append(client.post("/api/categories", headers=foreign))
    answers.append(client.get("/", headers={"host": "evil.example"}))
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control")]
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, answer.url
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        is_page = answer.headers["content-type"].startswith("text/html")
        assert ("'wasm-unsafe-eval'" in policy, "sandbox" in policy) == (is_page, not is_page)
        assert "unsafe-inline' 'unsafe-eval" not in policy


def test_large_bodies_are_refused(client: TestClient) -> None:
    body = json.dumps({"name": "x" * (MAX_BODY + 1)}).encode()
    headers = {"content-type": "application/json"}
    assert client.post("/api/categories", content=body, headers=headers).status_code == 413
    parts = itertools.repeat(b" " * 2**20, MAX_BODY // 2**20 + 1)
    assert client.post("/api/categories", content=parts, headers=headers).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b'{"name": NaN}',
        b'{"name": "a", "name": "b", "digit": 1e999}',
        b"1" * 5000,
        b'"\\ud800"',
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b"",
        b"null",
    ],
)
def test_hostile_json_is_refused_in_a_sentence(client: TestClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/categories", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]


TRAVERSALS = (
    "../project.json",
    "..%2fproject.json",
    "%2e%2e/%2e%2e/project.json",
    "..%5cproject.json",
    "....//project.json",
    "%252e%252e%252fproject.json",
    "/etc/passwd",
    "//etc/passwd",
    "C:\\windows\\win.ini",
    "decoder.onnx%00.png",
    "decoder.onnx/../card.json",
    ".",
    "..",
    "~",
    "file:///etc/passwd",
)


@pytest.mark.parametrize("path", TRAVERSALS)
@pytest.mark.parametrize("root", ["/", "/api/model/", "/api/exports/", "/assets/", "/api/images/"])
def test_no_path_leads_out(client: TestClient, service: Service, root: str, path: str) -> None:
    answer = client.get(root + path)
    assert answer.status_code in (200, 404, 405, 422)
    assert service.project.uid not in answer.text
    assert "root:" not in answer.text


def test_a_mistake_of_ours_tells_nothing_and_keeps_the_policies(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("a secret")

    client = TestClient(Guard(broken, names=LOOPBACK, https=False), base_url=HOME)
    with caplog.at_level(logging.ERROR):
        answer = client.get("/", headers={"cookie": "maskmill=secret-cookie"})
    assert answer.status_code == 500
    assert "a secret" not in answer.text
    assert answer.headers["content-security-policy"]
    assert "ZeroDivisionError" in caplog.text
    assert "secret-cookie" not in caplog.text


def test_behind_a_proxy_the_public_name_and_https_count(service: Service) -> None:
    async def fine(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = Guard(fine, names=("masks.example.org",), https=True)
    client = TestClient(guard, base_url="https://masks.example.org")
    assert client.post("/", headers={"origin": "https://masks.example.org"}).status_code == 204
    assert client.post("/", headers={"origin": "http://masks.example.org"}).status_code == 403
    assert client.get("/", headers={"host": "127.0.0.1"}).status_code == 421


def test_nothing_speaks_websocket() -> None:
    async def never(*_: Any) -> None:
        raise AssertionError

    guard = Guard(never, names=LOOPBACK, https=False)
    with pytest.raises(RuntimeError, match="websocket"):
        asyncio.run(guard({"type": "websocket"}, never, never))  # type: ignore[arg-type]


def test_a_visitor_without_a_session_learns_nothing(browser: Browser, service: Service) -> None:
    nobody = browser()
    for route in MATRIX:
        if route.startswith("GET"):
            answer = nobody.get(route.split()[1].replace("{image_id}", "1"))
            assert answer.status_code == 401
            assert service.project.name not in answer.text

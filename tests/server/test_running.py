"""A server that is started, reached, stopped and killed: what it said was kept is kept."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from maskmill.errors import ConfigError
from maskmill.server.access import hash_password
from maskmill.server.running import ServerConfig, _names, is_loopback, serve
from maskmill.store import Project
from maskmill.store.verify import verify

from .conftest import PASSWORD
from .drawing import MADE, square

SECONDS = 240
KILLS = int(os.environ.get("MASKMILL_TEST_KILLS", "3"))


class Running:
    """`maskmill up` in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "maskmill", "up", str(folder), "--no-browser", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.said = [self.process.stdout.readline()]
        if not self.said[0]:
            assert self.process.stderr is not None
            raise AssertionError(self.process.stderr.read())
        self.said.append(self.process.stdout.readline())
        self.base, _, self.token = self.said[1].split()[-1].partition("/#token=")

    def browser(self) -> httpx.Client:
        client = httpx.Client(base_url=self.base, headers={"origin": self.base}, timeout=60)
        answer = client.post("/api/session", json={"token": self.token})
        assert answer.status_code == 200, answer.text
        return client

    def end(self, how: int) -> tuple[int, str]:
        self.process.send_signal(how)
        _, error = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, error


def an_image(client: httpx.Client) -> int:
    end = time.monotonic() + SECONDS
    while not (images := client.get("/api/images").json()["images"]):
        assert time.monotonic() < end
        time.sleep(0.05)
    number: int = images[0]["id"]
    return number


def paint(client: httpx.Client, image_id: int, kept: list[str]) -> None:
    """Make masks until the server is gone; note those that it said it kept."""
    while True:
        key = str(uuid.uuid4())
        body = {"op_id": key, "base_version": 0, "image_id": image_id, "made": MADE}
        try:
            answer = client.put(
                f"/api/annotations/{key}", json={**body, "mask": square(1, 1, 9, 9)}
            )
        except httpx.HTTPError:
            return
        assert answer.status_code == 200, answer.text
        kept.append(key)


@pytest.mark.slow
def test_a_killed_server_has_lost_nothing_that_it_said_it_kept(
    tmp_path: Path, photos: Path
) -> None:
    project = tmp_path / "project"
    kept: list[str] = []
    cookies = None
    for _ in range(KILLS):
        server = Running(photos, "--project", str(project))
        client = server.browser() if cookies is None else httpx.Client(base_url=server.base)
        client.headers["origin"] = server.base
        if cookies is not None:
            client.cookies = cookies  # a browser's session outlives the server
            assert client.get("/api/session").status_code == 200
        cookies = client.cookies
        image_id = an_image(client)
        before = len(kept)
        painters = [threading.Thread(target=paint, args=(client, image_id, kept)) for _ in range(4)]
        for each in painters:
            each.start()
        while len(kept) - before < 5:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.5))
        server.process.kill()
        server.process.communicate()
        for each in painters:
            each.join()
        client.close()
        with Project(project) as opened:
            lost = [key for key in kept if opened.keys.find(key) is None]
            assert not lost, f"{len(lost)} of {len(kept)} lost"
            assert not list(verify(opened))
    assert len(kept) >= 5 * KILLS


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly_with_a_listener_at_the_door(
    tmp_path: Path, photos: Path, how: int
) -> None:
    project = tmp_path / "project"
    server = Running(photos, "--project", str(project))
    client = server.browser()
    with client.stream("GET", "/api/events") as stream:
        assert stream.status_code == 200
        code, error = server.end(how)
    assert code == 0, error
    assert "Traceback" not in error
    with Project(project) as opened:  # the lock was given back
        assert not list(verify(opened))
    with pytest.raises(httpx.HTTPError):
        client.get("/api/session")
    client.close()


def test_a_port_that_is_taken_is_said(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="choose another --port"):
            serve(project, ServerConfig(port=taken.getsockname()[1]), until=lambda _: None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_nobody_else_reaches_a_project_without_accounts(project: Project, host: str) -> None:
    with pytest.raises(ConfigError, match="account add"):
        serve(project, ServerConfig(host=host), until=lambda _: None)
    with pytest.raises(ConfigError, match="account add"):
        serve(project, ServerConfig(url="https://masks.example.org"), until=lambda _: None)


@pytest.mark.parametrize("url", [None, "http://masks.example.org", "masks.example.org", "https://"])
def test_passwords_never_travel_in_the_clear(project: Project, url: str | None) -> None:
    project.accounts.add("ann", "admin", hash_password(PASSWORD))
    with pytest.raises(ConfigError, match="HTTPS"):
        serve(project, ServerConfig(host="0.0.0.0", url=url), until=lambda _: None)


def test_behind_a_proxy_it_answers_to_the_public_name() -> None:
    config = ServerConfig(host="0.0.0.0", url="https://Masks.example.org/")
    names, https = _names(config, with_accounts=True)
    assert names[0] == "masks.example.org"
    assert https
    assert _names(ServerConfig(), with_accounts=False) == (
        ("127.0.0.1", "localhost", "[::1]"),
        False,
    )
    assert [is_loopback(host) for host in ("::1", "127.8.9.1", "10.0.0.1", "")] == [
        True,
        True,
        False,
        False,
    ]


def test_it_serves_until_it_is_told_to_stop(project: Project) -> None:
    """On PostgreSQL too; and the address is announced before anybody can use it."""
    said: list[Any] = []

    def visit(address: str) -> None:
        base, _, token = address.partition("/#token=")
        with httpx.Client(base_url=base, headers={"origin": base}, timeout=60) as client:
            assert client.get("/").status_code == 200
            assert client.post("/api/session", json={"token": token}).status_code == 200
            said.append(client.get("/api/session").json()["role"])

    serve(
        project,
        ServerConfig(),
        ready=lambda url, with_accounts: said.append(with_accounts),
        link=lambda url: said.append(url.count("#token=")),
        until=visit,
    )
    assert said == [False, 1, 1, "admin"]


def test_opencv_is_there_before_a_process_could_inherit_its_search_path() -> None:
    """Imported in a thread beside a spawn, its folder would shadow the child's `typing`."""
    code = "import sys, maskmill.server.running as r; sys.exit('cv2' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

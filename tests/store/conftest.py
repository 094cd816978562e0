"""Projects on both databases, and a private PostgreSQL to keep some of them in.

Every test that asks for `project` or `create` runs on SQLite and on PostgreSQL. The projects of a
test run share one PostgreSQL database, as those of a team do. MASKMILL_TEST_POSTGRES_URL names an
empty one; without it a cluster of our own is started in a temporary folder, and stopped at the end.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maskmill.store import Project
from maskmill.store.project import DATABASE_VARIABLE

Creator = Callable[..., Project]
POSTGRES_VARIABLE = "MASKMILL_TEST_POSTGRES_URL"
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The address of a PostgreSQL database that holds nothing else."""
    if url := os.environ.get(POSTGRES_VARIABLE):
        yield url
        return
    with Cluster() as cluster:
        yield cluster.url


@pytest.fixture(autouse=True)
def no_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test begins without what the machine's user has set."""
    monkeypatch.delenv(DATABASE_VARIABLE, raising=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database of this test; the environment says so too."""
    if request.param == "postgresql":
        monkeypatch.setenv(DATABASE_VARIABLE, request.getfixturevalue("postgresql_url"))
    return str(request.param)


@pytest.fixture
def create(database_kind: str, tmp_path: Path) -> Iterator[Creator]:
    """Makes projects in folders of their own; they are closed at the end."""
    made: list[Project] = []

    def make(name: str = "project", **arguments: Any) -> Project:
        made.append(Project.create(tmp_path / name, **arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def project(create: Creator) -> Project:
    """An empty project, once on each database."""
    return create()


@pytest.fixture
def sqlite_project(tmp_path: Path) -> Iterator[Project]:
    """An empty project in a SQLite file, for what only a file can suffer."""
    with Project.create(tmp_path / "project") as made:
        yield made


class Cluster:
    """A PostgreSQL server of our own: its folder, its socket, its port; `with` stops it."""

    def __init__(self) -> None:
        programs = _programs()
        self.folder = Path(tempfile.mkdtemp(prefix="maskmill-pg-"))
        self._as_owner: list[str] = []
        if ROOT:  # PostgreSQL refuses to run as root
            self._as_owner = ["runuser", "-u", "postgres", "--"]
            shutil.chown(self.folder, "postgres", "postgres")
        self._ctl, self.data = programs / "pg_ctl", self.folder / "data"
        self._run(
            *(programs / "initdb", "-D", self.data, "-U", "maskmill", "--auth=trust"),
            *("--encoding=UTF8", "--no-locale", "--no-sync"),
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()
        self.url = f"postgresql://maskmill@/postgres?host={self.folder}&port={self.port}"

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -p {self.port}"
        log = self.folder / "log"
        self._run(self._ctl, "start", "-w", "-D", self.data, "-l", log, "-o", options)

    def stop(self, how: str = "fast") -> None:
        self._run(self._ctl, "stop", "-w", "-D", self.data, "-m", how)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def _run(self, *command: object) -> None:
        # The server inherits what it is started with: a pipe would stay open as long as it runs.
        told = self.folder / "told"
        with told.open("w+") as output:
            done = subprocess.run(
                [*self._as_owner, *map(str, command)], stdout=output, stderr=output, cwd="/"
            )
        assert done.returncode == 0, f"{command}\n{told.read_text()}"


def _programs() -> Path:
    """The folder of PostgreSQL's programs; Debian keeps them off the path."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        known.append(Path(on_path).resolve())
    if not known:
        pytest.skip(f"no PostgreSQL here; install postgresql, or set {POSTGRES_VARIABLE}")
    if ROOT and (not shutil.which("runuser") or not _is_user("postgres")):
        pytest.skip(f"PostgreSQL does not run as root; set {POSTGRES_VARIABLE}")
    return known[0].parent


def _is_user(name: str) -> bool:
    import pwd

    return any(user.pw_name == name for user in pwd.getpwall())

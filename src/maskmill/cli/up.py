"""`maskmill up`: a folder of photographs becomes a project in the browser, with one command."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from maskmill.cli.options import JsonFlag, ProjectModel, Threads, print_result, require, warn
from maskmill.errors import NotFound

if TYPE_CHECKING:
    from maskmill.store import Project

PORTS = range(20000, 30000)
"""A project has its own port among these, and the same each time: a browser keeps what it could not
send by address, port included."""
OPENING_FILE = "open-in-browser.html"


def up(
    folder: Path,
    /,
    *,
    project: Annotated[Path | None, Parameter(name=["--project", "-p"])] = None,
    model: ProjectModel = None,
    threads: Threads = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    url: str | None = None,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Open a folder of photographs in the browser, ready to click masks.

    The photographs stay where they are; the project is made beside them and opened again the next
    time. Ctrl-C stops the server. Off this machine it needs accounts and a proxy that speaks TLS;
    see docs/operations.md.

    Args:
        folder: The photographs, a dataset in a known form, or a project.
        project: The project's folder; by default FOLDER.maskmill, beside FOLDER.
        host: Address to listen on.
        port: Port to listen on, 0 for a free one; by default the project's own.
        url: Where browsers reach the server through a proxy, as https://masks.example.org.
        browser: Open the page in the browser.
    """
    opened, images = open_project(folder, project)
    with opened:
        from maskmill.engine.lineage import current_model, model_path

        model = model or str(model_path(opened, current_model(opened)))
        serve_project(
            opened,
            images=images,
            options={"host": host, "url": url, "model": model, "threads": threads},
            port=port,
            browser=browser,
            as_json=as_json,
        )


def serve_project(
    project: "Project",
    *,
    images: Path | None,
    options: dict[str, Any],
    port: int | None = None,
    browser: bool = True,
    as_json: bool = False,
    quiet: bool = False,
    until: Callable[[str], None] | None = None,
) -> None:
    """Serve an open project, and say where, until it is stopped.

    Args:
        project: Open for writing.
        images: A folder to bring in meanwhile.
        options: Of `ServerConfig`, without the port.
        port: None takes the project's own.
        browser: Open the browser, if there is a screen.
        as_json: Say it once, as one JSON object.
        quiet: Say nothing on standard output: what is printed there was printed before.
        until: As in `running.serve`.
    """
    require("server", "fastapi", "uvicorn", "argon2")
    from maskmill.server.running import ServerConfig, serve

    logging.basicConfig(format="maskmill: %(message)s", level=logging.WARNING)
    if port is None:
        port = PORTS[int(project.uid[:8], 16) % len(PORTS)]
    front = _Front(project, browser=browser, as_json=as_json or quiet)
    front.told = quiet
    config = ServerConfig(port=port, **options)
    try:
        serve(project, config, images=images, ready=front.ready, link=front.link, until=until)
    finally:
        front.remove()
    warn("stopped; all that was saved is in the project")


def open_project(folder: Path, project: Path | None) -> tuple["Project", Path | None]:
    """Open or make the project of a folder.

    Args:
        folder: Images, a dataset, or a project itself.
        project: Where the project is to be, if not beside the folder.

    Returns:
        The project, open for writing, and the folder to bring in, if it is not the project itself.

    Raises:
        NotFound: If there is no such folder.
        DatasetError: If it holds no image.
    """
    require("server", "fastapi", "uvicorn", "argon2")
    from maskmill.formats.recognise import recognise
    from maskmill.store import Project, is_project

    if project is None and is_project(folder):
        return Project(folder), None
    if not folder.exists():
        raise NotFound(f"{folder} does not exist; name a folder of photographs")
    whole = folder.resolve()
    home = project or whole.with_name(f"{whole.name}.maskmill")
    if is_project(home):
        return Project(home), whole
    recognise(whole)  # refuses what holds no image, before anything is made
    return Project.create(home, name=whole.name), whole


class _Front:
    """What the terminal and the browser are told: the address, and links that let one in.

    The browser is given a file that leads on to the link: a program's arguments can be read by
    everybody on the machine.
    """

    def __init__(self, project: "Project", *, browser: bool, as_json: bool) -> None:
        self._project, self._as_json = project, as_json
        self._file = project.folder / OPENING_FILE
        self._open = browser and _has_screen()
        self._url = ""
        self.told = False

    def ready(self, url: str, *, with_accounts: bool) -> None:
        """Say where the server is."""
        self._url = url
        if with_accounts:
            self._tell(f"{self._project.name} is served at {url}; Ctrl-C stops it", None)

    def link(self, address: str) -> None:
        """Show a link that is good for one browser; the first one opens by itself."""
        name = self._project.name
        first = f"{name} is served at {self._url}; Ctrl-C stops it\nopen once: {address}"
        self._tell(f"open once: {address}" if self.told else first, address)
        if self._open:
            self._open = False
            self._show(address)

    def remove(self) -> None:
        """Take the file away."""
        self._file.unlink(missing_ok=True)

    def _tell(self, text: str, link: str | None) -> None:
        if self._as_json and self.told:
            return  # exactly one object
        self.told = True
        result = {"project": self._project.folder, "url": self._url, "link": link}
        print_result(result, as_json=self._as_json, text=text)
        sys.stdout.flush()

    def _show(self, address: str) -> None:
        self.remove()
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            f.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n')
        target = self._file.absolute().as_uri()
        threading.Thread(target=_browse, args=(target,), daemon=True).start()


def _browse(target: str) -> None:
    import webbrowser

    try:
        if not webbrowser.open(target):
            warn("no browser could be opened; open the address above in one")
    except webbrowser.Error as error:
        warn(f"no browser could be opened ({error}); open the address above in one")


def _has_screen() -> bool:
    """Tell whether a browser would have a window; one in the terminal would only be in the way."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))

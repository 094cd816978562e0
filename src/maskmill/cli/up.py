"""`maskmill up`: a folder of photographs becomes a project in the browser, with one command."""

import logging
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from maskmill.cli.options import ModelName, Threads, require, warn
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
    model: ModelName = "tiny",
    threads: Threads = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    url: str | None = None,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
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
    require("server", "fastapi", "uvicorn", "argon2")
    from maskmill.server.running import ServerConfig, serve

    logging.basicConfig(format="maskmill: %(message)s", level=logging.WARNING)
    opened, images = open_project(folder, project)
    with opened:
        if port is None:
            port = PORTS[int(opened.uid[:8], 16) % len(PORTS)]
        config = ServerConfig(host=host, port=port, url=url, model=model, threads=threads)
        opener = _Opener(opened.folder) if browser else None
        try:
            serve(
                opened,
                config,
                images=images,
                ready=lambda at: _say(f"{opened.name} is served at {at}; Ctrl-C stops it"),
                link=lambda at: _show_link(at, opener),
            )
        finally:
            if opener is not None:
                opener.remove()
    _say("stopped; all that was saved is in the project")


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


def _say(line: str) -> None:
    print(line, flush=True)


def _show_link(address: str, opener: "_Opener | None") -> None:
    _say(f"open once: {address}")
    if opener is not None:
        opener.open(address)


class _Opener:
    """Opens the browser on the first link.

    The browser is given a file that leads on to the link: a program's arguments can be read by
    everybody on the machine.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / OPENING_FILE
        self._opened = False

    def open(self, address: str) -> None:
        if self._opened or not _has_screen():
            return
        self._opened = True
        self.remove()
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            f.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n')
        target = self._file.absolute().as_uri()
        threading.Thread(target=self._run, args=(target,), daemon=True).start()

    def remove(self) -> None:
        self._file.unlink(missing_ok=True)

    def _run(self, target: str) -> None:
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

"""A real server in a process of its own, and Debian's Chromium driven through real work."""

import multiprocessing
import os
import re
import socket
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("MASKMILL_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
START_SECONDS = 180
"""Enough for a machine whose cores are all taken."""


FORKS = multiprocessing.get_context("forkserver")
"""Each server is a process of its own, forked from one that has imported what servers import: that
takes longer than all the rest of a start, and browser tests start some seventy."""
PRELOADED = ["maskmill.cli.up", "maskmill.engine.lineage", "maskmill.server.running"]
FORKS.set_forkserver_preload(PRELOADED)


def _up(arguments: list[str], output: Connection) -> None:
    """What the `maskmill` script does, with its output in a pipe."""
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    sys.argv = ["maskmill", "up", *arguments]
    from maskmill.cli import main

    sys.exit(main())


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Server:
    """`maskmill up` over a folder; it can be killed and started again on the same port."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        project: Path | None = None,
        with_accounts: bool = False,
    ) -> None:
        self.folder, self.port = folder, port
        self.project = project or folder.with_name(f"{folder.name}.maskmill")
        self.with_accounts = with_accounts
        self.links: list[str] = []
        """Addresses that let one browser in each; none where there are accounts."""
        self.said: list[str] = []
        self._process: Any = None
        self._reader: threading.Thread | None = None

    def start(self) -> "Server":
        """Start it, and wait until it says where it is."""
        arguments = [str(self.folder), "--no-browser", "--port", str(self.port), "--threads", "1"]
        if self.project != self.folder:
            arguments += ["--project", str(self.project)]
        reader, writer = FORKS.Pipe(duplex=False)
        self._process = process = FORKS.Process(target=_up, args=(arguments, writer))
        process.start()
        writer.close()
        there = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(reader, there))
        self._reader.start()
        if not there.wait(START_SECONDS) or not process.is_alive():
            self.kill()
            raise RuntimeError(f"not served within {START_SECONDS} s: {self.said}")
        return self

    def wait_for_embeddings(self, count: int) -> None:
        """Wait until so many images are embedded."""
        give_up = time.monotonic() + START_SECONDS
        while len([*self.project.glob("embeddings/*/*.emb")]) < count:
            if time.monotonic() > give_up:
                raise RuntimeError(f"not embedded within {START_SECONDS} s: {self.said}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._reader is not None:
            self._process.kill()
            self._process.join()
            self._reader.join()
            self._process.close()
            self._process = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _read(self, output: Connection, there: threading.Event) -> None:
        with open(output.fileno(), closefd=False) as lines, output:
            for line in lines:
                self.said.append(line)
                found = re.search(r"open once: (\S+)", line)
                self.links += found.groups() if found else ()
                if found or (self.with_accounts and "is served at" in line):
                    there.set()
        there.set()  # it ended


class Annotator:
    """A person in front of the annotate page, spoken to in image pixels."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        """What the page threw and nobody caught."""
        self.heard: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.heard.append(message.text))

    def ready(self) -> "Annotator":
        """Wait until a click would be answered."""
        self.until(READY, seconds=180)
        return self

    def until(self, expression: str, arg: Any = None, seconds: float = 120) -> None:
        """Wait until something is true in the page.

        Asked again and again from here: Playwright's own waiting compiles text inside the page,
        which the page's policy forbids, as it should.
        """
        give_up = time.monotonic() + seconds
        while not self.page.evaluate(expression, arg):
            if time.monotonic() > give_up:
                raise AssertionError(
                    f"not true within {seconds} s: {expression}\n"
                    f"the page says: {self.page.locator('body').inner_text()}\n"
                    f"it threw {self.errors}, and its console says {self.heard}"
                )
            time.sleep(0.05)

    def open(self, image_id: int) -> "Annotator":
        """Go to an image, and wait until a click would be answered."""
        self.page.evaluate("id => { location.hash = `#/annotate/${id}` }", image_id)
        self.until("id => window.maskmill?.session?.image.id === id", image_id)
        return self.ready()

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the image lies in the window."""
        box = self.page.locator("canvas").bounding_box()
        view = self.page.evaluate("({...maskmill.session.editor.camera.view})")
        return box["x"] + x * view["scale"] + view["x"], box["y"] + y * view["scale"] + view["y"]

    def move(self, x: float, y: float) -> None:
        self.page.mouse.move(*self.screen(x, y))

    def click(self, x: float, y: float, *, alt: bool = False) -> None:
        """Click, and wait for the answer."""
        before = self.page.evaluate("maskmill.session.editor.prompting.prompt.clicks.length")
        self.point(x, y, alt=alt)
        self.until("n => maskmill.session.editor.prompting.prompt.clicks.length === n", before + 1)

    def point(self, x: float, y: float, *, alt: bool = False) -> None:
        """Press and release."""
        if alt:
            self.page.keyboard.down("Alt")
        self.page.mouse.click(*self.screen(x, y))
        if alt:
            self.page.keyboard.up("Alt")

    def drag(self, *points: tuple[float, float], steps: int = 5) -> None:
        self.move(*points[0])
        self.page.mouse.down()
        for x, y in points[1:]:
            self.page.mouse.move(*self.screen(x, y), steps=steps)
        self.page.mouse.up()

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def saved(self) -> "Annotator":
        """Wait until the server has everything."""
        self.until(
            "(async () => { const left = await maskmill.session.project.outbox.waiting();"
            " return left.length === 0; })()"
        )
        return self

    def masks(self) -> list[dict[str, Any]]:
        """What the document holds: id, version, COCO run lengths, category."""
        found: list[dict[str, Any]] = self.page.evaluate(
            "maskmill.session.document.annotations.map(a => ({id: a.id, version: a.version,"
            " rle: a.content.rle, category: a.content.categoryId, made: a.content.made}))"
        )
        return found

    def shapes(self) -> dict[str, dict[str, Any]]:
        """Run lengths of the masks by id."""
        return {mask["id"]: mask["rle"] for mask in self.masks()}

    def fetch(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask the server something in this person's name; returns its JSON."""
        return self.page.evaluate(FETCH, [path, method, body])


def draw_stroke(page: Any, *points: tuple[float, float]) -> None:
    """Draw a line on the Scribble page, in image pixels."""
    box = page.get_by_test_id("scribble-canvas").bounding_box()
    view = page.evaluate("maskmill.scribble.view()")
    left, top = box["x"] + view["x"], box["y"] + view["y"]
    first, *others = [(left + x * view["scale"], top + y * view["scale"]) for x, y in points]
    page.mouse.move(*first)
    page.mouse.down()
    for x, y in others:
        page.mouse.move(x, y, steps=6)
    page.mouse.up()


def fetch_deployment(page: Any, mark: str, folder: Path) -> Any:
    """Click on the link to an archive, unpack it, and load what was deployed."""
    from maskmill.deploy import load_deployment

    with page.expect_download() as fetched:
        page.get_by_test_id(mark).click()
    fetched.value.save_as(folder / "deployed.zip")
    with zipfile.ZipFile(folder / "deployed.zip") as archive:
        archive.extractall(folder)
    return load_deployment(folder / "deployed", threads=1)


Started = Callable[..., Server]
"""What the fixtures `start` and `browse` hand out."""
Opened = Callable[..., Annotator]

READY = """!!document.querySelector('[data-testid="prepared"][data-prepared="ready"]')
 && !!window.maskmill?.stage.scene?.()?.picture"""

FETCH = """async ([path, method, body]) => {
  const headers = {'content-type': 'application/json'};
  const more = body === null ? {} : {body: JSON.stringify(body), headers};
  const answer = await fetch(path, {method, ...more});
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}"""

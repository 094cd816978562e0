"""A real server in a process of its own, and Debian's Chromium driven through real work."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("MASKMILL_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run"
).split()
START_SECONDS = 60


class Server:
    """`maskmill up` over a folder; it can be killed and started again on the same port."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.links: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> "Server":
        """Start it, and wait until it says where it is."""
        command = [sys.executable, "-m", "maskmill", "up", str(self.folder), "--no-browser"]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        there = threading.Event()
        lines: list[str] = []
        threading.Thread(target=self._read, args=(lines, there), daemon=True).start()
        if not there.wait(START_SECONDS):
            self.kill()
            raise RuntimeError(f"no link within {START_SECONDS} s: {lines}")
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def project(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.maskmill")

    def _read(self, lines: list[str], there: threading.Event) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            lines.append(line)
            found = re.search(r"open once: (\S+)", line)
            if found:
                self.links.append(found.group(1))
                there.set()


class Annotator:
    """A person in front of the annotate page, spoken to in image pixels."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def ready(self) -> "Annotator":
        """Wait until a click would be answered."""
        selector = '[data-testid="prepared"][data-prepared="ready"]'
        self.page.wait_for_selector(selector, state="attached", timeout=120_000)
        self.until("!!window.maskmill?.stage.scene?.()?.picture")
        return self

    def until(self, expression: str, arg: Any = None, seconds: float = 60) -> None:
        """Wait until something is true in the page.

        Asked again and again from here: Playwright's own waiting compiles text inside the page, which
        the page's policy forbids, as it should.
        """
        give_up = time.monotonic() + seconds
        while not self.page.evaluate(expression, arg):
            if time.monotonic() > give_up:
                raise AssertionError(f"not true within {seconds} s: {expression}")
            time.sleep(0.05)

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the image lies in the window."""
        box = self.page.locator("canvas").bounding_box()
        view = self.page.evaluate("({...maskmill.session.editor.view})")
        return box["x"] + x * view["scale"] + view["x"], box["y"] + y * view["scale"] + view["y"]

    def move(self, x: float, y: float) -> None:
        self.page.mouse.move(*self.screen(x, y))

    def click(self, x: float, y: float, *, alt: bool = False) -> None:
        """Click, and wait for the answer."""
        before = self.page.evaluate("maskmill.session.editor.prompting.prompt.clicks.length")
        if alt:
            self.page.keyboard.down("Alt")
        self.page.mouse.click(*self.screen(x, y))
        if alt:
            self.page.keyboard.up("Alt")
        self.until(
            "n => maskmill.session.editor.prompting.prompt.clicks.length === n", before + 1
        )

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

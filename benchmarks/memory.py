"""The most memory that a process and its children hold together, as a thread beside it sees it."""

import threading
from pathlib import Path

PAGE = 4096


class Peak:
    """Adds up resident memory of a process and all below it, twenty times a second.

    Pages that processes share are counted in each, so this is an upper bound.
    """

    def __init__(self, process: int) -> None:
        self.process, self.mib = process, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            found = sum(map(resident, family(self.process)))
            self.mib = max(self.mib, found * PAGE / 2**20)


def family(process: int) -> list[int]:
    found, left = [], [process]
    while left:
        one = left.pop()
        found.append(one)
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                left += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0

"""What happens while a page is open, told to every browser that listens.

Events carry ids, not masks: whoever shows that image asks for the mask. A browser that lost its
connection says which sequence it saw last and is told of every mask that changed since.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

WAITING = 1000
"""Events kept for a listener that does not read; then it is let go, and asks anew."""
HEARTBEAT_SECONDS = 15


class Events:
    """Hands what happened to all who listen; safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[asyncio.Queue[str | None], asyncio.AbstractEventLoop] = {}
        self._closed = False

    def tell(self, kind: str, *, sequence: int | None = None, **data: Any) -> None:
        """Tell everybody.

        Args:
            kind: annotation, image, embedding, category, progress, round or model.
            sequence: The change's place in the project's order, if it has one.
            **data: What is to be said, as JSON.
        """
        text = as_text(kind, sequence, data)
        with self._lock:
            listeners = list(self._listeners.items())
        for queue, loop in listeners:
            try:
                loop.call_soon_threadsafe(_offer, queue, text)
            except RuntimeError:  # its loop has ended
                self._forget(queue)

    def close(self) -> None:
        """End all streams, so that a server can stop."""
        with self._lock:
            self._closed = True
            listeners = list(self._listeners.items())
        for queue, loop in listeners:
            loop.call_soon_threadsafe(_offer, queue, None)

    async def listen(self, missed: list[str]) -> AsyncIterator[str]:
        """Yield what was missed, then what happens, and a comment whenever nothing does."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(WAITING)
        with self._lock:
            if self._closed:
                return
            self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield ": listening\n\n"
            for text in missed:
                yield text
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        happened = await queue.get()
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                if happened is None:
                    return
                yield happened
        finally:
            self._forget(queue)

    def _forget(self, queue: "asyncio.Queue[str | None]") -> None:
        with self._lock:
            self._listeners.pop(queue, None)


def as_text(kind: str, sequence: int | None, data: dict[str, Any]) -> str:
    """Write one event as server-sent events are written."""
    number = "" if sequence is None else f"id: {sequence}\n"
    return f"{number}event: {kind}\ndata: {json.dumps(data)}\n\n"


def _offer(queue: "asyncio.Queue[str | None]", text: str | None) -> None:
    if queue.full():  # nobody reads: end the stream; the browser comes back and asks what it missed
        while not queue.empty():
            queue.get_nowait()
        text = None
    queue.put_nowait(text)

"""Iterate in another process, some items ahead: what makes them and what takes them work at once.

Knows no masks. The other process is spawned, has one thread, and dies with this one. It waits when
it is too far ahead, so memory stays bounded whatever the number of items.
"""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from queue import Full, Queue
from typing import Any, TypeVar

from maskmill.errors import MaskmillError

Item = TypeVar("Item")

AHEAD = 4
"""Items that wait here for being taken; the pipe holds little more."""


def run_ahead(make: Callable[[], Iterable[Item]]) -> Iterator[Item]:
    """Yield what an iterable of another process yields.

    Args:
        make: Called there; it must be picklable, so a function of a module or a `partial`. So must
            the items be, and they should be large, some milliseconds of work each.

    Yields:
        The items, in their order.

    Raises:
        MaskmillError: What the iterable raises, by its class; of another class, or if the process
            dies, with the reason in words.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(theirs, make), daemon=True)
    process.start()
    theirs.close()
    # Unpickling takes its time too; a thread does it while the last item is worked on.
    waiting: Queue[tuple[str, Any]] = Queue(AHEAD)
    over = threading.Event()
    thread = threading.Thread(target=_receive, args=(ours, waiting, over), daemon=True)
    thread.start()
    try:
        while True:
            kind, content = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise content
            if kind == "died":
                process.join()
                raise MaskmillError(
                    f"the process that read died (exit code {process.exitcode}); what came before "
                    "is kept: free some memory and run the same again"
                )
            yield content
    finally:
        over.set()
        process.kill()
        process.join()
        thread.join()
        ours.close()


def _receive(
    pipe: "Connection[Any, Any]", waiting: "Queue[tuple[str, Any]]", over: threading.Event
) -> None:
    while not over.is_set():
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            message = ("died", None)
        while not over.is_set():
            with suppress(Full):
                waiting.put(message, timeout=0.1)
                break
        if message[0] != "item":
            return


def _serve(pipe: "Connection[Any, Any]", make: Callable[[], Iterable[Any]]) -> None:
    # Ctrl-C reaches the whole group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        for item in make():
            pipe.send(("item", item))
        message: tuple[str, Any] = ("end", None)
    except MaskmillError as error:
        message = ("error", _portable(error))
    except Exception as error:
        message = ("error", MaskmillError(f"{type(error).__name__}: {error}"))
    with suppress(OSError):
        pipe.send(message)


def _portable(error: MaskmillError) -> MaskmillError:
    """Return the error itself if it survives the way, else what it says."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return MaskmillError(str(error))
    return error


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

"""Iterate in another process, some items ahead: what makes them and what takes them work at once.

Knows no masks. The other process is a fresh interpreter that never looks at the caller's script
(so no `if __name__ == "__main__"` is needed), has one thread, and dies with this one. It waits when
it is too far ahead, so memory stays bounded whatever the number of items.
"""

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import Full, Queue
from typing import Any, BinaryIO, TypeVar

from maskmill.errors import MaskmillError
from maskmill.executor import ONE_THREAD

Item = TypeVar("Item")

AHEAD = 4
"""Items that wait here for being taken; the pipe holds little more."""
CHILD = "from maskmill.ahead import serve; serve()"


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
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            **dict.fromkeys(ONE_THREAD, "1"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert process.stdin is not None
    assert process.stdout is not None
    # Unpickling takes its time too; a thread does it while the last item is worked on.
    waiting: Queue[tuple[str, Any]] = Queue(AHEAD)
    over = threading.Event()
    thread = threading.Thread(target=_receive, args=(process.stdout, waiting, over), daemon=True)
    try:
        with suppress(OSError):  # if it has died already, that is found out below
            pickle.dump(make, process.stdin)
            process.stdin.flush()
        thread.start()
        while True:
            kind, content = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise content
            if kind == "died":
                raise MaskmillError(
                    f"the process that read died (exit code {process.wait()}); what came before "
                    "is kept: free some memory and run the same again"
                )
            yield content
    finally:
        over.set()
        process.kill()
        process.wait()
        thread.join()
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()


def _receive(pipe: BinaryIO, waiting: "Queue[tuple[str, Any]]", over: threading.Event) -> None:
    while not over.is_set():
        try:
            message = pickle.load(pipe)
        except (EOFError, OSError, pickle.UnpicklingError):
            message = ("died", None)
        while not over.is_set():
            with suppress(Full):
                waiting.put(message, timeout=0.1)
                break
        if message[0] != "item":
            return


def serve() -> None:
    """Live as the other process: take what makes the items, and send them until nobody listens."""
    # Ctrl-C reaches the whole group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Items are made and sent, and make no cycles: looking for some takes a third of the time.
    gc.disable()
    # What a library prints must not come between the items.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    make = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        for item in make():
            _send(out, ("item", item))
        message: tuple[str, Any] = ("end", None)
    except BrokenPipeError:
        return
    except MaskmillError as error:
        message = ("error", _portable(error))
    except Exception as error:
        message = ("error", MaskmillError(f"{type(error).__name__}: {error}"))
    with suppress(OSError):
        _send(out, message)
    os._exit(0)  # a thread still waits for the parent, and Python's own ending trips over it


def _send(out: BinaryIO, message: tuple[str, Any]) -> None:
    pickle.dump(message, out, pickle.HIGHEST_PROTOCOL)
    out.flush()


def _portable(error: MaskmillError) -> MaskmillError:
    """Return the error itself if it survives the way, else what it says."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return MaskmillError(str(error))
    return error


def _die_with_parent() -> None:
    """End this process when its parent has ended, even if that was killed: its end is closed."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)

"""Child processes of a round: started at a low priority, told to pause, and never left behind.

A child listens at its standard input. A line there asks it to stop when it has kept what it did;
the end of the pipe means that whoever started it is gone, by whatever death, and the child ends at
once: two trainers must never write into one folder. What went wrong is the last line of its stderr.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from maskmill.errors import MaskmillError, StoreError

CHILD = "MASKMILL_CHILD"
"""Set for child processes, whose standard input is a pipe from their parent."""
NICE = 10
"""How far a child stands back: people work on the same machine meanwhile."""
LOOK_SECONDS = 0.2
"""Time between two looks whether somebody wants a pause."""
WAITING = {"OMP_WAIT_POLICY": "PASSIVE"}
"""How a child's threads wait for each other: asleep. Awake, they hold the cores that they wait for,
and whoever works beside them at a higher priority makes a step of training twenty times as long."""
PATIENCE_SECONDS = 60
"""How long a child may take to keep what it did before it is ended."""


class Interrupted(StoreError):
    """A child process was stopped from outside; the round is still open."""


class Killed(StoreError):
    """A child process was ended by the system, and nobody had asked for that."""


LOWER = {
    "maskmill.engine.training": ", or give the round up and begin one by a recipe with smaller "
    "`batch_images`, `masks_per_image` and `late_input_side`",
    "maskmill.engine.detecting": ", or lower `max_images` in the settings of the heads' training",
}
"""What a child takes memory by, where somebody can set it."""


def run_child(*arguments: str, stop: threading.Event | None = None) -> None:
    """Run `python -m ARGUMENTS` to its end.

    Args:
        *arguments: Module and what it is given.
        stop: Set by somebody who wants a pause.

    Raises:
        Interrupted: If it was stopped, by `stop` or by a signal.
        Killed: If the system killed it; the message says what to do about it.
        StoreError: If it failed; the message is its last line.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**WAITING, **os.environ, CHILD: "1"},
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said: list[str] = []
    reader = threading.Thread(target=_read, args=(child, said), daemon=True)
    reader.start()
    try:
        asked = _wait(child, stop)
    except BaseException:  # the person who waits has had enough: the child must not go on alone
        child.terminate()
        raise
    finally:
        child.wait()
        reader.join()
        with suppress(OSError):
            child.stdin.close()  # type: ignore[union-attr]
        child.stderr.close()  # type: ignore[union-attr]
    if child.returncode == -signal.SIGKILL and not asked:
        raise Killed(
            f"{arguments[0]} was killed by the system, most often for want of memory: free some"
            f"{LOWER.get(arguments[0], '')}; run it again, and it goes on"
        )
    if child.returncode and (asked or child.returncode < 0):
        raise Interrupted(f"{arguments[0]} was stopped; run the round again, and it goes on")
    if child.returncode:
        lines = [line for line in said if line.strip()]
        reason = lines[-1].strip() if lines else f"it ended with {child.returncode}"
        raise StoreError(reason.removeprefix("error: "))


def _wait(child: "subprocess.Popen[str]", stop: threading.Event | None) -> bool:
    """Wait for the end; tells whether the child was asked for it."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            child.wait(LOOK_SECONDS if stop is not None else None)
            return False
        if stop is not None and stop.is_set():
            break
    with suppress(OSError):
        child.stdin.write("pause\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
    try:
        child.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
    return True


def _read(child: "subprocess.Popen[str]", said: list[str]) -> None:
    """Keep the last lines: a pipe that nobody empties stops its writer."""
    for line in child.stderr or ():
        said.append(line)
        del said[:-20]


def as_child(work: Callable[[], object], *, pause: threading.Event | None = None) -> int:
    """Do what a child is for: stand back, listen, work, and say at the end what went wrong.

    Args:
        work: The whole of it.
        pause: Set when the child is to keep what it did and end; one that has none keeps nothing
            in memory that is worth a wait, and ends at once.

    Returns:
        The process's exit status.
    """
    if hasattr(os, "nice"):
        os.nice(NICE)
    if CHILD in os.environ:  # started by hand, it is nobody's child
        threading.Thread(target=_listen, args=(pause,), daemon=True).start()
    try:
        work()
    except MaskmillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _listen(pause: threading.Event | None) -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock would be in the way of a quiet end
        if pause is None:
            break
        pause.set()
    os._exit(1)  # the parent is gone, or wants an end

"""Work over many items, in this process or in worker processes that may die.

An item is what `start()` returned is called with. This file knows no masks: what a worker loads,
reads and writes is its own business, and results should be small. A worker process has one thread,
because one process per core beats several threads in one; it dies with its parent, however that
ends.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from maskmill.errors import MaskmillError

Item = TypeVar("Item")
Result = TypeVar("Result")

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What the numeric libraries read, once, when a worker first imports them."""
FAILED_STARTS = 3
"""Workers that may die before they are ready; more, and it is not bad luck."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of one item.

    Attributes:
        item: As it was given.
        result: What the work returned, if `error` is None.
        error: Why there is no result, in one line.
    """

    item: Item
    result: Result | None = None
    error: str | None = None


def run(
    start: Callable[[], Callable[[Item], Result]],
    items: Iterable[Item],
    *,
    workers: int = 0,
    attempts: int = 2,
) -> Iterator[Outcome[Item, Result]]:
    """Do the work for every item; one bad item never stops the others.

    Args:
        start: Called once per worker, loads what the work needs and returns the work. Worker
            processes are spawned: it must be picklable, so a function of a module or a `partial`.
        items: Picklable; taken as workers become free.
        workers: Processes; 0 works in this process.
        attempts: How often an item is tried if workers die of it. An exception is not tried again.

    Yields:
        One outcome per item, as they finish.

    Raises:
        MaskmillError: If workers cannot start.

    Example:
        >>> [outcome.result for outcome in run(lambda: abs, [-2, 3])]
        [2, 3]
    """
    if workers == 0:
        yield from _here(start, items)
        return
    crew = _Crew(start, items, workers, attempts)
    try:
        yield from crew.outcomes()
    finally:
        crew.dismiss()


def _here(
    start: Callable[[], Callable[[Item], Result]], items: Iterable[Item]
) -> Iterator[Outcome[Item, Result]]:
    work = start()
    for item in items:
        try:
            outcome = Outcome[Item, Result](item, result=work(item))
        except Exception as error:
            outcome = Outcome(item, error=_reason(error))
        yield outcome


def _reason(error: Exception) -> str:
    """Say in one line what happened; maskmill's own errors are written for people already."""
    text = " ".join(str(error).split())
    return text if isinstance(error, MaskmillError) and text else f"{type(error).__name__}: {text}"


@dataclass(eq=False)
class _Task(Generic[Item]):
    item: Item
    deaths: int = 0


@dataclass(eq=False)
class _Worker(Generic[Item]):
    process: BaseProcess
    pipe: "Connection[Any, Any]"
    task: _Task[Item] | None = None
    ready: bool = field(default=False)


class _Crew(Generic[Item, Result]):
    """The parent's side: who works on what."""

    def __init__(
        self,
        start: Callable[[], Callable[[Item], Result]],
        items: Iterable[Item],
        size: int,
        attempts: int,
    ) -> None:
        self._start, self._attempts = start, attempts
        self._items = iter(items)
        self._again: deque[_Task[Item]] = deque()
        self._failed_starts = 0
        self._workers = [self._hire() for _ in range(size)]

    def outcomes(self) -> Iterator[Outcome[Item, Result]]:
        """Hand out tasks and yield what comes back until nothing is left."""
        while self._workers:
            for pipe in wait([worker.pipe for worker in self._workers]):
                worker = next(w for w in self._workers if w.pipe is pipe)
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    outcome = self._bury(worker)
                else:
                    outcome = self._hear(worker, message)
                if outcome is not None:
                    yield outcome

    def dismiss(self) -> None:
        """End all workers, whatever they do."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def _hire(self) -> _Worker[Item]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._start), daemon=True)
        with one_thread():
            process.start()
        # With our copy of its end open, a dead worker would look like a silent one.
        theirs.close()
        return _Worker(process, ours)

    def _hear(self, worker: _Worker[Item], message: Any) -> Outcome[Item, Result] | None:
        kind, content = message
        if kind == "refused":
            raise MaskmillError(f"a worker cannot start: {content}")
        worker.ready = True
        task, worker.task = worker.task, None
        self._assign(worker)
        if task is None:
            return None
        if kind == "failed":
            return Outcome(task.item, error=str(content))
        return Outcome(task.item, result=content)

    def _assign(self, worker: _Worker[Item]) -> None:
        """Give a worker its next task, or send it home."""
        task = self._again.popleft() if self._again else self._next()
        if task is None:
            self._workers.remove(worker)
            worker.pipe.close()
            worker.process.join()
            return
        worker.task = task
        # A worker that has died meanwhile is found out when its pipe is read.
        with suppress(OSError):
            worker.pipe.send(task.item)

    def _next(self) -> _Task[Item] | None:
        for item in self._items:
            return _Task(item)
        return None

    def _bury(self, worker: _Worker[Item]) -> Outcome[Item, Result] | None:
        """Replace a dead worker; its task is tried again, unless it has killed too many."""
        self._workers.remove(worker)
        worker.process.join()
        worker.pipe.close()
        cause = _cause_of_death(worker.process.exitcode)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts > FAILED_STARTS:
                raise MaskmillError(
                    f"workers die while they start ({cause}); try fewer workers or free some memory"
                )
        self._workers.append(self._hire())
        task = worker.task
        if task is None:
            return None
        task.deaths += 1
        if task.deaths < self._attempts:
            self._again.append(task)
            return None
        return Outcome(task.item, error=f"{task.deaths} workers died of it ({cause})")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let processes that are started here have one thread in their numeric libraries."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _cause_of_death(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return f"signal {-exitcode}"


def _serve(pipe: "Connection[Any, Any]", start: Callable[[], Callable[[Item], Result]]) -> None:
    """Live as a worker: load, then answer item by item until the parent hangs up."""
    # Ctrl-C reaches the whole group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        work = start()
    except Exception as error:
        pipe.send(("refused", _reason(error)))
        return
    pipe.send(("ready", None))
    while True:
        try:
            item: Item = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[str, object] = ("done", work(item))
        except Exception as error:
            answer = ("failed", _reason(error))
        pipe.send(answer)


def _die_with_parent() -> None:
    """End this process when its parent has ended, even if that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)

"""A child process that answers one question at a time, and is started again when it died.

It reads files of any kind and runs native code, so it may die of what it is asked; the parent goes
on. It starts when first asked, ends with the parent, and stands back behind people's requests.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from maskmill.errors import MaskmillError
from maskmill.executor import one_thread

TRIES = 2
"""How often one question may kill it."""
NICE = 5
Answers = Callable[..., Any]


class Died(MaskmillError):
    """A question ended the process as often as it may, or the process is closed for good."""


class Child:
    """One process.

    Args:
        start: Called there once, with `arguments`; returns what answers questions. A function of a
            module: the process is a fresh interpreter.
        arguments: Picklable.
        name: What a list of processes shows.
        alone: Whether its numeric libraries get one thread: where there is a process a core.
    """

    def __init__(
        self, start: Callable[..., Answers], *arguments: Any, name: str, alone: bool = False
    ) -> None:
        self._start, self._arguments, self._name = start, arguments, name
        self._alone = alone
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._closed = False
        self._starting = threading.Lock()
        self._told: tuple[Any, ...] | None = None
        self._told_to = 0
        self.started = 0
        """How many processes it was so far."""

    def ask(self, *question: Any) -> Any:
        """Ask, and wait for the answer; one thread at a time.

        Raises:
            MaskmillError: What the answer was, by its class.
            Died: If the process did not survive the question.
        """
        for _ in range(TRIES):
            try:
                is_error, answer = self._answer(question)
            except (EOFError, OSError):
                self.kill()
                if self._closed:
                    raise Died("the server is being stopped") from None
                continue
            if is_error:
                raise answer
            return answer
        raise Died(f"it ended the process that does this, {TRIES} times")

    def tell(self, *question: Any) -> None:
        """Ask what every later process is to be asked first: what it has to know."""
        self._told = None
        self.ask(*question)
        self._told, self._told_to = question, self.started

    def _answer(self, question: tuple[Any, ...]) -> tuple[bool, Any]:
        pipe = self._running()
        if self._told is not None and self._told_to != self.started:
            pipe.send(self._told)
            pipe.recv()
            self._told_to = self.started
        pipe.send(question)
        is_error, answer = pipe.recv()
        return is_error, answer

    def warm(self) -> None:
        """Begin to start, before the first question is there."""
        with suppress(EOFError):
            self._running()

    def close(self) -> None:
        """End the process for good, whatever it does."""
        with self._starting:
            self._closed = True
        self.kill()

    def kill(self) -> None:
        """End the process; the next question starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join(5)

    def _running(self) -> Connection:
        if self._process is None or self._pipe is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            arguments = (theirs, self._start, self._arguments)
            process = context.Process(target=_serve, args=arguments, name=self._name, daemon=True)
            with self._starting:
                if self._closed:
                    raise EOFError("the server is being stopped")
                with one_thread() if self._alone else nullcontext():
                    process.start()
                self._process = process
                self.started += 1
            theirs.close()
        return self._pipe


def _serve(pipe: Connection, start: Callable[..., Answers], arguments: tuple[Any, ...]) -> None:
    """Answer what the pipe asks until it closes; what the child process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    if hasattr(os, "nice"):
        os.nice(NICE)
    answer = start(*arguments)
    while True:
        try:
            question = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send((False, answer(*question)))
        except MaskmillError as error:
            pipe.send((True, error))

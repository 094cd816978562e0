"""Iterating in another process: the same items, errors and memory as here."""

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from maskmill.ahead import run_ahead
from maskmill.errors import ConfigError, DatasetError, MaskmillError


def numbers(count: int) -> Iterator[tuple[int, int]]:
    yield from ((i, os.getpid()) for i in range(count))


def fails(error: Exception) -> Iterator[int]:
    yield 1
    raise error


def dies() -> Iterator[int]:
    yield 1
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)
    yield 2


def leaves_traces(folder: Path) -> Iterator[bytes]:
    for i in range(1000):
        (folder / str(i)).touch()
        yield bytes(1 << 20)


def test_items_come_in_order_from_another_process() -> None:
    found = list(run_ahead(partial(numbers, 50)))
    assert [i for i, _ in found] == list(range(50))
    assert {process for _, process in found}.isdisjoint({os.getpid()})


@pytest.mark.parametrize("error", [DatasetError("bad at byte 7"), ConfigError("no such form")])
def test_errors_keep_their_class_and_words(error: MaskmillError) -> None:
    items = run_ahead(partial(fails, error))
    assert next(items) == 1
    with pytest.raises(type(error), match=str(error)):
        next(items)


def test_other_errors_are_told_in_words() -> None:
    with pytest.raises(MaskmillError, match="KeyError: 'lost'"):
        list(run_ahead(partial(fails, KeyError("lost"))))


def test_a_death_is_said_after_what_came_before() -> None:
    items = run_ahead(dies)
    assert next(items) == 1
    with pytest.raises(MaskmillError, match=r"died \(exit code -9\); what came before is kept"):
        next(items)


def test_it_does_not_run_far_ahead_and_ends_when_nobody_listens(tmp_path: Path) -> None:
    items = run_ahead(partial(leaves_traces, tmp_path))
    next(items)
    time.sleep(1)
    made = len(list(tmp_path.iterdir()))
    assert made <= 10
    items.close()  # type: ignore[attr-defined]
    time.sleep(0.2)
    assert len(list(tmp_path.iterdir())) == made

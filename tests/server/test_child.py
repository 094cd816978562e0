"""A process that answers: errors come back by their class, and death is not the parent's."""

import os
import time
from typing import Any

import pytest

from maskmill.errors import ImageError
from maskmill.server.child import Child, Died


def begin(base: int) -> Any:
    """What the child runs; numbers are added, words are obeyed."""
    asked = 0

    def answer(what: object) -> object:
        nonlocal asked, base
        asked += 1
        if what == "refuse":
            raise ImageError("it is no image; give another")
        if what == "die":
            os._exit(3)
        if isinstance(what, str) and what.startswith("base "):
            base = int(what[5:])
            return None
        if what == "asked":
            return asked
        assert isinstance(what, int)
        return base + what

    return answer


def test_it_answers_and_refuses_with_the_class_of_the_error() -> None:
    child = Child(begin, 40, name="test")
    try:
        assert child.ask(2) == 42
        with pytest.raises(ImageError, match="it is no image"):
            child.ask("refuse")
        assert child.ask("asked") == 3, "it is the same process still"
        assert child.started == 1
    finally:
        child.close()


def test_what_kills_it_twice_is_given_up_and_the_next_question_is_answered() -> None:
    child = Child(begin, 40, name="test")
    try:
        with pytest.raises(Died, match="2 times"):
            child.ask("die")
        assert child.ask(1) == 41
        assert child.started == 3
    finally:
        child.close()


def test_killed_from_outside_it_is_started_again_and_closed_it_stays_closed() -> None:
    child = Child(begin, 0, name="test")
    assert child.ask(1) == 1
    assert child._process is not None
    child._process.kill()
    time.sleep(0.2)
    assert child.ask(2) == 2
    child.close()
    with pytest.raises(Died, match="being stopped"):
        child.ask(3)


def test_a_new_process_knows_what_the_one_before_was_told() -> None:
    child = Child(begin, 0, name="test")
    try:
        child.tell("base 7")
        assert child.ask(1) == 8
        child.kill()
        assert child.ask(1) == 8
        child.tell("base 9")
        with pytest.raises(Died):
            child.ask("die")
        assert child.ask(1) == 10
    finally:
        child.close()

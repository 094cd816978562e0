"""Events: heard by all who listen, in order, and after a break what was missed."""

import asyncio

import pytest

from maskmill.server import events as module
from maskmill.server.events import Events, as_text


def test_all_who_listen_hear_what_happens() -> None:
    async def run() -> None:
        events = Events()
        first, second = events.listen([]), events.listen(["missed"])
        assert await anext(first) == await anext(second) == ": listening\n\n"
        assert await anext(second) == "missed"
        await asyncio.to_thread(events.tell, "annotation", sequence=3, id="a")
        text = 'id: 3\nevent: annotation\ndata: {"id": "a"}\n\n'
        assert await anext(first) == await anext(second) == text
        events.close()
        assert [text async for text in first] == []
        assert [text async for text in events.listen([])] == []

    asyncio.run(run())


def test_a_silent_project_is_heard_to_be_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)

    async def run() -> None:
        listening = Events().listen([])
        await anext(listening)
        assert (await anext(listening)).startswith(":")

    asyncio.run(run())


def test_who_does_not_read_is_let_go_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 5)

    async def run() -> None:
        events = Events()
        slow = events.listen([])
        await anext(slow)
        for number in range(20):
            events.tell("progress", images=number)
        await asyncio.sleep(0)
        heard = [text async for text in slow]
        assert len(heard) < 20
        assert not events._listeners

    asyncio.run(run())


def test_who_went_away_is_forgotten() -> None:
    async def run() -> Events:
        events = Events()
        listening = events.listen([])
        await anext(listening)
        assert len(events._listeners) == 1
        await listening.aclose()
        assert not events._listeners
        return events

    asyncio.run(run()).tell("progress", images=1)  # its loop has ended


def test_a_text_with_line_breaks_stays_one_event() -> None:
    text = as_text("image", None, {"note": "a\n\nevent: b"})
    assert text.count("\n") == 3

"""The transport in memory: one endpoint, driven step by step, at a time that is a number."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

import pytest

from test.cases import GONE, OURS, Closes, close, closes, ping, pong, text
from test.chunking import PING, Seen, frames, wire
from test.drivers import Recorder
from ws4py_ng.endpoint import Endpoint
from ws4py_ng.streaming import Stream
from ws4py_ng.transports.memory import Clock, MemoryTransport, run, run_async


class Driven:
    """Hold an endpoint and its transport."""

    def __init__(self, endpoint: Any = None) -> None:
        self.endpoint = endpoint or Recorder()
        self.clock = Clock()
        self.it = MemoryTransport(self.endpoint, self.clock)
        run(self.it.start())

    def feed(self, *pieces: Any) -> None:
        run(self.it.feed(wire(pieces, masked=True)))

    @property
    def out(self) -> list[Seen]:
        return frames(self.it.take(), masked=False)


def test_a_conversation_from_start_to_end() -> None:
    driven = Driven()
    assert (2, None) == (driven.it.need, driven.it.ending)
    driven.feed(text("a"))
    driven.endpoint.send("b")
    driven.feed(close(1000))
    assert [("opened",), ("text", "a"), ("closed", 1000, b"")] == driven.endpoint.events
    assert [Seen(1, b"b"), closes(1000)] == driven.out
    assert driven.it.ending is not None
    assert driven.endpoint.terminated


def test_nothing_happens_twice() -> None:
    driven = Driven()
    run(driven.it.start())
    run(driven.it.feed(b""))
    run(driven.it.feed(b"more"))
    run(driven.it.break_off(OSError()))
    run(driven.it.start())
    run(driven.it.tick())
    assert [("opened",), GONE] == driven.endpoint.events


def test_what_breaks_is_told() -> None:
    driven = Driven()
    error = OSError("cable")
    run(driven.it.break_off(error))
    assert [error] == driven.endpoint.errors


def test_an_endpoint_without_terminate_is_driven_as_well() -> None:
    driven = Driven(Endpoint(Stream()))
    driven.feed(close(1001))
    assert driven.it.ending is not None
    assert 1001 == driven.it.ending.code


def test_ticks_come_when_they_are_due_and_when_the_state_changes() -> None:
    driven = Driven()
    run(driven.it.tick())
    assert 20.0 == driven.it.next_tick
    driven.clock.time = 19.9
    run(driven.it.tick())
    assert [] == driven.out
    driven.clock.time = 20.0
    run(driven.it.tick())
    (sent,) = driven.out
    assert PING == sent.opcode
    driven.clock.time = 20.5
    driven.feed(pong(sent.payload))
    assert 0.5 == driven.endpoint._keepalive.latency
    driven.endpoint.close()
    run(driven.it.tick())
    assert 30.5 == driven.it.next_tick
    driven.clock.time = 31.0
    run(driven.it.tick())
    assert ("closed", 1006, OURS) == driven.endpoint.events[-1]
    assert inf == driven.it.next_tick


def test_a_send_may_be_awaited_or_left() -> None:
    class Echo(Recorder):
        async def received_message(self, message: Any) -> None:  # type: ignore[override]
            self.send("left")
            await self.send("awaited")

    driven = Driven(Echo())
    driven.feed(text("a"), ping())
    assert [b"left", b"awaited", b""] == [frame.payload for frame in driven.out]


@pytest.mark.parametrize("payload", ["torn", ["torn"]])
def test_a_message_within_a_message_is_refused(payload: Any) -> None:
    driven = Driven()

    def pieces() -> Any:
        yield "a"
        yield "b"
        driven.endpoint.send(payload)

    with pytest.raises(RuntimeError, match="within the iterable"):
        driven.endpoint.send(pieces())
    assert [Seen(1, b"a", 0), Closes(1011)] == driven.out


@pytest.mark.parametrize("where", ["opened", "received_message", "ponged", "closed"])
def test_an_async_hook_may_raise(where: str) -> None:
    error = KeyError("mine")

    async def fail(*args: object) -> None:
        raise error

    endpoint: Any = Recorder()
    setattr(endpoint, where, fail)
    driven = Driven(endpoint)
    driven.feed(text("a"), pong(), close(1000))
    assert [error] == endpoint.errors
    assert [closes(1000) if where == "closed" else Closes(1011)] == driven.out


def test_a_hook_that_needs_a_loop_is_refused_without_one() -> None:
    class Waiting(Recorder):
        async def received_message(self, message: Any) -> None:  # type: ignore[override]
            await asyncio.sleep(0)

    driven = Driven(Waiting())
    with pytest.raises(RuntimeError, match="only an event loop can bring"):
        driven.feed(text("a"))


def test_a_hook_that_needs_a_loop_is_awaited_in_one() -> None:
    async def conversation() -> list[Any]:
        class Waiting(Recorder):
            async def received_message(self, message: Any) -> None:  # type: ignore[override]
                await asyncio.sleep(0)
                Recorder.received_message(self, message)
                if str(message) == "bad":
                    raise KeyError

        endpoint = Waiting()
        transport = MemoryTransport(endpoint, Clock())
        await run_async(transport.start())
        await run_async(transport.feed(wire([text("a"), text("b"), text("bad"), text("c")], masked=True)))
        assert [Closes(1011)] == frames(transport.take(), masked=False)
        return endpoint.events

    events = asyncio.run(conversation())
    assert [("opened",), ("text", "a"), ("text", "b"), ("text", "bad"), ("closed", 1011, OURS)] == events

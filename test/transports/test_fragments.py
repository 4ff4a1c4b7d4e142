"""Messages in fragments from async iterators, and who waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import pytest

from ws4py_ng.exc import ConnectionClosed

from .fake_transport import Spy, adopt, text, turns
from .peers import frame

MIB = 1024 * 1024
WAIT = 60.0


# Fragments


async def pieces(*texts: str, gate: asyncio.Event | None = None) -> AsyncIterator[str]:
    """Make pieces; the gate is before the last one."""
    for piece in texts[:-1]:
        yield piece
    if gate is not None:
        await gate.wait()
    yield texts[-1]


def fragments(*texts: str) -> bytes:
    """Make the frames that they are sent in."""
    frames = [frame(1 if i == 0 else 0, piece.encode(), mask=False, fin=False) for i, piece in enumerate(texts)]
    return b"".join(frames) + frame(0, b"", mask=False)


def test_an_async_iterator_is_sent_as_it_comes(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        gate = asyncio.Event()
        transport, _ = adopt(ws)
        sent = ws.send(pieces("a", "b", gate=gate))
        await turns()
        assert fragments("a")[:3] == transport.sent
        ws.ping("x")
        others = [ws.send("c"), ws.send(["d", "e"]), ws.send(pieces("f", "g")), ws.send("h")]
        gate.set()
        await sent
        for other in others:
            await other
        rest = fragments("a", "b")[3:] + text("c") + frame(1, b"d", mask=False, fin=False) + frame(0, b"e", mask=False)
        assert (
            fragments("a")[:3] + frame(9, b"x", mask=False) + rest + fragments("f", "g") + text("h") == transport.sent
        )
        transport.lose()

    run(main)


def test_an_async_iterator_of_nothing_is_an_empty_message(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)

        async def nothing() -> AsyncIterator[str]:
            for each in ():
                yield each

        await ws.send(nothing())
        assert text("") == transport.sent
        transport.lose()

    run(main)


def test_what_nobody_awaits_is_sent_all_the_same(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)
        ws.send(pieces("a", "b"))
        ws.send("c")
        await turns()
        assert fragments("a", "b") + text("c") == transport.sent
        transport.lose()

    run(main)


@pytest.mark.parametrize("is_awaited", [False, True])
def test_an_async_iterator_that_fails_closes(run: Any, caplog: pytest.LogCaptureFixture, is_awaited: bool) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)

        async def failing() -> AsyncIterator[str]:
            yield "a"
            raise LookupError("no more")

        sent = ws.send(failing())
        behind = ws.send("behind")
        if is_awaited:
            with pytest.raises(LookupError):
                await sent
        await turns()
        assert transport.sent.startswith(fragments("a")[:3] + b"\x88")
        with pytest.raises(ConnectionClosed):
            await behind
        transport.lose()

    run(main)
    assert ([] if is_awaited else ["Spy failed"]) == [entry.getMessage() for entry in caplog.records]


def test_an_async_iterator_of_no_text_is_refused(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)

        async def half() -> AsyncIterator[bytes]:
            yield b"\xc3"

        with pytest.raises(ValueError, match="utf-8"):
            await ws.send(half())
        transport.lose()

    run(main)


def test_who_is_cancelled_breaks_his_message_off(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)

        async def send() -> None:
            await ws.send(pieces("a", "b", gate=asyncio.Event()))

        task = asyncio.create_task(send())
        await turns()
        task.cancel()
        await turns()
        assert task.cancelled()
        assert transport.sent.startswith(fragments("a")[:3] + b"\x88")
        transport.lose()

    run(main)


def test_a_connection_lost_within_a_message_ends_the_iterator(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)
        ended = []

        async def endless() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        sent, behind = ws.send(endless()), ws.send("behind")
        await turns()
        transport.lose()
        for each in (sent, behind):
            with pytest.raises(ConnectionClosed):
                await each
        await turns()
        assert ended
        with pytest.raises(ConnectionClosed):
            ws.send(pieces("x"))

    run(main)


def test_an_iterator_that_awaits_its_own_websocket_is_told(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)

        async def selfish() -> AsyncIterator[str]:
            yield "a"
            await ws.send("me first")
            yield "b"

        with pytest.raises(RuntimeError, match="torn apart"):
            await ws.send(selfish())
        transport.lose()

    run(main)


def test_the_queue_behind_a_message_is_bounded(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws, max_unsent=MIB)
        ws.send(pieces("a", "b", gate=asyncio.Event()))
        for _ in range(10):
            ws.send("x" * 100_000)
        with pytest.raises(BufferError, match="max_unsent"):
            ws.send("x" * 100_000)
        await turns()
        transport.lose()
        await turns()

    run(main)


def test_a_long_iterable_waits_for_the_peer(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws, stuck=True)
        made = 0

        def many() -> Iterator[str]:
            nonlocal made
            for _ in range(100):
                made += 1
                yield "x" * 40_000

        sent: Awaitable[None] = ws.send(many())
        behind: Awaitable[None] = ws.send("behind")
        assert made < 10
        for _ in range(200):
            transport.take()
            await turns(2)
        await sent
        await behind
        assert 100 == made
        assert transport.sent.endswith(frame(0, b"", mask=False) + text("behind"))
        transport.lose()

    run(main)

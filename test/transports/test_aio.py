"""The asyncio transport: the order of things, and its end, wherever that comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.transports import aio, async_hooks
from ws4py_ng.websocket import EchoWebSocket

from .fake_transport import Spy, Waiter, adopt, text, turns
from .peers import frame

MIB = 1024 * 1024
WAIT = 60.0


# One write for each read


def test_what_one_read_brings_is_answered_by_one_write(run: Any) -> None:
    async def main() -> None:
        transport, _ = adopt(EchoWebSocket())
        transport.message("a", "b", "c")
        assert [text("a") + text("b") + text("c")] == transport.writes

    run(main)


def test_async_hooks_that_do_not_wait_are_answered_by_one_write(run: Any) -> None:
    class Echo(Spy):
        async def received_message(self, message: Any) -> None:
            await self.send(str(message))

    async def main() -> None:
        transport, _ = adopt(Echo())
        transport.message("a", "b", "c")
        await turns()
        assert [text("a") + text("b") + text("c")] == transport.writes
        transport.message("d", "e")
        await turns()
        assert [text("d") + text("e")] == transport.writes[1:]

    run(main)


def test_a_hook_that_waits_has_sent_what_it_had_to_say(run: Any) -> None:
    class Asker(Waiter):
        async def received_message(self, message: Any) -> None:
            self.send("before")
            await super().received_message(message)
            self.send("behind")

    async def main() -> None:
        ws = Asker()
        transport, _ = adopt(ws)
        transport.message("a")
        await turns()
        assert text("before") == transport.sent
        ws.gate.set()
        await turns()
        assert text("before") + text("behind") == transport.sent

    run(main)


def test_a_send_from_outside_goes_out_at_once(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)
        ws.send("now")
        assert text("now") == transport.sent

    run(main)


# The connection is lost


@pytest.mark.parametrize("error", [None, ConnectionResetError("gone"), OSError(113, "no route")])
def test_a_connection_lost_between_messages_is_1006(run: Any, error: Exception | None) -> None:
    async def main() -> None:
        ws = Spy()
        transport, carrier = adopt(ws)
        transport.message("a")
        transport.lose(error)
        assert ["a", 1006] == ws.seen
        await carrier.wait_gone()
        with pytest.raises(ConnectionClosed):
            ws.send("late")

    run(main)


@pytest.mark.parametrize("error", [None, ConnectionResetError("gone")])
def test_a_connection_lost_during_an_async_hook_waits_for_the_hook(run: Any, error: Exception | None) -> None:
    async def main() -> None:
        ws = Waiter()
        transport, carrier = adopt(ws)
        transport.message("a", "b")
        await turns()
        transport.lose(error)
        await turns()
        assert ["<a"] == ws.seen
        with pytest.raises(ConnectionClosed):
            ws.send("late")
        ws.gate.set()
        await carrier.wait_gone()
        assert ["<a", "a>", "<b", "b>", 1006] == ws.seen

    run(main)


def test_a_connection_lost_in_opened_is_1006(run: Any) -> None:
    class Opener(Waiter):
        async def opened(self) -> None:
            await self.received_message("opened")

    async def main() -> None:
        ws = Opener()
        transport, carrier = adopt(ws)
        await turns()
        transport.lose()
        ws.gate.set()
        await carrier.wait_gone()
        assert ["<opened", "opened>", 1006] == ws.seen

    run(main)


def test_a_connection_lost_while_a_sender_awaits_lets_him_go(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws, stuck=True)

        async def send() -> None:
            await ws.send("x" * 70_000)

        senders = [asyncio.create_task(send()) for _ in range(3)]
        await turns()
        assert not any(sender.done() for sender in senders)
        transport.lose(ConnectionResetError("gone"))
        await asyncio.gather(*senders)
        assert [1006] == ws.seen

    run(main)


def test_a_sender_who_is_cancelled_leaves_the_others_waiting(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws, stuck=True)

        async def send() -> None:
            await ws.send("x" * 70_000)

        one, two = asyncio.create_task(send()), asyncio.create_task(send())
        await turns()
        one.cancel()
        await turns()
        assert one.cancelled()
        assert not two.done()
        transport.take()
        await two

    run(main)


def test_an_end_of_file_behind_a_hook_lets_it_answer(run: Any) -> None:
    class Echo(Waiter):
        async def received_message(self, message: Any) -> None:
            await super().received_message(message)
            await self.send("answer")

    async def main() -> None:
        ws = Echo()
        transport, carrier = adopt(ws)
        transport.message("a")
        await turns()
        assert transport.protocol.eof_received(), "the transport is to stay open"
        ws.gate.set()
        await carrier.wait_gone()
        assert text("answer") == transport.sent
        assert ["<a", "a>", 1006] == ws.seen

    run(main)


def test_the_end_of_tls_closes_the_transport(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, carrier = adopt(ws, tls=True)
        assert not transport.protocol.eof_received()
        await carrier.wait_gone()
        assert [1006] == ws.seen

    run(main)


# Nobody pays for another


def test_a_peer_with_much_to_say_is_interrupted(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Slow(Spy):
        def received_message(self, message: Any) -> Any:
            nonlocal now
            now += 0.001

    async def main() -> None:
        monkeypatch.setattr(aio, "monotonic", lambda: now)
        ws = Slow()
        transport, carrier = adopt(ws)
        portions = []
        data = frame(1, b"x", mask=True) * 10_000
        while data:
            size = min(len(carrier.get_buffer(-1)), len(data))
            portions.append(size)
            transport.feed(data[:size])
            data = data[size:]
            assert transport.reading is not (size == portions[-1] and carrier._held)
            await turns(2)
            assert transport.reading, "only a breath"
        assert aio.SIP == portions[-2]
        assert now > 9
        transport.lose()

    run(main)


def test_so_is_one_whose_hooks_are_async(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Slow(Spy):
        async def received_message(self, message: Any) -> None:
            nonlocal now
            now += 0.001

    async def main() -> None:
        monkeypatch.setattr(async_hooks, "monotonic", lambda: now)
        transport, carrier = adopt(Slow())
        for _ in range(10):
            transport.feed(frame(1, b"x", mask=True) * 100)
            await turns()
        assert aio.SIP == len(carrier.get_buffer(-1))
        transport.lose()

    run(main)


def test_a_peer_with_quick_answers_is_read_in_large_pieces(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(aio, "monotonic", lambda: 0.0)
        transport, carrier = adopt(Spy())
        transport.feed(frame(1, b"x" * 200_000, mask=True))
        assert 64 * 1024 == len(carrier.get_buffer(-1))
        transport.lose()

    run(main)


def test_a_slow_hook_is_not_the_peers_silence(run: Any) -> None:
    async def main() -> None:
        ws = Waiter()
        transport, carrier = adopt(ws, ping_interval=10, ping_timeout=10)
        now = carrier._loop.time()
        carrier._loop.time = lambda: now  # type: ignore[method-assign]
        transport.message("a", "b")
        transport.message("c")
        assert not transport.reading
        for _ in range(10):
            now += 11
            carrier._look_at_timers()
        assert not transport.aborted
        assert b"\x89" in transport.sent, "it was pinged all the same"
        ws.gate.set()
        await turns()
        del carrier._loop.time  # type: ignore[method-assign]
        transport.lose()
        await carrier.wait_gone()

    run(main)

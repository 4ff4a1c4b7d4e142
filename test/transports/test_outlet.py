"""The sending half of the asyncio transport: peers that are behind, and other threads."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ws4py_ng.transports import aio, outlet

from .fake_transport import Spy, adopt, text, turns
from .peers import frame

MIB = 1024 * 1024
WAIT = 60.0


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Any:
    """Make loops of each kind."""
    if request.param == "asyncio":
        return asyncio.new_event_loop
    return pytest.importorskip("uvloop").new_event_loop


class Flood(Spy):
    """Send pieces without waiting, as often as the message says."""

    def received_message(self, message: Any) -> Any:
        super().received_message(message)
        for _ in range(int(str(message))):
            self.send("x" * 70_000)


# A peer that does not keep up


def test_a_session_rests_while_the_peer_is_behind(run: Any) -> None:
    async def main() -> None:
        ws = Flood()
        transport, carrier = adopt(ws, stuck=True)
        transport.message("1", "1", "1")
        assert ["1"] == ws.seen
        assert not transport.reading
        transport.take()
        await turns()
        assert ["1", "1"] == ws.seen
        assert carrier._task is None, "no task is needed for that"
        transport.take()
        await turns()
        transport.take()
        await turns()
        assert ["1", "1", "1"] == ws.seen
        assert transport.reading
        transport.message("0")
        assert ["1", "1", "1", "0"] == ws.seen
        transport.lose()

    run(main)


def test_a_session_that_rests_hears_of_the_end(run: Any) -> None:
    async def main() -> None:
        ws = Flood()
        transport, carrier = adopt(ws, stuck=True)
        transport.message("1", "0", "1")
        transport.lose(ConnectionResetError("gone"))
        await carrier.wait_gone()
        assert ["1", "0", "1", 1006] == ws.seen

    run(main)


def test_a_sender_who_does_not_wait_gets_an_error(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws, stuck=True, max_unsent=MIB)
        for _ in range(MIB // 70_000 + 1):
            ws.send("x" * 70_000)
        with pytest.raises(BufferError, match="max_unsent"):
            ws.send("x")
        with pytest.raises(BufferError):
            ws.ping("x")
        assert len(transport.sent) < MIB + 100_000
        transport.take()
        ws.send("x")
        ws.send("x" * 2 * MIB)  # one message is always taken
        with pytest.raises(BufferError):
            ws.send("x")
        ws.close()
        assert transport.sent.endswith(frame(8, b"\x03\xe8", mask=False))
        transport.lose()

    run(main)


def test_a_hook_that_does_not_wait_is_closed_with_1011(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        ws = Flood()
        transport, carrier = adopt(ws, stuck=True, max_unsent=MIB)
        transport.message("1000")
        await carrier.wait_ended()
        assert ["1000", 1011] == ws.seen
        transport.lose()

    run(main)
    assert ["Flood failed"] == [entry.getMessage() for entry in caplog.records]


def test_a_peer_that_takes_nothing_is_given_up(run: Any) -> None:
    async def main() -> None:
        ws = Flood()
        transport, carrier = adopt(ws, stuck=True, write_timeout=0.05)
        transport.message("1")
        await carrier.wait_gone()
        assert transport.aborted
        assert ["1", 1006] == ws.seen

    run(main)


def test_a_peer_that_takes_something_is_not(run: Any) -> None:
    async def main() -> None:
        ws = Flood()
        transport, carrier = adopt(ws, stuck=True, write_timeout=0.05)
        transport.message("1")
        for _ in range(4):
            transport.waiting -= 1000
            carrier._look_at_writing()
        assert not transport.aborted
        carrier._look_at_writing()
        assert transport.aborted
        await carrier.wait_gone()

    run(main)


# Other threads


def in_thread(function: Callable[[], object]) -> Exception | None:
    """Run a function in a thread, to its end; return what it raised."""
    raised: list[Exception] = []

    def call() -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - the test judges it
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_another_thread_may_send_and_close(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, carrier = adopt(ws)
        assert in_thread(lambda: ws.send("from afar")) is None
        await turns()
        assert text("from afar") == transport.sent
        assert in_thread(lambda: ws.close(4000)) is None
        await turns()
        assert transport.sent.endswith(frame(8, b"\x0f\xa0", mask=False))
        assert carrier._timer is not None, "the answer is waited for, for a bounded time"
        assert in_thread(carrier.cut_off) is None
        await carrier.wait_gone()

    run(main)


def test_another_thread_is_bounded_as_well(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws, max_unsent=MIB)

        def send_all() -> None:
            for _ in range(100):
                ws.send("x" * 70_000)

        assert isinstance(in_thread(send_all), BufferError)
        await turns()
        ws.send("again")
        assert len(transport.sent) < 2 * MIB
        transport.lose()

    run(main)


def test_another_thread_cannot_send_in_fragments(run: Any) -> None:
    async def main() -> None:
        ws = Spy()
        transport, _ = adopt(ws)
        error = in_thread(lambda: ws.send(["a", "b"]))
        assert isinstance(error, RuntimeError)
        assert "thread" in str(error)
        transport.lose()

    run(main)


def test_many_threads_send_whole_messages(loop_factory: Any) -> None:
    received: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        class Client(Spy):
            def received_message(self, message: Any) -> Any:
                received.append(str(message))
                if len(received) == 4 * 500:
                    done.set()

        ends = []
        ready = asyncio.Event()

        class Plug(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                ends.append(transport)
                if len(ends) == 2:
                    ready.set()

        server = await loop.create_server(Plug, "127.0.0.1", 0)
        await loop.create_connection(Plug, *server.sockets[0].getsockname())
        await ready.wait()
        carriers = []
        sides = [Spy(), Client()]
        for ws, transport in zip(sides, ends, strict=True):
            ws._stream.expect_masking = False
            carrier = aio.AsyncioTransport(ws, ws._limits)
            ws._attach(carrier)
            carrier.take_over(transport)
            carriers.append(carrier)
        ws = sides[0]

        def tell(name: str) -> None:
            for i in range(500):
                ws.send(f"{name} {i}")

        threads = [threading.Thread(target=tell, args=[name]) for name in "abcd"]
        for thread in threads:
            thread.start()
        async with asyncio.timeout(WAIT):
            await done.wait()
        for thread in threads:
            thread.join()
        for carrier in carriers:
            carrier.cut_off()
            await carrier.wait_gone()
        server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    for name in "abcd":
        assert [f"{name} {i}" for i in range(500)] == [each for each in received if each[0] == name]


# A real socket, which takes a part at a time


class Lost(asyncio.Protocol):
    """Tell when the connection is lost."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


async def open_pair() -> tuple[Any, Lost, socket.socket]:
    """Connect two sockets: an asyncio transport and its peer."""
    ours, peer = socket.socketpair()
    peer.setblocking(False)
    transport, protocol = await asyncio.get_running_loop().connect_accepted_socket(Lost, ours)
    return transport, protocol, peer


@pytest.mark.parametrize(
    ("sizes", "waiting"),
    [([10, 65536], 0), ([10, 65536], 4 * MIB), ([10, 8 * MIB, 10, 8 * MIB], 0), ([*range(1, 2000), 20_000], 0)],
)
def test_pieces_come_whole_and_in_order_whatever_the_kernel_takes(
    loop_factory: Any, sizes: list[int], waiting: int
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _, peer = await open_pair()
        before = bytes(waiting)
        pieces = [bytes([i % 251]) * size for i, size in enumerate(sizes)]
        if waiting:
            transport.write(before)
        outlet._write_gathered(transport, pieces)
        expected = before + b"".join(pieces)
        got = bytearray()
        while len(got) < len(expected):
            got += await loop.sock_recv(peer, MIB)
        assert expected == got
        transport.close()
        peer.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_pieces_for_a_peer_that_has_gone_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        transport, protocol, peer = await open_pair()
        peer.close()
        outlet._write_gathered(transport, [b"x"] * 20)
        assert isinstance(await protocol.lost, ConnectionError)

    asyncio.run(main())
    assert [] == caplog.records

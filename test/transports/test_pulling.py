"""`PullTransport` over a channel of the test's, on trio with a clock that jumps, and on asyncio."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from ws4py_ng.codes import CLOSE, PING, TEXT
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import Limits
from ws4py_ng.transports import asynciokit, trio_
from ws4py_ng.transports.pulling import PullTransport
from ws4py_ng.websocket import WebSocket

MASK = bytes(4)


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """Make a small frame of a client."""
    assert len(payload) < 126
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + MASK + payload


def close_frame(code: int) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big"))


class Script:
    """Be a channel that reads what the test says, and writes for as long as the test lets it."""

    def __init__(self, kit: Any, *reads: bytes | OSError) -> None:
        self.kit = kit
        self.reads = list(reads)
        self.written: list[bytes] = []
        self.partings: list[bool] = []
        self.is_cut = False
        self.takes = True
        self.endless_parting = False
        self._changed = kit.event()

    def change(self, *reads: bytes | OSError, takes: bool | None = None) -> None:
        """Let something come, or let the peer read."""
        self.reads += reads
        self.takes = self.takes if takes is None else takes
        changed, self._changed = self._changed, self.kit.event()
        changed.set()

    async def read(self, size: int) -> bytes:
        while not self.reads:
            await self._wait()
        data = self.reads.pop(0)
        if isinstance(data, OSError):
            raise data
        return data

    async def write(self, pieces: list[bytes], moved: Callable[[], object]) -> None:
        while not self.takes:
            await self._wait()
        self.written.append(b"".join(pieces))
        moved()

    async def hang_up(self, heard_out: bool) -> None:
        self.partings.append(heard_out)
        while self.endless_parting:
            await self._wait()

    def cut_off(self) -> None:
        self.is_cut = True
        self.change()

    async def _wait(self) -> None:
        if self.is_cut:
            raise ConnectionResetError("cut off")
        await self._changed.wait()
        if self.is_cut:
            raise ConnectionResetError("cut off")


class Recorder(WebSocket):
    """Note what the hooks are called with."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.errors: list[Exception] = []

    def opened(self) -> Any:
        self.seen.append("opened")

    def received_message(self, message: Any) -> Any:
        self.seen.append(message.data)

    def closed(self, code: int, reason: Any = None) -> Any:
        self.seen.append(("closed", code))

    def unhandled_error(self, error: Exception) -> None:
        self.errors.append(error)


class Echo(Recorder):
    def received_message(self, message: Any) -> Any:
        super().received_message(message)
        return self.send(message.data)


QUIET = Limits(ping_interval=None)
Scenario = Callable[[Any, Callable[..., Any]], Awaitable[None]]


def on_trio(scenario: Scenario) -> None:
    """Run a scenario where waiting takes no time."""

    async def main() -> None:
        async with trio_.open_kit() as kit, trio.open_nursery() as nursery:

            def start(ws: Recorder, channel: Script, limits: Limits = QUIET) -> PullTransport:
                transport = make(ws, channel, limits, kit)
                nursery.start_soon(transport.run)
                return transport

            await scenario(kit, start)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def on_asyncio(scenario: Scenario) -> None:
    async def main() -> None:
        async with asynciokit.open_kit() as kit, asyncio.TaskGroup() as group:

            def start(ws: Recorder, channel: Script, limits: Limits = QUIET) -> PullTransport:
                transport = make(ws, channel, limits, kit)
                group.create_task(transport.run())
                return transport

            await scenario(kit, start)

    asyncio.run(main())


def make(ws: Recorder, channel: Script, limits: Limits, kit: Any) -> PullTransport:
    ws._configure(limits)
    transport = PullTransport(ws, limits, kit, channel, ws._release)
    ws._attach(transport)
    return transport


both = pytest.mark.parametrize("run", [on_trio, on_asyncio])


@both
def test_what_one_read_brought_is_answered_by_one_write(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Echo()
        channel = Script(kit, frame(TEXT, b"one") + frame(PING, b"p") + frame(TEXT, b"two"), close_frame(1000))
        transport = start(ws, channel)
        await transport.wait_ended()
        assert ["opened", b"one", b"two", ("closed", 1000)] == ws.seen
        assert [b"\x81\x03one\x8a\x01p\x81\x03two", b"\x88\x02\x03\xe8"] == channel.written
        assert (1000, b"", True) == transport.ending
        assert [True] == channel.partings
        assert channel.is_cut
        assert ws.terminated

    run(scenario)


@both
def test_another_task_may_send(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Recorder()
        channel = Script(kit, frame(TEXT, b"first"))
        transport = start(ws, channel)
        while b"first" not in ws.seen:
            await step(kit)
        ws.send("a")
        await ws.send("b")
        while b"".join(channel.written) != b"\x81\x01a\x81\x01b":
            await step(kit)
        channel.change(b"")
        await transport.wait_ended()
        assert ("closed", 1006) == ws.seen[-1]
        with pytest.raises(ConnectionClosed):
            ws.send("too late")

    run(scenario)


@both
def test_another_thread_may_send(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Recorder()
        channel = Script(kit)
        transport = start(ws, channel)
        while not ws.seen:
            await step(kit)
        thread = threading.Thread(target=ws.send, args=["from a thread"])
        thread.start()
        thread.join()
        while not channel.written:
            await step(kit)
        assert [b"\x81\x0dfrom a thread"] == channel.written
        channel.change(b"")
        await transport.wait_ended()

    run(scenario)


@both
def test_an_awaited_send_waits_until_the_peer_keeps_up(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        progress: list[int] = []

        class Flood(Recorder):
            async def received_message(self, message: Any) -> None:
                for number in range(10):
                    await self.send(bytes(1000), binary=True)
                    progress.append(number)

        ws = Flood()
        channel = Script(kit, frame(TEXT, b"go"))
        channel.takes = False
        transport = start(ws, channel, Limits(ping_interval=None, max_outbox=3000))
        while not progress:
            await step(kit)
        await step(kit)
        assert [0, 1] == progress
        channel.change(close_frame(1000), takes=True)
        await transport.wait_ended()
        assert 10 == len(progress)
        assert 10 * 1004 + 4 == len(b"".join(channel.written))

    run(scenario)


@both
def test_a_sender_who_is_cancelled_tears_no_frame(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Recorder()
        channel = Script(kit)
        channel.takes = False
        transport = start(ws, channel, Limits(ping_interval=None, max_outbox=10))
        while not ws.seen:
            await step(kit)
        scope = kit.scope()
        kit.call_at(kit.now() + 0.01, scope.cancel)
        with scope:
            await ws.send("a message that is long enough")
            raise AssertionError("it did not wait")
        channel.change(close_frame(1000), takes=True)
        await transport.wait_ended()
        assert [b"\x81\x1da message that is long enough", b"\x88\x02\x03\xe8"] == channel.written

    run(scenario)


@both
def test_hooks_that_do_not_wait_let_the_session_wait(run: Callable[[Scenario], None]) -> None:
    """Many messages of one read, each answered by much: no more than max_outbox and one answer wait."""

    async def scenario(kit: Any, start: Any) -> None:
        most = 0

        class Careless(Recorder):
            def received_message(self, message: Any) -> None:
                nonlocal most
                self.send(bytes(1000), binary=True)
                most = max(most, self._outbox.size)

        ws = Careless()
        channel = Script(kit, frame(TEXT, b"x") * 100, close_frame(1000))
        transport = start(ws, channel, Limits(ping_interval=None, max_outbox=3000))
        await transport.wait_ended()
        assert 100 * 1004 + 4 == len(b"".join(channel.written))
        assert 3000 < most < 4100

    run(scenario)


@both
def test_who_sends_without_end_and_does_not_wait_is_stopped_by_max_unsent(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        class Rash(Recorder):
            def received_message(self, message: Any) -> None:
                while True:
                    self.send(bytes(1000), binary=True)

        ws = Rash()
        channel = Script(kit, frame(TEXT, b"x"))
        transport = start(ws, channel, Limits(ping_interval=None, max_outbox=3000, max_unsent=10_000))
        await transport.wait_ended()
        assert ("closed", 1011) == ws.seen[-1]
        assert [BufferError] == [type(error) for error in ws.errors]
        assert "Limits.max_unsent" in str(ws.errors[0])
        assert 12_000 > len(b"".join(channel.written))

    run(scenario)


@both
def test_an_error_of_an_async_hook_is_1011(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        class Failing(Recorder):
            async def received_message(self, message: Any) -> None:
                await step(kit)
                raise LookupError("lost")

        ws = Failing()
        channel = Script(kit, frame(TEXT, b"x"))
        await start(ws, channel).wait_ended()
        assert ("closed", 1011) == ws.seen[-1]
        assert "lost" in str(ws.errors[0])
        assert b"\x88\x10\x03\xf3Internal error" == channel.written[-1]
        assert [False] == channel.partings

    run(scenario)


@both
def test_a_channel_that_breaks_is_1006(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Recorder()
        await start(ws, Script(kit, ConnectionResetError("reset"))).wait_ended()
        assert ["opened", ("closed", 1006)] == ws.seen
        assert "reset" in str(ws.errors[0])

    run(scenario)


@both
def test_terminate_within_a_hook_ends_it(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        class Terminator(Recorder):
            def received_message(self, message: Any) -> None:
                self.terminate()

        ws = Terminator()
        channel = Script(kit, frame(TEXT, b"x"), frame(TEXT, b"never read"))
        await start(ws, channel).wait_ended()
        assert ["opened", ("closed", 1006)] == ws.seen
        assert [] == channel.partings

    run(scenario)


@both
def test_nothing_is_left_for_the_garbage_collector(run: Callable[[Scenario], None]) -> None:
    async def scenario(kit: Any, start: Any) -> None:
        channels = [
            Script(kit, frame(TEXT, b"x"), close_frame(1000)),
            Script(kit, frame(TEXT, b"x"), ConnectionResetError("reset")),
            Script(kit, frame(TEXT, b"x"), b""),
        ]
        for channel in channels:
            ws = Echo()
            transport = start(ws, channel)
            await transport.wait_ended()
            ws.errors.clear()
            left = weakref.ref(ws), weakref.ref(transport)
            del ws, transport
            for _ in range(3):
                await step(kit)
            assert (None, None) == (left[0](), left[1]())

    gc.collect()
    gc.disable()
    try:
        run(scenario)
    finally:
        gc.enable()


async def step(kit: Any) -> None:
    """Let all others have their turn."""
    if isinstance(kit, asynciokit.AsyncioKit):
        for _ in range(10):
            await asyncio.sleep(0)
    else:
        await trio.testing.wait_all_tasks_blocked()


# Time: on trio alone, where it is an argument


def test_a_peer_that_takes_nothing_is_given_up_after_write_timeout() -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Echo()
        channel = Script(kit, frame(TEXT, b"x"))
        channel.takes = False
        await start(ws, channel, Limits(ping_interval=None, write_timeout=40)).wait_ended()
        assert ("closed", 1006) == ws.seen[-1]

    timed(scenario, 40)


def timed(scenario: Scenario, seconds: float) -> None:
    """Run a scenario on trio, and see how long it takes."""

    async def measured(kit: Any, start: Any) -> None:
        begun = kit.now()
        await scenario(kit, start)
        assert seconds <= kit.now() - begun <= seconds + 0.1

    on_trio(measured)


def test_a_close_that_is_not_answered_ends_after_close_timeout() -> None:
    async def scenario(kit: Any, start: Any) -> None:
        class Closing(Recorder):
            def opened(self) -> None:
                self.close(4000, "enough")

        ws = Closing()
        channel = Script(kit)
        await start(ws, channel, Limits(ping_interval=None, close_timeout=7)).wait_ended()
        assert [("closed", 1006)] == ws.seen
        assert [b"\x88\x08\x0f\xa0enough"] == channel.written
        assert [] == channel.partings

    timed(scenario, 7)


def test_a_close_in_the_middle_is_noticed_at_once() -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Recorder()
        channel = Script(kit)
        transport = start(ws, channel, Limits(ping_interval=1000, ping_timeout=1000, close_timeout=3))
        await trio.sleep(5)
        ws.close()
        await transport.wait_ended()

    timed(scenario, 8)


def test_a_silent_peer_is_pinged_and_given_up() -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Recorder()
        channel = Script(kit)
        transport = start(ws, channel, Limits(ping_interval=20, ping_timeout=15))
        await transport.wait_ended()
        assert 0x89 == channel.written[0][0]
        assert ("closed", 1006) == ws.seen[-1]
        assert transport.ending is not None
        assert "silent for 15 s" in str(transport.ending.reason)

    timed(scenario, 35)


def test_a_peer_is_not_blamed_for_a_silence_that_nobody_listened_to() -> None:
    async def scenario(kit: Any, start: Any) -> None:
        class Slow(Recorder):
            async def received_message(self, message: Any) -> None:
                await trio.sleep(300)
                self.seen.append("woke up")

        ws = Slow()
        channel = Script(kit, frame(TEXT, b"x"), close_frame(1000))
        await start(ws, channel, Limits(ping_interval=20, ping_timeout=15)).wait_ended()
        assert ["opened", "woke up", ("closed", 1000)] == ws.seen

    timed(scenario, 300)


def test_a_heartbeat_beats() -> None:
    async def scenario(kit: Any, start: Any) -> None:
        ws = Recorder()
        ws._keepalive.beat = 3
        channel = Script(kit)
        transport = start(ws, channel)
        await trio.sleep(10)
        channel.change(b"")
        await transport.wait_ended()
        assert [b"\x8a\x04beep"] * 3 == channel.written

    timed(scenario, 10)


def test_a_peer_that_does_not_hang_up_is_left_after_a_while() -> None:
    async def scenario(kit: Any, start: Any) -> None:
        channel = Script(kit, close_frame(1000))
        channel.endless_parting = True
        await start(Recorder(), channel).wait_ended()
        assert channel.is_cut

    timed(scenario, 2)


def test_a_last_frame_that_is_not_taken_is_dropped_after_close_timeout() -> None:
    async def scenario(kit: Any, start: Any) -> None:
        class Reluctant(Recorder):
            def opened(self) -> None:
                channel.takes = False

        channel = Script(kit, close_frame(1000))
        await start(Reluctant(), channel, Limits(ping_interval=None, close_timeout=5, write_timeout=100)).wait_ended()
        assert [] == channel.partings

    timed(scenario, 5)


# Cancellation


def cancelled(ws: Recorder, *reads: bytes, takes: bool = True) -> Script:
    """Serve, and cancel that after a second; return the channel."""
    channels = []

    async def main() -> None:
        with trio.move_on_after(1):
            async with trio_.open_kit() as kit:
                channel = Script(kit, *reads)
                channel.takes = takes
                channels.append(channel)
                await make(ws, channel, QUIET, kit).run()
        assert 1 <= trio.current_time() - begun <= 4

    async def timed_main() -> None:
        nonlocal begun
        begun = trio.current_time()
        await main()

    begun = 0.0
    trio.run(timed_main, clock=trio.testing.MockClock(autojump_threshold=0))
    return channels[0]


def test_a_cancelled_connection_is_told_1001_and_closed_once() -> None:
    ws = Recorder()
    channel = cancelled(ws, frame(TEXT, b"x"))
    assert [b"\x88\x02\x03\xe9"] == channel.written
    assert ["opened", b"x", ("closed", 1006)] == ws.seen
    assert channel.is_cut


def test_a_cancelled_hook_is_interrupted_and_closed_is_awaited() -> None:
    class Slow(Recorder):
        async def received_message(self, message: Any) -> None:
            try:
                await trio.sleep(100)
            finally:
                self.seen.append("interrupted")

        async def closed(self, code: int, reason: Any = None) -> None:
            await trio.sleep(0.5)
            self.seen.append(("closed", code))

    ws = Slow()
    assert [b"\x88\x02\x03\xe9"] == cancelled(ws, frame(TEXT, b"x")).written
    assert ["opened", "interrupted", ("closed", 1006)] == ws.seen


def test_nothing_is_said_behind_half_a_frame() -> None:
    ws = Echo()
    channel = cancelled(ws, frame(TEXT, b"x"), takes=False)
    assert [] == channel.written
    assert ["opened", b"x", ("closed", 1006)] == ws.seen


def test_an_async_closed_that_never_ends_is_not_waited_for() -> None:
    class Stuck(Recorder):
        async def closed(self, code: int, reason: Any = None) -> None:
            self.seen.append(("closed", code))
            await trio.sleep_forever()

    ws = Stuck()
    cancelled(ws)
    assert ["opened", ("closed", 1006)] == ws.seen


def test_cancellation_on_asyncio_is_the_same() -> None:
    class AsyncClosed(Recorder):
        async def closed(self, code: int, reason: Any = None) -> None:
            await asyncio.sleep(0)
            self.seen.append(("closed", code))

    async def main() -> None:
        async with asynciokit.open_kit() as kit:
            channel = Script(kit)
            ws = AsyncClosed()
            task = asyncio.ensure_future(make(ws, channel, QUIET, kit).run())
            while not ws.seen:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert ["opened", ("closed", 1006)] == ws.seen
            assert [b"\x88\x02\x03\xe9"] == channel.written

    asyncio.run(main())


def test_a_scope_of_asyncio_lets_a_foreign_cancellation_through() -> None:
    async def main() -> None:
        kit = asynciokit.AsyncioKit()

        async def inside(scope: asynciokit.AsyncioScope) -> str:
            with scope:
                await asyncio.Event().wait()
            return "interrupted"

        scope = kit.scope()
        task = asyncio.ensure_future(inside(scope))
        await asyncio.sleep(0)
        scope.cancel()
        scope.cancel()
        assert "interrupted" == await task
        task = asyncio.ensure_future(inside(kit.scope()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        kit.scope().cancel()  # before it is entered: nothing happens

    asyncio.run(main())

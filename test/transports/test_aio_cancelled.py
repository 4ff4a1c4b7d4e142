"""The asyncio transport, when its task is cancelled or the program ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .fake_transport import Spy, Waiter, adopt, text, turns
from .peers import frame

MIB = 1024 * 1024
WAIT = 60.0


# Cancellation and other catastrophes


def test_a_task_that_is_cancelled_in_a_hook_says_1001_and_calls_closed(run: Any) -> None:
    async def main() -> None:
        ws = Waiter()
        transport, carrier = adopt(ws)
        transport.message("a")
        await turns()
        carrier.cancel()
        await carrier.wait_gone()
        assert ["<a", 1006] == ws.seen
        assert frame(8, b"\x03\xe9", mask=False) == transport.sent

    run(main)


def test_a_task_that_is_cancelled_between_messages_does_so_too(run: Any) -> None:
    async def main() -> None:
        ws = Waiter()
        ws.gate.set()
        transport, carrier = adopt(ws)
        transport.message("a")
        await turns()
        carrier.cancel()
        await carrier.wait_gone()
        assert ["<a", "a>", 1006] == ws.seen
        assert frame(8, b"\x03\xe9", mask=False) == transport.sent
        assert transport.aborted

    run(main)


def test_a_task_that_is_cancelled_in_closed_ends(run: Any) -> None:
    class Slow(Spy):
        async def closed(self, code: int, reason: Any = None) -> None:
            self.seen.append(code)
            await asyncio.Event().wait()

    async def main() -> None:
        ws = Slow()
        transport, carrier = adopt(ws)
        transport.lose()
        await turns()
        carrier.cancel()
        await carrier.wait_gone()
        assert [1006] == ws.seen

    run(main)


def test_the_end_of_the_program_cancels_hooks(run: Any) -> None:
    seen: list[Any] = []

    async def main() -> None:
        ws = Waiter()
        ws.seen = seen
        transport, _ = adopt(ws)
        transport.message("a")
        await turns()

    run(main)
    assert ["<a", 1006] == seen


def test_a_hook_that_awaits_what_was_cancelled_fails(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Hasty(Spy):
        async def received_message(self, message: Any) -> None:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    async def main() -> None:
        ws = Hasty()
        transport, carrier = adopt(ws)
        transport.message("a")
        await carrier.wait_ended()
        assert [1011] == ws.seen
        transport.lose()

    run(main)
    assert ["Hasty failed"] == [entry.getMessage() for entry in caplog.records]


def test_a_timeout_in_a_hook_is_the_hooks_own(run: Any) -> None:
    class Patient(Spy):
        async def received_message(self, message: Any) -> None:
            try:
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()
            except TimeoutError:
                await self.send("too late")

    async def main() -> None:
        ws = Patient()
        transport, _ = adopt(ws)
        transport.message("a")
        while not transport.sent:
            await asyncio.sleep(0)
        assert text("too late") == transport.sent
        transport.lose()

    run(main)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_keyboard_interrupt_in_a_hook_gets_through(is_async: bool) -> None:
    seen: list[Any] = []

    class Interrupted(Spy):
        def received_message(self, message: Any) -> Any:
            if not is_async:
                raise KeyboardInterrupt
            return self.later()

        async def later(self) -> None:
            raise KeyboardInterrupt

    async def main() -> None:
        ws = Interrupted()
        ws.seen = seen
        transport, _ = adopt(ws)
        transport.message("a")
        await turns()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert [1006] == seen

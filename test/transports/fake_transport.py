"""An asyncio transport that does nothing by itself: what is written waits until the test takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ws4py_ng.limits import Limits
from ws4py_ng.transports.aio import AsyncioTransport
from ws4py_ng.websocket import WebSocket

from .peers import frame

__all__ = ["FakeTransport", "Spy", "Waiter", "adopt", "text", "turns"]


async def turns(number: int = 10) -> None:
    """Let the loop run so many turns: enough for whatever does not wait for the world."""
    for _ in range(number):
        await asyncio.sleep(0)


class FakeTransport(asyncio.Transport):
    """Keep what is written; ``stuck`` is a peer that takes nothing."""

    def __init__(self, *, stuck: bool = False, tls: bool = False) -> None:
        super().__init__()
        self.stuck = stuck
        self.tls = tls
        self.writes: list[bytes] = []
        self.waiting = 0
        self.reading = True
        self.closing = False
        self.aborted = False
        self.ended = False
        self.protocol: Any = None
        self._high = 64 * 1024
        self._paused = False

    @property
    def sent(self) -> bytes:
        """All that was written."""
        return b"".join(self.writes)

    def feed(self, data: bytes) -> None:
        """Let bytes come, as many at once as the protocol takes."""
        while data:
            assert self.reading, "bytes for a transport whose reading is paused"
            buffer = self.protocol.get_buffer(-1)
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            data = data[size:]
            self.protocol.buffer_updated(size)

    def message(self, *texts: str) -> None:
        """Let text messages come."""
        self.feed(b"".join(frame(1, text.encode(), mask=True) for text in texts))

    def take(self) -> None:
        """Let the peer take what waits."""
        self.waiting = 0
        if self._paused:
            self._paused = False
            self.protocol.resume_writing()

    def lose(self, error: Exception | None = None) -> None:
        """Lose the connection."""
        self.closing = True
        self.protocol.connection_lost(error)

    # What asyncio's transports have

    def write(self, data: Any) -> None:
        assert not self.ended
        self.writes.append(bytes(data))
        if self.stuck:
            self.waiting += len(data)
            if self.waiting > self._high and not self._paused:
                self._paused = True
                self.protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or self._high

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return not self.tls

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_reading(self) -> bool:
        return self.reading

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return True if name == "sslcontext" and self.tls else default


def adopt(
    ws: WebSocket, *, stuck: bool = False, tls: bool = False, **limits: Any
) -> tuple[FakeTransport, AsyncioTransport]:
    """Let a WebSocket have a transport, in the running loop."""
    bounds = Limits(**{"ping_interval": None, "write_timeout": None, **limits})
    ws._configure(bounds)
    carrier = AsyncioTransport(ws, bounds)
    ws._attach(carrier)
    transport = FakeTransport(stuck=stuck, tls=tls)
    carrier.take_over(transport)
    return transport, carrier


class Spy(WebSocket):
    """Keep what the hooks saw."""

    def __init__(self) -> None:
        super().__init__(None)
        self.seen: list[Any] = []

    def received_message(self, message: Any) -> Any:
        self.seen.append(str(message))

    def closed(self, code: int, reason: Any = None) -> Any:
        self.seen.append(code)


class Waiter(Spy):
    """Wait in `received_message` until the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def received_message(self, message: Any) -> None:
        self.seen.append(f"<{message}")
        await self.gate.wait()
        self.seen.append(f"{message}>")

    async def closed(self, code: int, reason: Any = None) -> None:
        await asyncio.sleep(0)
        self.seen.append(code)


def text(payload: str) -> bytes:
    """Make the frame of a short message of ours."""
    return frame(1, payload.encode(), mask=False)

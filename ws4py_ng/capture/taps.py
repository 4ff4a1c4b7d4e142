"""Where bytes come in and go out of each kind of driver: there a tap is put on, if one is wanted.

They know the drivers' interfaces by shape and import none of them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from .._core import encode_frame
from ..codes import ABNORMAL_CLOSURE, BINARY, CLOSE, NO_STATUS_RECEIVED, TEXT
from .untapped import AnyTap

__all__ = ["TappedProtocol", "tap_awaited", "tap_channel", "tap_events", "tap_protocol", "tap_transport"]


# Threads, greenlets, managers: a channel that blocks


def tap_channel(channel: Any, tap: AnyTap) -> None:
    """Let a `PlainChannel`, or one of its kind, record; ends the tap when it is closed.

    The object stays the same, as others hold it already, and becomes one of a class that records.
    """
    if tap and channel is not None and not hasattr(channel, "_tap"):
        channel.__class__ = _tapped(cast("Any", type(channel)))
        channel._tap = tap


@cache
def _tapped(base: Any) -> Any:
    class Tapped(base):  # type: ignore[misc]
        def recv(self, size: int) -> bytes:
            try:
                data: bytes = super().recv(size)
            except (TimeoutError, InterruptedError):
                raise
            except OSError as error:
                self._tap.failed(error)
                raise
            self._tap.received(data)
            return data

        def recv_now(self, size: int) -> bytes | None:
            try:
                data: bytes | None = super().recv_now(size)
            except OSError as error:
                self._tap.failed(error)
                raise
            if data is not None:
                self._tap.received(data)
            return data

        def send(self, pieces: list[bytes]) -> None:
            # Before it is sent: else an answer could come first in the capture.
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._tap.sent(data)
            try:
                super().send([data])
            except OSError as error:
                self._tap.failed(error)
                raise

        def send_now(self, piece: memoryview) -> int:
            # How much of it is sent is not known before.
            try:
                sent: int = super().send_now(piece)
            except OSError as error:
                self._tap.failed(error)
                raise
            self._tap.sent(bytes(piece[:sent]))
            return sent

        def _shut(self, how: int) -> None:
            if how != socket.SHUT_RD:
                self._tap.ended()
            super()._shut(how)

        def close(self) -> None:
            super().close()
            self._tap.close()

    return Tapped


# asyncio: a protocol, and the transport that it writes to


def tap_protocol(protocol: Any, open_tap: Callable[[Any], AnyTap]) -> Any:
    """Put a tap between an asyncio transport and a protocol, from its first byte on.

    ``open_tap`` is called with the transport when that is made.
    """
    return TappedProtocol(protocol, open_tap)


def tap_transport(transport: Any, tap: AnyTap) -> Any:
    """Return a transport that records, and whose next protocol is told what comes by one that records."""
    if not tap:
        return transport
    protocol = TappedProtocol(None, lambda _: tap)
    protocol.tap = tap
    return _TappedTransport(transport, protocol)


class TappedProtocol(asyncio.BufferedProtocol):
    """Hand on what the loop calls, to the protocol that has the transport at the time."""

    def __init__(self, protocol: Any, open_tap: Callable[[Any], AnyTap]) -> None:
        self.inner = protocol
        self._open_tap = open_tap
        self._view: Any = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self.tap = self._open_tap(transport)
        self.inner.connection_made(_TappedTransport(transport, self))

    def get_buffer(self, sizehint: int) -> Any:
        """See asyncio."""
        self._view = self.inner.get_buffer(sizehint)
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        self.tap.received(memoryview(self._view)[:nbytes])
        self.inner.buffer_updated(nbytes)

    def eof_received(self) -> Any:
        """See asyncio."""
        self.tap.received(b"")
        return self.inner.eof_received()

    def pause_writing(self) -> None:
        """See asyncio."""
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio."""
        self.inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio."""
        if error is not None:
            self.tap.failed(error)
        self.tap.close()
        self.inner.connection_lost(error)


class _TappedTransport:
    """Be an asyncio transport that records what is written."""

    def __init__(self, transport: Any, protocol: TappedProtocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._tap = protocol.tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def set_protocol(self, protocol: Any) -> None:
        self._protocol.inner = protocol
        self._transport.set_protocol(self._protocol)

    def get_protocol(self) -> Any:
        return self._protocol.inner

    def write_eof(self) -> None:
        self._tap.ended()
        self._transport.write_eof()

    def close(self) -> None:
        self._tap.ended()
        self._transport.close()

    def abort(self) -> None:
        self._tap.ended()
        self._transport.abort()

    def write(self, data: Any) -> None:
        self._tap.sent(data)
        self._transport.write(data)

    def writelines(self, pieces: list[Any]) -> None:
        data = b"".join(pieces)
        self._tap.sent(data)
        self._transport.write(data)


# trio, tornado: a channel that is awaited


def tap_awaited(channel: Any, tap: AnyTap) -> None:
    """Let a `transports.kits.Channel` record; ends the tap when it is cut off, as `tap_channel` does."""
    if tap:
        channel.__class__ = _awaited(cast("Any", type(channel)))
        channel._tap = tap


@cache
def _awaited(base: Any) -> Any:
    class Tapped(base):  # type: ignore[misc]
        async def read(self, size: int) -> Any:
            try:
                data = await super().read(size)
            except OSError as error:
                self._tap.failed(error)
                raise
            self._tap.received(bytes(data))
            return data

        async def write(self, pieces: list[Any], moved: Callable[[], object]) -> None:
            self._tap.sent(b"".join(pieces))
            try:
                await super().write(pieces, moved)
            except OSError as error:
                self._tap.failed(error)
                raise

        async def hang_up(self, heard_out: bool) -> None:
            self._tap.ended()
            await super().hang_up(heard_out)

        def cut_off(self) -> None:
            super().cut_off()
            self._tap.close()

    return Tapped


# ASGI: messages, whose frames the host keeps to itself


def tap_events(channel: Any, tap: AnyTap) -> None:
    """Let a `transports.messages.HostChannel` record the frames that its events would be, as `tap_awaited` does."""
    if tap:
        channel.__class__ = _events(cast("Any", type(channel)))
        channel._tap = tap


@cache
def _events(base: Any) -> Any:
    class Tapped(base):  # type: ignore[misc]
        async def read(self, size: int) -> Any:
            event = await super().read(size)
            frame = frame_of(event, masked=True)
            if frame:
                self._tap.received(frame)
            if event["type"] == "websocket.disconnect":
                self._tap.received(b"")
            return event

        async def write(self, pieces: list[Any], moved: Callable[[], object]) -> None:
            for event in pieces:
                self._tap.sent(frame_of(event, masked=False))
            try:
                await super().write(pieces, moved)
            except OSError as error:
                self._tap.failed(error)
                raise

        def cut_off(self) -> None:
            super().cut_off()
            self._tap.close()

    return Tapped


def frame_of(event: dict[str, Any], *, masked: bool) -> bytes:
    """Build the frame that an event of ASGI stands for; a mask is of zeros."""
    kind = event["type"]
    if kind in ("websocket.close", "websocket.disconnect"):
        code = event.get("code") or NO_STATUS_RECEIVED
        if code == ABNORMAL_CLOSURE:
            return b""
        opcode = CLOSE
        payload = b"" if code == NO_STATUS_RECEIVED else code.to_bytes(2, "big") + _utf8(event.get("reason"))
    elif event.get("text") is not None:
        opcode, payload = TEXT, _utf8(event["text"])
    else:
        opcode, payload = BINARY, bytes(event.get("bytes") or b"")
    frame: bytes = encode_frame(0x80 | opcode, payload, bytes(4) if masked else None)
    return frame


def _utf8(text: str | None) -> bytes:
    return (text or "").encode("utf-8")

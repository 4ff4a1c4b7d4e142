"""Where bytes come in and go out of each kind of driver: there a tap is put on, if one is wanted.

They know the drivers' interfaces by shape and import none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from .tap import AnyTap

__all__ = ["TappedProtocol", "tap_awaited", "tap_channel", "tap_protocol"]


# Threads, greenlets, managers: a channel that blocks


def tap_channel(channel: Any, tap: AnyTap) -> None:
    """Let a `PlainChannel`, or one of its kind, record; ends the tap when it is closed.

    The object stays the same, as others hold it already, and becomes one of a class that records.
    """
    if tap:
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

        def send(self, pieces: list[bytes]) -> None:
            # Before it is sent: else an answer could come first in the capture.
            self._tap.sent(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            try:
                super().send(pieces)
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
        self.tap.received(bytes(self._view[:nbytes]))
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

    def get_protocol(self) -> Any:
        return self._protocol.inner

    def write(self, data: Any) -> None:
        self._tap.sent(bytes(data))
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

        def cut_off(self) -> None:
            super().cut_off()
            self._tap.close()

    return Tapped

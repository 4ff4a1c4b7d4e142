"""What the clients of trio and tornado have in common: a handshake over a `Channel`, and no socket."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..capture.taps import tap_awaited
from ..states import Event
from ..transports.kits import Channel, Kit
from ..transports.pulling import PullTransport
from .base import ClientBase

__all__ = ["PulledClient"]

HEAD_READ_SIZE = 4096


class PulledClient(ClientBase):
    """Be the base of a client whose library connects, and is asked for bytes."""

    _strict = True
    _carrier = ""  # as a capture names it

    async def _shake_hands(self, channel: Channel, agreeing: Generator[int, Any, bytes]) -> None:
        """Shake hands, and take over what was agreed, by what `_agreeing` has returned."""
        if self._recorder is not None:
            address = getattr(channel, "address", lambda method: None)
            tap = self._open_tap(self._carrier, address("getsockname"), address("getpeername"))
            tap_awaited(channel, tap)
        await channel.write([self.handshake_request], lambda: None)
        try:
            next(agreeing)
            while True:
                try:
                    data = await channel.read(HEAD_READ_SIZE)
                except OSError as error:
                    agreeing.throw(error)
                else:
                    agreeing.send(data)
        except StopIteration as stop:
            self._call_off = None
            self._check_wanted()
            if stop.value:
                self._stream._reader.feed(stop.value)

    def _begin_transport(self, kit: Kit, channel: Channel) -> PullTransport:
        """Let the connection be driven: what is sent from now on goes out."""
        transport = PullTransport(self, self._limits, kit, channel, self._release)
        self._attach(transport)
        self._advance(Event.OPENED)
        if self._cut_off:  # between the handshake and this
            transport.cut_off()
        return transport

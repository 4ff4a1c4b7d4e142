"""What the clients of trio and tornado have in common: a handshake over a `Channel`, and no socket."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import suppress
from typing import Any

from ..handshake import Response, receive_body, receive_response
from ..states import Event, State
from ..transports.kits import Channel, Kit
from ..transports.pulling import PullTransport
from . import WebSocketBaseClient
from .tls import client_context

__all__ = ["PulledClient"]

HEAD_READ_SIZE = 4096


class PulledClient(WebSocketBaseClient):
    """Be the base of a client whose library connects, and is asked for bytes."""

    _strict = True

    def _resolve(self) -> list[tuple[Any, Any, Any]]:
        """Leave it to the library: this would block."""
        return []

    def _first_socket(self) -> Any:
        return None

    def _tls(self) -> tuple[ssl.SSLContext, str] | None:
        """Return the context and the server's name; None where there is no TLS."""
        if not self._uri.secure:
            return None
        context = self._ssl_context or client_context(self.ssl_options)
        self._is_secure = True
        return context, str(self.ssl_options.get("server_hostname", self.host))

    def _check_fresh(self) -> None:
        if self._connector is not None or self._state is not State.CONNECTING:
            raise RuntimeError("A client connects once: make another one to connect again")
        self._connector = 0

    def _too_late(self) -> TimeoutError:
        timeout = self._limits.open_timeout
        return TimeoutError(f"{self._place} did not answer within {timeout:g} s (Limits.open_timeout)")

    async def _shake_hands(self, channel: Channel) -> None:
        """Shake hands, and take over what was agreed."""
        handshake = self._handshake()
        await channel.write([handshake.request().to_bytes()], lambda: None)
        response, leftover = await _receive(receive_response(self._limits), channel)
        if response.status != 101:
            with suppress(OSError):
                body = await _receive(receive_body(response, leftover), channel)
                response = Response(response.status, response.headers, response.reason, body, response.version)
        agreement = handshake.check(response)
        self.process_response_line(f"{response.version} {response.status_text}".encode("latin-1"))
        lines = b"\r\n".join(f"{name}: {value}".encode("latin-1") for name, value in agreement.headers.items())
        self.protocols, self.extensions = self.process_handshake_header(lines)
        self._configure(self._limits, agreement.extensions)
        self._keepalive.beat = self.heartbeat_freq
        if leftover:
            self._stream._reader.feed(leftover)

    def _begin_transport(self, kit: Kit, channel: Channel) -> PullTransport:
        """Let the connection be driven: what is sent from now on goes out."""
        transport = PullTransport(self, self._limits, kit, channel, self._release)
        self._attach(transport)
        self._advance(Event.OPENED)
        return transport


async def _receive(reading: Generator[int, Any, Any], channel: Channel) -> Any:
    """Drive one of the handshake's generators."""
    try:
        next(reading)
        while True:
            reading.send(await channel.read(HEAD_READ_SIZE))
    except StopIteration as stop:
        return stop.value

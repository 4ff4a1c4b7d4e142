"""One accepted connection of the asyncio server: the request head, the answer, the handing over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from inspect import isawaitable
from typing import Any

from ..capture.taps import tap_protocol
from ..capture.untapped import AnyTap
from ..exc import HandshakeError
from ..handshake import Accepted, Request, Response, receive_request, refuse
from ..transports.aio import AsyncioTransport
from ..transports.fastnet import reads_ahead
from ..transports.parting import Parting, read_buffer
from ..websocket import WebSocket
from .acceptor import Acceptor, environ_of
from .answers import checked, failure, plain
from .asynciopatience import Patience

__all__ = ["ProcessRequest", "Visitor"]

logger = logging.getLogger("ws4py_ng")

# Its answer, None to go on with the WebSocket, may be awaited.
ProcessRequest = Callable[[Request], Response | Awaitable[Response | None] | None]

# A head is read in small pieces, as what comes behind it has to be dealt with in one turn.
HEAD_PIECE = 4096


class Visitor(asyncio.BufferedProtocol):
    """Read the request and answer it; then a WebSocket has the transport.

    ``refusal`` turns the peer away at once, ``admit`` may by a HandshakeError, where there
    is nothing else against a WebSocket. ``on_adopted`` is called with the WebSocket and its
    transport before `opened` is; ``on_settled`` when a refusal was sent, ``on_gone`` when there is
    nothing left to do here.
    """

    def __init__(
        self,
        acceptor: Acceptor,
        patience: Patience,
        process_request: ProcessRequest | None = None,
        refusal: HandshakeError | None = None,
        admit: Callable[[], object] | None = None,
    ) -> None:
        self._acceptor = acceptor
        self._patience = patience
        self._process_request = process_request
        self._refusal = refusal
        self._admit = admit
        self.on_adopted: Callable[[WebSocket, AsyncioTransport], object] | None = None
        self.on_settled: Callable[[Visitor], object] | None = None
        self.on_gone: Callable[[Visitor], object] | None = None
        self.ws: WebSocket | None = None
        self._reading: Generator[int, Any, tuple[Request, bytes]] = receive_request(acceptor.limits)
        self._view = read_buffer(asyncio.get_running_loop(), HEAD_PIECE)
        self._transport: Any = None
        self._parting: Parting | None = None
        self._heard = False
        self._settled = False
        self._deciding: asyncio.Future[Response | None] | None = None
        self._early = b""  # it came while the application decided
        next(self._reading)

    # What the loop calls

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the request, for a bounded time."""
        self._transport = transport
        if self._refusal is not None:
            self.refuse(self._refusal)
            return
        self._patience.wait_for(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Let the loop read into the buffer that all connections share."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Read on; at the end of the head, shake hands."""
        self._heard = True
        self._read(self._view[:nbytes].tobytes())

    def eof_received(self) -> bool:
        """Refuse a request that was cut off; who left without a byte gets no answer."""
        self._read(b"")
        return self._transport is not None and self._transport.can_write_eof() is True

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self._settle()
        self._transport = None
        self._go()

    def open_tap(self, transport: Any) -> AnyTap:
        """Begin to record the connection, before `connection_made`."""
        local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        secure = transport.get_extra_info("sslcontext") is not None
        return self._acceptor.tap("asyncio", local, peer, secure=secure)

    @property
    def protocol(self) -> asyncio.BufferedProtocol:
        """What the loop is to call: this, or what records it as well."""
        protocol: asyncio.BufferedProtocol = self
        if self._acceptor.captures:
            protocol = tap_protocol(self, self.open_tap)
        return protocol

    def connection_failed(self) -> None:
        """Forget a connection that came to nothing before it was made."""
        self._settle()
        self._go()

    # The request

    def _read(self, data: bytes) -> None:
        if self._settled:
            return
        if self._deciding is not None:
            self._early += data
            return
        try:
            self._reading.send(data)
        except StopIteration as stop:
            request, leftover = stop.value
            self._decide(request, leftover)
        except HandshakeError as error:
            self.refuse(error)

    def _settle(self) -> None:
        self._settled = True
        self._patience.forget(self)
        if self._deciding is not None and self._deciding is not _running_task():
            self._deciding.cancel()
        self._deciding = None

    def too_late(self) -> None:
        """Refuse who has not sent a whole request in time."""
        # Browsers open connections that they may not need: those get no answer.
        self.refuse(HandshakeError("No whole request in time (Limits.open_timeout)", 408 if self._heard else None))

    def _decide(self, request: Request, leftover: bytes) -> None:
        """Ask the application, which may take its time, and answer."""
        answer: Any = None
        if self._process_request is not None:
            try:
                answer = self._process_request(request)
            except Exception as error:  # noqa: BLE001 - what the application raises is its own bug
                self._answer(failure(error, request), request.method)
        if answer is not None and isawaitable(answer):
            # Nothing is read meanwhile, and ``open_timeout`` goes on.
            if reads_ahead(self._transport):
                asyncio.get_running_loop().call_soon(self._pause)
            else:
                self._transport.pause_reading()
            # Not a coroutine of ours that awaits it: cancelled before its first step, that would never begin it.
            self._deciding = asyncio.ensure_future(answer)
            self._deciding.add_done_callback(partial(self._decided, request, leftover))
        elif not self._settled:
            self._go_on(answer, request, leftover)

    def _pause(self) -> None:
        if self._deciding is not None and self._transport is not None:
            self._transport.pause_reading()

    def _decided(self, request: Request, leftover: bytes, decision: asyncio.Future[Response | None]) -> None:
        if decision.cancelled() or self._settled:
            return
        error = decision.exception()
        if error is not None:
            self._answer(failure(error, request), request.method)
        elif self._transport is not None:
            self._transport.resume_reading()
            self._go_on(decision.result(), request, leftover + self._early)

    def _go_on(self, answer: object, request: Request, leftover: bytes) -> None:
        found = None
        try:
            if answer is None:
                found = self._ask(request)
            else:
                response = checked(answer)
        except Exception as error:  # noqa: BLE001
            response = failure(error, request)
        if found is None:
            self._answer(response, request.method)
            return
        accepted, ws = found
        self._settle()
        transport, self._transport = self._transport, None
        transport.write(accepted.response.to_bytes())
        self._made(ws)
        carrier = AsyncioTransport(ws, self._acceptor.limits)
        ws._attach(carrier)
        if self.on_adopted is not None:
            self.on_adopted(ws, carrier)
        self._go()
        carrier.take_over(transport, leftover)

    def _made(self, ws: WebSocket) -> None:
        self.ws = ws

    def _go(self) -> None:
        on_gone, self.on_gone = self.on_gone, None
        self.on_settled = self.on_adopted = None
        if on_gone is not None:
            on_gone(self)

    def _ask(self, request: Request) -> tuple[Accepted, WebSocket]:
        handler, accepted = self._acceptor.accept(request)
        if self._admit is not None:
            self._admit()
        transport = self._transport
        scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
        local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        ws = self._acceptor.make(handler, accepted, None, environ_of(request, scheme, local, peer))
        ws._local_address, ws._peer_address = _address(local), _address(peer)
        return accepted, ws

    # Answers

    def refuse(self, error: HandshakeError) -> None:
        """Answer what refuses the handshake, without waiting for the request, and hang up."""
        logger.debug("Refused a WebSocket: %s", error)
        self._answer(None if error.status is None else refuse(error))

    def _answer(self, response: Response | None, method: str = "GET") -> None:
        if self._settled or self._transport is None:
            return
        self._settle()
        if response is None or self._transport.is_closing():
            self._transport.abort()
            return
        transport, self._transport = self._transport, None
        transport.write(plain(response, method).to_bytes())
        self._parting = Parting(transport, heard_out=False, patience=None, on_gone=self._go)
        if self.on_settled is not None:
            self.on_settled(self)

    def cut_off(self) -> None:
        """End the connection as it is."""
        if self._parting is not None:
            self._parting.cut_off()
        elif self._transport is not None:
            self._transport.abort()


def _running_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _address(address: Any) -> Any:
    return address[:2] if isinstance(address, tuple) else address

"""One accepted socket in a thread: TLS, the request head, the answer, the WebSocket."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from ..capture.untapped import NO_TAP
from ..codes import DRAIN_REASON, GOING_AWAY
from ..exc import HandshakeError
from ..handshake import Accepted, Request, Response, receive_request, refuse
from ..transports.blocking import check_hooks
from ..transports.channels import open_channel
from ..websocket import WebSocket
from .acceptor import Acceptor, environ_of
from .answers import checked, draining, failure, plain

__all__ = ["ProcessRequest", "Visitor"]

logger = logging.getLogger("ws4py_ng")

# How long a plain answer is given to be read before the socket is closed.
LINGER = 1.0

ProcessRequest = Callable[[Request], Response | None]


class Visitor:
    """Serve one connection, from its first byte to its last, by `run`.

    ``admit`` may refuse it by a HandshakeError, where there is nothing else against a WebSocket.
    """

    def __init__(
        self,
        sock: socket.socket,
        acceptor: Acceptor,
        ssl_context: ssl.SSLContext | None = None,
        process_request: ProcessRequest | None = None,
        admit: Callable[[Visitor], object] = lambda visitor: None,
    ) -> None:
        self._channel = open_channel(sock)
        self._acceptor = acceptor
        self._ssl_context = ssl_context
        self._process_request = process_request
        self._admit = admit
        self._ws: WebSocket | None = None
        self._leaving = False
        self._tap = NO_TAP
        self._thread: threading.Thread | None = None

    @property
    def is_here(self) -> bool:
        """Whether the running thread is the one that serves this connection."""
        return self._thread is threading.current_thread() or getattr(self._ws, "_is_here", False)

    def run(self) -> None:
        """Shake hands and serve; whatever goes wrong ends here."""
        self._thread = threading.current_thread()
        try:
            timeout = self._acceptor.limits.open_timeout
            self._open(None if timeout is None else monotonic() + timeout)
            if self._ws is not None:
                if self._leaving:
                    self._ws.close(GOING_AWAY, DRAIN_REASON)
                self._ws.run()
        except OSError as error:
            self._tap.failed(error)
            logger.debug("No WebSocket: %s", error)
        except Exception:
            logger.exception("A connection failed")
        finally:
            if self._ws is None:
                self._channel.close()
            else:
                self._ws.close_connection()
            self._tap.close()

    def leave(self) -> None:
        """Close the WebSocket with 1001, or what has not become one yet."""
        self._leaving = True
        if self._ws is not None:
            self._ws.close(GOING_AWAY, DRAIN_REASON)
        else:
            self._channel.stop_reading()

    def cut_off(self) -> None:
        """End the connection as it is; its thread then closes the socket."""
        ws = self._ws
        channel = self._channel if ws is None else getattr(ws._transport, "channel", None)
        if channel is not None:
            channel.cut()

    def turn_away(self, error: HandshakeError) -> socket.socket:
        """Refuse without reading, and without ever blocking; return the socket, to be read to
        its end and closed."""
        sock: socket.socket = self._channel.sock
        sock.setblocking(False)
        with suppress(OSError):
            if self._ssl_context is None:
                sock.send(refuse(error).to_bytes())
            sock.shutdown(socket.SHUT_WR)
        return sock

    def _open(self, deadline: float | None) -> None:
        sock = self._channel.sock
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _set_timeout(sock, deadline)
        if self._ssl_context is not None:
            # Python forgets to close what it makes of a socket whose peer has left (3.11 to 3.14).
            sock.getpeername()
            sock = self._ssl_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self._channel = open_channel(sock)
            if self._leaving:
                return
            sock.do_handshake()
        acceptor, secure = self._acceptor, self._ssl_context is not None
        if acceptor.captures:
            self._tap = acceptor.tap("threads", sock.getsockname(), sock.getpeername(), secure=secure)
        try:
            self._shake_hands(deadline)
        except HandshakeError as error:
            logger.debug("Refused a WebSocket: %s", error)
            if error.status is not None:
                self._answer(refuse(error))

    def _shake_hands(self, deadline: float | None) -> None:
        request, leftover = self._receive_request(deadline)
        sock = self._channel.sock
        addresses = sock.getsockname(), sock.getpeername()
        chosen = self._decide(request, *addresses)
        if self._leaving:
            raise draining()
        if isinstance(chosen, Response):
            self._answer(chosen, request.method)
            return
        accepted, ws = chosen
        self._tap.sent(response := accepted.response.to_bytes())
        sock.sendall(response)
        ws._record(self._tap)
        if leftover:
            ws._stream._reader.feed(leftover)
        self._ws = ws

    def _decide(self, request: Request, local: Any, peer: Any) -> Response | tuple[Accepted, WebSocket]:
        """Ask the application. What it raises is its own bug, an OSError as well."""
        try:
            answer = self._process_request(request) if self._process_request is not None else None
            if answer is not None:
                return checked(answer)
            handler, accepted = self._acceptor.accept(request)
            self._admit(self)
            environ = environ_of(request, "https" if self._ssl_context is not None else "http", local, peer)
            ws = self._acceptor.make(handler, accepted, self._channel.sock, environ)
            check_hooks(ws)
            return accepted, ws
        except Exception as error:  # noqa: BLE001
            return failure(error, request)

    def _receive_request(self, deadline: float | None) -> tuple[Request, bytes]:
        reading = receive_request(self._acceptor.limits)
        next(reading)
        heard = False
        try:
            while True:
                _set_timeout(self._channel.sock, deadline)
                data = self._channel.sock.recv(4096)
                self._tap.received(data)
                if not data and self._leaving:
                    raise draining()
                reading.send(data)
                heard = True
        except StopIteration as stop:
            found: tuple[Request, bytes] = stop.value
            return found
        except TimeoutError:
            # Browsers open connections that they may not need: those get no answer.
            raise HandshakeError(
                f"No whole request within {self._acceptor.limits.open_timeout} s (Limits.open_timeout)",
                408 if heard else None,
            ) from None

    def _answer(self, response: Response, method: str = "GET") -> None:
        """Answer by plain HTTP, and read on until the peer has read that, for a bounded time."""
        with suppress(OSError):
            self._channel.sock.settimeout(self._acceptor.limits.open_timeout)
            self._tap.sent(answer := plain(response, method).to_bytes())
            self._channel.sock.sendall(answer)
            self._channel.hang_up(LINGER)


def _set_timeout(sock: Any, deadline: float | None) -> None:
    if deadline is None:
        sock.settimeout(None)
        return
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(left)

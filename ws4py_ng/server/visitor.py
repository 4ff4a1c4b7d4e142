"""One accepted socket in a thread: TLS, the request head, the answer, the WebSocket."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from ..codes import GOING_AWAY
from ..exc import HandshakeError
from ..handshake import Headers, Request, Response, receive_request, refuse
from ..websocket import WebSocket
from .acceptor import Acceptor, environ_of

__all__ = ["DRAIN_REASON", "ProcessRequest", "Visitor"]

logger = logging.getLogger("ws4py_ng")

DRAIN_REASON = "Server is shutting down"
# How long a plain answer is given to be read before the socket is closed.
LINGER = 1.0

ProcessRequest = Callable[[Request], Response | None]


class Visitor:
    """Serve one connection, from its first byte to its last, by `run`."""

    def __init__(
        self,
        sock: socket.socket,
        acceptor: Acceptor,
        ssl_context: ssl.SSLContext | None = None,
        process_request: ProcessRequest | None = None,
    ) -> None:
        self._sock = sock
        self._acceptor = acceptor
        self._ssl_context = ssl_context
        self._process_request = process_request
        self._ws: WebSocket | None = None
        self._leaving = False

    def run(self) -> None:
        """Shake hands and serve; whatever goes wrong ends here."""
        try:
            timeout = self._acceptor.limits.open_timeout
            self._open(None if timeout is None else monotonic() + timeout)
            if self._ws is not None:
                if self._leaving:
                    self._ws.close(GOING_AWAY, DRAIN_REASON)
                self._ws.run()
        except (HandshakeError, OSError) as error:
            logger.debug("No WebSocket: %s", error)
        except Exception:
            logger.exception("A connection failed before its WebSocket began")
        finally:
            self.cut_off()
            self._sock.close()

    def leave(self) -> None:
        """Close the WebSocket with 1001, or what has not become one yet."""
        self._leaving = True
        if self._ws is not None:
            self._ws.close(GOING_AWAY, DRAIN_REASON)
        else:
            with suppress(OSError):
                self._sock.shutdown(socket.SHUT_RD)

    def cut_off(self) -> None:
        """End the connection as it is."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def turn_away(self, status: int, reason: str) -> None:
        """Refuse without reading; never blocks."""
        self._sock.setblocking(False)
        with suppress(OSError):
            if self._ssl_context is None:
                self._sock.send(refuse(HandshakeError(reason, status, [("Retry-After", "1")])).to_bytes())
            self._sock.shutdown(socket.SHUT_WR)
        self._sock.close()

    def _open(self, deadline: float | None) -> None:
        sock = self._sock
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _set_timeout(sock, deadline)
        if self._ssl_context is not None:
            sock = self._ssl_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self._sock = sock
            sock.do_handshake()
        try:
            self._shake_hands(deadline)
        except HandshakeError as error:
            logger.debug("Refused a WebSocket: %s", error)
            if error.status is not None:
                self._answer(refuse(error))

    def _shake_hands(self, deadline: float | None) -> None:
        request, leftover = self._receive_request(deadline)
        if self._leaving:
            raise HandshakeError(DRAIN_REASON, 503)
        answer = self._process_request(request) if self._process_request is not None else None
        if answer is not None:
            self._answer(answer)
            return
        handler, accepted = self._acceptor.accept(request)
        sock = self._sock
        scheme = "https" if self._ssl_context is not None else "http"
        environ = environ_of(request, scheme, sock.getsockname(), sock.getpeername())
        sock.sendall(accepted.response.to_bytes())
        ws = self._acceptor.make(handler, accepted, sock, environ)
        if leftover:
            ws._stream._reader.feed(leftover)
        self._ws = ws

    def _receive_request(self, deadline: float | None) -> tuple[Request, bytes]:
        reading = receive_request(self._acceptor.limits)
        next(reading)
        heard = False
        try:
            while True:
                _set_timeout(self._sock, deadline)
                data = self._sock.recv(4096)
                reading.send(data)
                heard = True
        except StopIteration as stop:
            found: tuple[Request, bytes] = stop.value
            return found
        except TimeoutError:
            # Browsers open connections that they may not need: those get no answer.
            raise HandshakeError(
                f"No whole request within {self._acceptor.limits.open_timeout:g} s (Limits.open_timeout)",
                408 if heard else None,
            ) from None

    def _answer(self, response: Response) -> None:
        """Answer by plain HTTP, and read on until the peer has read that, for a bounded time."""
        headers = Headers(response.headers)
        if "Content-Length" not in headers:
            headers.add("Content-Length", str(len(response.body)))
        if "Connection" not in headers:
            headers.add("Connection", "close")
        answer = Response(response.status, headers, response.reason, response.body)
        deadline = monotonic() + LINGER
        with suppress(OSError):
            self._sock.sendall(answer.to_bytes())
            if self._ssl_context is None:
                self._sock.shutdown(socket.SHUT_WR)
            while self._ssl_context is None:
                _set_timeout(self._sock, deadline)
                if not self._sock.recv(65536):
                    break


def _set_timeout(sock: Any, deadline: float | None) -> None:
    if deadline is None:
        sock.settimeout(None)
        return
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(left)

"""`WebSocketBaseClient`: connect, shake hands, and be a `WebSocket` from then on.

Subclass `ws4py_ng.client.threadedclient.WebSocketClient`; this class leaves open who runs
the connection once `handshake_ok` is called.
"""

from __future__ import annotations

import socket
import ssl
from threading import get_ident
from time import monotonic
from typing import Any

from ..states import Event
from ..transports.blocking import BlockingTransport, check_hooks
from ..transports.channels import open_channel
from .base import ClientBase, HeaderSource

__all__ = ["HeaderSource", "WebSocketBaseClient"]


class WebSocketBaseClient(ClientBase):
    """Connect to ``url``: ``ws``, ``wss``, ``ws+unix`` or ``wss+unix``.

    ``protocols`` are the subprotocols to offer. ``headers`` are sent as well, and instead
    of ours of the same name; those in ``exclude_headers`` are not sent. TLS verifies the
    server: by ``ssl_context``, or by ``ssl_options`` in ws4py's terms (``certfile``,
    ``keyfile``, ``ca_certs``, ``cert_reqs``). ``deflate`` offers permessage-deflate, True
    with its defaults, unless ``extensions`` has it. ``capture`` records the connection
    (`ws4py_ng.capture.Capture`). The socket is made here and connected by `connect`.

    Raises ValueError for a URL, header or option that cannot be used, TypeError for one of
    another type; OSError when the host has no address.
    """

    _carrier = "threads"  # as a capture names it
    _addresses: list[tuple[Any, Any, Any]]

    def _prepare(self) -> None:
        with self._naming():
            self._addresses = self._resolve()
        self.sock = self._first_socket()

    def connect(self) -> None:
        """Connect, shake hands, and call `handshake_ok`; once.

        Raises HandshakeError for an answer that is no WebSocket, with the server's status,
        headers and the beginning of its body; ssl.SSLError for a certificate that is not
        trusted; OSError when nobody answers; TimeoutError after ``limits.open_timeout``;
        ConnectionAbortedError when it was closed meanwhile, or before.
        """
        self._claim(get_ident())
        timeout = self._limits.open_timeout
        deadline = None if timeout is None else monotonic() + timeout
        try:
            check_hooks(self)
            request = self.handshake_request
            self._connect_socket(deadline)
            leftover = self._agree(request, deadline)
            self._check_wanted()
        except BaseException as error:
            is_late = deadline is not None and isinstance(error, TimeoutError)
            # Whoever is cut off sees an end; a refusal that has come says more.
            is_cut = self._cut_off and (isinstance(error, OSError) or getattr(error, "status", 0) is None)
            broken_off = self._broken_off() if is_late or is_cut else None
            self._tap.failed(error)
            self._give_up()
            self._tap.close()
            if broken_off is None:
                raise
            raise broken_off from error
        if leftover:
            self._stream._reader.feed(leftover)
        transport = BlockingTransport(self, self.sock, self._limits)
        # Whoever sends before the session begins does not wait longer than that, either.
        transport.channel.set_timeouts(None, self._limits.write_timeout)
        self._attach(transport)
        self._advance(Event.OPENED)
        self._connector = 0
        if self._cut_off:
            broken_off = self._broken_off()
            self._give_up()
            raise broken_off
        self.handshake_ok()

    def handshake_ok(self) -> None:
        """Be called when the handshake has succeeded; to be overridden by who runs it.

        ws4py's idiom: ``manager.add(self)``. By default `opened` is called, and `run` is
        left to the caller.
        """
        self._start()

    def close_connection(self) -> None:
        """Close the socket, whatever goes on; errors are of no interest any more."""
        self._cut_off = True
        if self._connector in (None, 0, get_ident()):
            super().close_connection()
        elif (sock := self.sock) is not None:
            # Another thread waits for the server: it wakes up and closes.
            open_channel(sock).cut()

    # The socket

    def _resolve(self) -> list[tuple[Any, Any, Any]]:
        """Return ``(family, protocol, address)`` of all ways to the server."""
        if self.unix_socket_path:
            return [(socket.AF_UNIX, 0, self.unix_socket_path)]
        found = socket.getaddrinfo(self.host, self.port, socket.AF_UNSPEC, socket.SOCK_STREAM)
        # Only IPv6 addresses have more than host and port.
        return [(item[0], item[2], item[4] if item[0] == socket.AF_INET6 else item[4][:2]) for item in found]

    def _new_socket(self, family: Any, protocol: Any) -> Any:
        sock = socket.socket(family, socket.SOCK_STREAM, protocol)
        if not self.unix_socket_path:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _first_socket(self) -> Any:
        """Make a socket for the first address of a family that this machine has."""
        while True:
            try:
                return self._new_socket(*self._addresses[0][:2])
            except OSError:
                if len(self._addresses) == 1:
                    raise
                del self._addresses[0]

    def _connect_socket(self, deadline: float | None) -> None:
        for i, (family, protocol, address) in enumerate(self._addresses):
            others = len(self._addresses) - 1 - i
            try:
                if i:
                    self.sock = self._new_socket(family, protocol)
                # One that swallows everything leaves time for the others.
                self._set_timeout(deadline, 1 + others)
                with self._naming():
                    self.sock.connect(address)
                break
            except OSError:
                if not others or self._cut_off:
                    raise
                self.sock.close()
        self._check_wanted()
        tls = self._tls()
        if tls is not None:
            self._begin_tls(*tls, deadline)

    def _begin_tls(self, context: ssl.SSLContext, name: str, deadline: float | None) -> None:
        # Python forgets to close what it makes of a socket whose peer has left (3.11 to 3.14).
        self.sock.getpeername()
        self.sock = context.wrap_socket(self.sock, server_hostname=name, do_handshake_on_connect=False)
        self._set_timeout(deadline)
        self._check_wanted()
        self.sock.do_handshake()

    def _set_timeout(self, deadline: float | None, parts: int = 1) -> None:
        """Let the socket wait until the deadline, or for one of so many parts of that."""
        if deadline is None:
            self.sock.settimeout(None)
            return
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.sock.settimeout(left / parts)

    def _agree(self, request: bytes, deadline: float | None) -> bytes:
        """Shake hands; return the bytes behind the answer."""
        self._set_timeout(deadline)
        if self._recorder is not None:
            self._tap = self._open_tap(self._carrier, self.sock.getsockname(), self.sock.getpeername())
        self._tap.sent(request)
        self.sock.sendall(request)
        agreeing = self._agreeing()
        try:
            next(agreeing)
            while True:
                try:
                    self._set_timeout(deadline)
                    data = self.sock.recv(4096)
                    self._tap.received(data)
                except OSError as error:
                    agreeing.throw(error)
                else:
                    agreeing.send(data)
        except StopIteration as stop:
            leftover: bytes = stop.value
            return leftover

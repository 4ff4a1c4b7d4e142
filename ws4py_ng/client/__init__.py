"""`WebSocketBaseClient`: connect, shake hands, and be a `WebSocket` from then on.

Subclass `ws4py_ng.client.threadedclient.WebSocketClient`; this class leaves open who runs
the connection once `handshake_ok` is called.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from threading import get_ident
from time import monotonic
from typing import Any

from ..codes import ABNORMAL_CLOSURE, INTERNAL_ERROR, TLS_HANDSHAKE
from ..endpoint import Buffer
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import ClientHandshake, Headers, Response, new_key, receive_body, receive_response
from ..limits import DEFAULT_LIMITS, Limits
from ..states import Event, State
from ..streaming import Stream
from ..transports.blocking import BlockingTransport, check_hooks
from ..transports.channels import open_channel
from ..uri import URI, parse_uri
from ..websocket import WebSocket
from .tls import check_options, client_context

__all__ = ["WebSocketBaseClient"]

HeaderSource = Mapping[str, str] | Iterable[tuple[str, str]]
Deflate = bool | PerMessageDeflateFactory | None


class WebSocketBaseClient(WebSocket):
    """Connect to ``url``: ``ws``, ``wss``, ``ws+unix`` or ``wss+unix``.

    ``protocols`` are the subprotocols to offer. ``headers`` are sent as well, and instead
    of ours of the same name; those in ``exclude_headers`` are not sent. TLS verifies the
    server: by ``ssl_context``, or by ``ssl_options`` in ws4py's terms (``certfile``,
    ``keyfile``, ``ca_certs``, ``cert_reqs``). ``deflate`` offers permessage-deflate, True
    with its defaults. The socket is made here and connected by `connect`.

    Raises ValueError for a URL, header or option that cannot be used.
    """

    # RFC 6455 4.1 fails a connection whose server answers with a subprotocol or extension
    # that was not asked for. ws4py's base client took note and went on; so does this one.
    _strict = False

    def __init__(
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[Any] | None = None,
        heartbeat_freq: float | None = None,
        ssl_options: Mapping[str, Any] | None = None,
        headers: HeaderSource | None = None,
        exclude_headers: Iterable[str] | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        origin: str | None = None,
        deflate: Deflate = True,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(None, protocols, extensions, None, heartbeat_freq)
        self._stream = Stream(always_mask=True, expect_masking=False)
        self._configure(limits)
        self._state = State.CONNECTING
        uri = parse_uri(url)
        self._uri = uri
        self._origin = origin
        self._offers = _offers(extensions, deflate)
        self._ssl_context = ssl_context
        self.url = url
        self.scheme, self.host, self.port, self.resource = uri.scheme, uri.host, uri.port, uri.resource
        self.unix_socket_path = uri.unix_path
        self.ssl_options = dict(ssl_options or {})
        self.extra_headers = Headers(headers or ()).items()
        self.exclude_headers = [name.lower() for name in exclude_headers or ()]
        self.key = new_key().encode("ascii")
        # The thread that connects; 0 when that is over.
        self._connector: int | None = None
        self._cut_off = False
        check_options(self.ssl_options)
        self._handshake()  # what cannot be sent is refused here, not at connect()
        self._addresses = self._resolve()
        self.sock = self._first_socket()

    # The opening handshake

    @property
    def bind_addr(self) -> Any:
        """What the socket connects to: ``(host, port)``, or the path of a Unix socket."""
        return self.unix_socket_path or (self.host, self.port)

    @property
    def handshake_headers(self) -> list[tuple[str, str]]:
        """The headers of the request, as pairs."""
        return list(self._handshake().request().headers.items())

    @property
    def handshake_request(self) -> bytes:
        """The request as it is sent."""
        return self._handshake().request().to_bytes()

    def _handshake(self) -> ClientHandshake:
        uri = self._uri
        resource = self.resource
        if resource != uri.resource and resource.startswith("/"):  # ClientHandshake refuses the others
            resource = parse_uri(f"ws://localhost{resource}").resource
        return ClientHandshake(
            URI(uri.scheme, uri.secure, self.host, self.port, resource, self.unix_socket_path, uri.userinfo),
            protocols=self.protocols or (),
            extensions=self._offers,
            headers=self.extra_headers,
            exclude_headers=self.exclude_headers,
            origin=self._origin,
            key=self.key.decode("ascii"),
            strict=self._strict,
        )

    def connect(self) -> None:
        """Connect, shake hands, and call `handshake_ok`; once.

        Raises HandshakeError for an answer that is no WebSocket, with the server's status,
        headers and the beginning of its body; ssl.SSLError for a certificate that is not
        trusted; OSError when nobody answers; TimeoutError after ``limits.open_timeout``.
        """
        if self._connector is not None or self._state is not State.CONNECTING:
            raise RuntimeError("A client connects once: make another one to connect again")
        self._connector = get_ident()
        timeout = self._limits.open_timeout
        deadline = None if timeout is None else monotonic() + timeout
        try:
            check_hooks(self)
            handshake = self._handshake()
            self._connect_socket(deadline)
            leftover = self._agree(handshake, deadline)
        except TimeoutError as error:
            self._give_up()
            if deadline is None:
                raise
            raise TimeoutError(f"{self._place} did not answer within {timeout:g} s (Limits.open_timeout)") from error
        except BaseException:
            self._give_up()
            raise
        if leftover:
            self._stream._reader.feed(leftover)
        transport = BlockingTransport(self, self.sock, self._limits)
        # Whoever sends before the session begins does not wait longer than that, either.
        transport.channel.set_timeouts(None, self._limits.write_timeout)
        self._attach(transport)
        self._advance(Event.OPENED)
        self._connector = 0
        if self._cut_off:
            self._give_up()
            raise ConnectionAbortedError("The connection was closed while it was being opened")
        self.handshake_ok()

    def handshake_ok(self) -> None:
        """Be called when the handshake has succeeded; to be overridden by who runs it.

        ws4py's idiom: ``manager.add(self)``. By default `opened` is called, and `run` is
        left to the caller.
        """
        self._start()

    def process_response_line(self, response_line: bytes) -> None:
        """Refuse an answer whose first line is not a 101; to be overridden to look at it."""
        parts = response_line.split(b" ", 2)
        if len(parts) < 2 or parts[1] != b"101":
            raise HandshakeError(f"Invalid response status: {b' '.join(parts[1:]).decode('latin-1')}")

    def process_handshake_header(self, headers: bytes) -> tuple[list[bytes], list[bytes]]:
        """Return the subprotocols and extensions of the answer; to be overridden to look at it."""
        found: dict[bytes, list[bytes]] = {b"sec-websocket-protocol": [], b"sec-websocket-extensions": []}
        for line in headers.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.strip().lower() in found:
                found[name.strip().lower()] += [item.strip() for item in value.split(b",")]
        return found[b"sec-websocket-protocol"], found[b"sec-websocket-extensions"]

    @property
    def _place(self) -> str:
        """Where this connects to, without what may be secret: the password, the query."""
        return f"{self.scheme}://{self.unix_socket_path or self._uri.host_header + self.resource.partition('?')[0]}"

    def _give_up(self) -> None:
        self._connector = 0
        self._state = State.CLOSED
        self.close_connection()

    def close_connection(self) -> None:
        """Close the socket, whatever goes on; errors are of no interest any more."""
        self._cut_off = True
        if self._connector in (None, 0, get_ident()):
            super().close_connection()
        else:
            # Another thread waits for the server: it wakes up and closes.
            open_channel(self.sock).cut()

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
                self.sock.connect(address)
                break
            except OSError:
                if not others or self._cut_off:
                    raise
                self.sock.close()
        if self._uri.secure:
            self._begin_tls(deadline)

    def _begin_tls(self, deadline: float | None) -> None:
        context = self._ssl_context or client_context(self.ssl_options)
        name = self.ssl_options.get("server_hostname", self.host)
        # Python forgets to close what it makes of a socket whose peer has left (3.11 to 3.14).
        self.sock.getpeername()
        self.sock = context.wrap_socket(self.sock, server_hostname=name, do_handshake_on_connect=False)
        self._is_secure = True
        self._set_timeout(deadline)
        if self._cut_off:
            raise ConnectionAbortedError("The connection was closed while it was being opened")
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

    def _agree(self, handshake: ClientHandshake, deadline: float | None) -> bytes:
        """Shake hands and take over what was agreed; return the bytes behind the answer."""
        self._set_timeout(deadline)
        self.sock.sendall(handshake.request().to_bytes())
        response, leftover = self._receive(receive_response(self._limits), deadline)
        if response.status != 101:
            with suppress(OSError):
                body = self._receive(receive_body(response, leftover), deadline)
                response = Response(response.status, response.headers, response.reason, body, response.version)
        agreement = handshake.check(response)
        self.process_response_line(f"{response.version} {response.status_text}".encode("latin-1"))
        self.protocols, self.extensions = self.process_handshake_header(_header_lines(agreement.headers))
        self._configure(self._limits, agreement.extensions)
        found: bytes = leftover
        return found

    def _receive(self, reading: Any, deadline: float | None) -> Any:
        """Drive one of the handshake's generators from the socket."""
        try:
            next(reading)
            while True:
                self._set_timeout(deadline)
                reading.send(self.sock.recv(4096))
        except StopIteration as stop:
            return stop.value

    def close(self, code: int = 1000, reason: str | Buffer = "") -> Any:
        """Begin the closing handshake, once; see `Endpoint.close`.

        A code that only reports (1006, 1015), which ws4py put on the wire, goes out as 1011.
        """
        if code in (ABNORMAL_CLOSURE, TLS_HANDSHAKE):
            code = INTERNAL_ERROR
        return super().close(code, reason)


def _offers(extensions: Sequence[Any] | None, deflate: Deflate) -> list[Any]:
    """Return what to offer: what the caller gave, and permessage-deflate."""
    offers = []
    for extension in extensions or ():
        if extension == PerMessageDeflateFactory.name:
            deflate = deflate or True
        elif isinstance(extension, str | bytes):
            raise ValueError(f"Extension {extension!r}, expected 'permessage-deflate' or an object with offer()")
        else:
            offers.append(extension)
    if deflate:
        offers.append(PerMessageDeflateFactory() if deflate is True else deflate)
    return offers


def _header_lines(headers: Headers) -> bytes:
    return b"\r\n".join(f"{name}: {value}".encode("latin-1") for name, value in headers.items())

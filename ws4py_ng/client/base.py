"""What every client has, whatever carries it: URL, options, offers, the handshake as a generator.

It makes no socket and waits for nobody. The blocking client is `ws4py_ng.client`, those that are
asked for bytes stand on `ws4py_ng.client.pulled`, that of asyncio is driven by a protocol.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..capture.settings import CaptureOption, open_tap, settings_of
from ..capture.untapped import AnyTap
from ..codes import ABNORMAL_CLOSURE, INTERNAL_ERROR, TLS_HANDSHAKE
from ..endpoint import Buffer
from ..endpoint.checks import check_agreement
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import ClientHandshake, Headers, Response, new_key, receive_body, receive_response
from ..limits import DEFAULT_LIMITS, Limits
from ..states import State
from ..uri import URI, parse_uri
from ..websocket import WebSocket
from .checks import check_arguments, checked_headers, checked_names
from .tls import check_options, client_context

__all__ = ["ClientBase", "HeaderSource"]

HeaderSource = Mapping[str, str] | Iterable[tuple[str, str]]
Deflate = bool | PerMessageDeflateFactory | None


class ClientBase(WebSocket):
    """Hold what is asked for and what was agreed; who inherits connects.

    Parameters and what they raise: see `ws4py_ng.client.WebSocketBaseClient`.
    """

    # RFC 6455 4.1 fails a connection whose server answers with a subprotocol or extension
    # that was not asked for. ws4py's base client took note and went on; so does this one.
    _strict = False
    _cut_off = False
    # Where a task connects: what ends the attempt, from any thread; None when that is over.
    _call_off: Callable[[], object] | None = None

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
        capture: CaptureOption = None,
    ) -> None:
        check_arguments(url, ssl_context, ssl_options or ())
        check_agreement(deflate, heartbeat_freq or None, limits)  # 0 is off, as in ws4py
        super().__init__(None, checked_names(protocols, "protocols"), extensions, None, heartbeat_freq)
        self._stream = self._new_stream(always_mask=True, expect_masking=False)
        self._configure(limits)
        self._state = State.CONNECTING
        uri = parse_uri(url)
        self._uri = uri
        self._origin = origin
        self._recorder = settings_of(capture)
        self._offers = _offers(extensions, deflate)
        self._ssl_context = ssl_context
        self.url = url
        self.scheme, self.host, self.port, self.resource = uri.scheme, uri.host, uri.port, uri.resource
        self.unix_socket_path = uri.unix_path
        self.ssl_options = dict(ssl_options or {})
        self.extra_headers = checked_headers(headers).items()
        self.exclude_headers = [name.lower() for name in checked_names(exclude_headers, "exclude_headers") or ()]
        self.key = new_key().encode("ascii")
        # The thread that connects; 0 when that is over, or where there is one thread only.
        self._connector: int | None = None
        check_options(self.ssl_options)
        self._handshake()  # what cannot be sent is refused here, not at connect()
        self._prepare()

    def _prepare(self) -> None:
        """Do what can be done before `connect`."""

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Let an error of the system name the Unix socket, or the host whose address it cannot find."""
        try:
            yield
        except OSError as error:
            name = self.unix_socket_path or (self.host if isinstance(error, socket.gaierror) else None)
            if name and error.errno is not None:
                error.filename = name
            raise

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

    def _claim(self, connector: int = 0) -> None:
        """Begin to connect, once; ``connector`` is the thread that does."""
        if self._connector is not None:
            raise RuntimeError("A client connects once: make another one to connect again")
        self._connector = connector
        if self._cut_off:  # who closes sets this before he looks who connects
            raise ConnectionAbortedError("The client was closed before it connected: make another one to connect")

    def _tls(self) -> tuple[ssl.SSLContext, str] | None:
        """Return the context and the server's name; None where there is no TLS."""
        if not self._uri.secure:
            return None
        context = self._ssl_context or client_context(self.ssl_options)
        self._is_secure = True
        return context, str(self.ssl_options.get("server_hostname", self.host))

    def _open_tap(self, transport: str, local: Any, peer: Any) -> AnyTap:
        """Begin to record the connection, if that is wanted; ``transport`` says what carries it."""
        deflate = next((each for each in self._offers if isinstance(each, PerMessageDeflateFactory)), None)
        secure = self._uri.secure
        return open_tap(self._recorder, "client", transport, local, peer, secure=secure, deflate=deflate)

    def _agreeing(self) -> Generator[int, Any, bytes]:
        """Shake hands behind the request: be sent what the server answers, ``b""`` at its end.

        Takes over what was agreed; returns the bytes behind the answer. Raises HandshakeError.
        """
        handshake = self._handshake()
        response, leftover = yield from receive_response(self._limits)
        if response.status != 101:
            body = yield from receive_body(response, leftover)
            response = Response(response.status, response.headers, response.reason, body, response.version)
        agreement = handshake.check(response)
        if len(agreement.extensions) > 1:
            names = " and ".join(extension.name for extension in agreement.extensions)
            msg = f"the server accepted {names}, expected one extension at most: offer less, as by deflate=False"
            raise HandshakeError(msg, response.status, response.headers)
        self.process_response_line(f"{response.version} {response.status_text}".encode("latin-1"))
        self.protocols, self.extensions = self.process_handshake_header(_header_lines(agreement.headers))
        self._configure(self._limits, agreement.extensions)
        self._keepalive.beat = self.heartbeat_freq
        return leftover

    def _outcome_of(self, agreeing: Generator[int, Any, bytes], error: OSError) -> Exception:
        """Say what becomes of a handshake that is broken off: a refusal is still one without its end."""
        try:
            agreeing.throw(error)
        except Exception as found:  # noqa: BLE001 - whoever awaits `connect` judges it
            return found
        return error

    def handshake_ok(self) -> None:
        """Be called when the handshake has succeeded, before `opened`."""

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

    def _broken_off(self) -> OSError:
        """Say why the attempt to connect ends: it was called off, or its time is up."""
        if self._cut_off:
            return ConnectionAbortedError(f"The connection to {self._place} was closed while it was being opened")
        timeout = self._limits.open_timeout
        return TimeoutError(f"{self._place} did not answer within {timeout:g} s (Limits.open_timeout)")

    def _check_wanted(self) -> None:
        """Raise ConnectionAbortedError if the connection was closed meanwhile."""
        if self._cut_off:
            raise self._broken_off()

    def _give_up(self) -> None:
        self._connector = 0
        self._call_off = None
        self._state = State.CLOSED
        self.close_connection()

    def close(self, code: int = 1000, reason: str | Buffer = "") -> Any:
        """Begin the closing handshake, once; see `Endpoint.close`.

        Before `connect`, or while that waits: call it off, so that it raises ConnectionAbortedError.
        A code that only reports (1006, 1015), which ws4py put on the wire, goes out as 1011.
        """
        if code in (ABNORMAL_CLOSURE, TLS_HANDSHAKE):
            code = INTERNAL_ERROR
        is_open = self._state is not State.CONNECTING
        outcome = super().close(code, reason)
        if not is_open and not self.client_terminated:
            self.close_connection()
        return outcome

    def close_connection(self) -> None:
        """Close the connection, whatever goes on; `connect`, if it waits, is called off."""
        self._cut_off = True
        call_off = self._call_off
        if call_off is not None:
            call_off()
        super().close_connection()


def _offers(extensions: Sequence[Any] | None, deflate: Deflate) -> list[Any]:
    """Return what to offer: what the caller gave, and permessage-deflate."""
    offers = []
    for extension in extensions or ():
        if extension == PerMessageDeflateFactory.name:
            deflate = deflate or True
        elif isinstance(extension, str | bytes):
            raise ValueError(f"Extension {extension!r}, expected 'permessage-deflate' or an object with offer()")
        elif not hasattr(extension, "offer"):
            raise TypeError(f"extensions has {extension!r}, expected 'permessage-deflate' or an object with offer()")
        else:
            offers.append(extension)
    if deflate is True and any(each.name == PerMessageDeflateFactory.name for each in offers):
        return offers  # one with other settings stands for the default
    if deflate:
        offers.append(PerMessageDeflateFactory() if deflate is True else deflate)
    return offers


def _header_lines(headers: Headers) -> bytes:
    return b"\r\n".join(f"{name}: {value}".encode("latin-1") for name, value in headers.items())

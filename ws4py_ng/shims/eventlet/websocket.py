"""eventlet.websocket, over this package: `WebSocketWSGI` and the ``ws`` that it hands to a function.

    @WebSocketWSGI
    def echo(ws):
        while (message := ws.wait()) is not None:
            ws.send(message)

It runs under eventlet.wsgi and gunicorn, and under any other server that hands over its socket. The
drafts hixie-75 and -76 are refused: no browser speaks them. docs/migrating/eventlet.md says what differs.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...codes import INTERNAL_ERROR, NORMAL_CLOSURE
from ...endpoint.names import Reserving
from ...exc import ConnectionClosed, HandshakeError
from ...extensions import PerMessageDeflate, PerMessageDeflateFactory
from ...limits import Limits
from ...receiving import PieceStream
from ...server.acceptor import Acceptor
from ...server.conversation import Connection, Conversation, converse, run_beside, value_of
from ...states import State
from ...transports import thread_kit
from ...transports.handover import Environ, StartResponse, kit_of

__all__ = ["RFC6455WebSocket", "WebSocket", "WebSocketWSGI"]

logger = logging.getLogger("ws4py_ng")

PROTOCOL_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VALID_CLOSE_STATUS = {*range(1000, 1004), *range(1007, 1012), *range(3000, 5000)}
DEFAULT_MAX_FRAME_LENGTH = 8 << 20
# With these an OSError out of a handler says that the client has left.
ACCEPTABLE_CLIENT_ERRORS = frozenset((errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN))
# A client may have whatever window it likes, as with eventlet.
DEFLATE = PerMessageDeflateFactory(server_max_window_bits=15, client_max_window_bits=None)
DEFLATE_NAME = "permessage-deflate"

HIXIE = b"This asks for WebSockets as in the drafts hixie-75 and -76: RFC 6455 is spoken here, version 13\n"

Handler = Callable[["WebSocket"], object]


class BadRequest(Exception):
    """Kept for programs that catch it; never raised."""


class ConnectionClosedError(Exception):
    """Kept for programs that catch it; never raised."""


class FailedConnectionError(Exception):
    """Kept for programs that catch it; never raised."""


class ProtocolError(ValueError):
    """Kept for programs that catch it: a peer that breaks the protocol is closed, and `wait` gives None."""


class _ClientStream(PieceStream):
    """Mask what is sent, and nothing that is received."""

    def __init__(self, **options: Any) -> None:
        super().__init__(always_mask=True, expect_masking=False)


class _ClientConnection(Connection):
    """Be the other side."""

    _new_stream = _ClientStream


class WebSocket:
    """Send and wait for messages, in a greenlet or thread.

    `WebSocketWSGI` makes it. With a connected socket, behind a handshake that somebody else has done, it
    can be made as well, as a server or as a ``client``; ``extensions`` is then a dict from
    "permessage-deflate" to a dict of what was agreed.
    """

    def __init__(
        self,
        sock: Any,
        environ: Environ,
        version: int = 13,
        protocol: str | None = None,
        client: bool = False,
        extensions: dict[str, dict[str, Any]] | None = None,
        max_frame_length: int = DEFAULT_MAX_FRAME_LENGTH,
        *,
        _conversation: Conversation | None = None,
    ) -> None:
        self.socket = sock
        self.environ = environ
        self.version = version
        self.protocol = protocol
        self.client = client
        self.max_frame_length = max_frame_length
        self.path: str | None = environ.get("PATH_INFO")
        self.origin: str | None = environ.get("HTTP_ORIGIN")
        self.log = logger
        self._extensions: dict[str, dict[str, Any]] = {}
        if _conversation is not None:
            self._ws: Connection = _conversation.ws
            self._is_read = True
            return
        self._ws = (_ClientConnection if client else Connection)(sock, [] if protocol is None else [protocol])
        self._ws._configure(Limits(max_message_size=max_frame_length))
        self._is_read = False
        self.extensions = extensions or {}

    @property
    def extensions(self) -> dict[str, dict[str, Any]]:
        """What was agreed, for a socket whose handshake somebody else has done."""
        return self._extensions

    @extensions.setter
    def extensions(self, agreed: dict[str, dict[str, Any]]) -> None:
        self._extensions = agreed
        if DEFLATE_NAME in agreed:
            self._ws._stream.use_extension(_codec(agreed[DEFLATE_NAME], self.client))

    @property
    def websocket_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._ws._state is not State.OPEN

    @property
    def log_context(self) -> str:
        """The peer, for a log line."""
        return f"{self.environ.get('REMOTE_ADDR')}:{self.environ.get('REMOTE_PORT')} {self.path}"

    def wait(self) -> str | bytes | None:
        """Return the next message, str or bytes, both of which may be empty; None at the end."""
        self._be_read()
        try:
            return value_of(self._ws.receive())
        except ConnectionClosed:
            return None

    def send(self, message: object) -> None:
        """Send bytes and arrays as binary data, and anything else as text, by ``str``.

        Raises OSError with errno 32 (EPIPE) when the peer has left, or the connection is closing.
        """
        payload: Any = message
        if not isinstance(message, str | bytes):
            try:
                payload = bytes(memoryview(payload))
            except TypeError:
                payload = str(message)
        try:
            self._ws.send(payload, isinstance(payload, bytes))
        except ConnectionClosed as error:
            raise BrokenPipeError(errno.EPIPE, str(error)) from error

    def close(self, close_data: tuple[int, str] | None = None) -> None:
        """Begin the closing handshake, by a code and a reason; to return from the handler does it as well."""
        self._be_read()
        code, reason = (NORMAL_CLOSURE, "") if close_data is None else close_data
        self._ws.close(code, reason)

    def __iter__(self) -> WebSocket:
        return self

    def __next__(self) -> str | bytes:
        message = self.wait()
        if message is None:
            raise StopIteration
        return message

    def _be_read(self) -> None:
        if not self._is_read:
            self._is_read = True
            run_beside(self._ws, kit_of(self.socket) or thread_kit)


class RFC6455WebSocket(WebSocket):
    """Be what `WebSocketWSGI` hands over; there is no other."""


class WebSocketWSGI(Reserving):
    """Make a WSGI application of a function, which is called with a `WebSocket`.

    When it returns the connection is closed. ``max_frame_length`` bounds a message, with all its
    fragments and inflated; more is answered by Close 1009.
    """

    def __init__(self, handler: Handler, max_frame_length: int = DEFAULT_MAX_FRAME_LENGTH) -> None:
        self.handler = handler
        self.protocol_version: int | None = None
        self.support_legacy_versions = False
        self.supported_protocols: Sequence[str] = []
        self.origin_checker: Callable[[str | None, str], object] | None = None
        self.max_frame_length = max_frame_length

    @classmethod
    def configured(
        cls,
        handler: Handler | None = None,
        supported_protocols: Sequence[str] | None = None,
        origin_checker: Callable[[str | None, str], object] | None = None,
        support_legacy_versions: bool = False,
    ) -> Any:
        """Make an application, or a decorator that does.

        ``origin_checker(host, origin)`` says whether a web site may connect, else 403; without it all may. Of who
        is no browser the origin is "".
        Of what a client offers the first that is in ``supported_protocols`` is chosen.
        ``support_legacy_versions`` is kept for those who pass it: the drafts are always refused.
        """

        def decorated(handler: Handler) -> WebSocketWSGI:
            application = cls(handler)
            application.support_legacy_versions = support_legacy_versions
            application.origin_checker = origin_checker
            application.supported_protocols = supported_protocols or []
            return application

        return decorated if handler is None else decorated(handler)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Be the application."""
        try:
            self._check(environ)
            conversation = converse(_tolerated(environ), self._acceptor(), start_response=start_response)
        except HandshakeError as error:
            start_response(_status(error), [("Connection", "close"), *_headers(error)])
            return [error.body]
        self.protocol_version = 13
        ws = RFC6455WebSocket(
            conversation.ws.sock,
            environ,
            protocol=conversation.subprotocol,
            max_frame_length=self.max_frame_length,
            _conversation=conversation,
        )
        try:
            self.handler(ws)
        except BaseException as error:
            if not (isinstance(error, OSError) and error.errno in ACCEPTABLE_CLIENT_ERRORS):
                conversation.end(INTERNAL_ERROR)
                raise
        conversation.end()
        return conversation.leave()

    def _check(self, environ: Environ) -> None:
        upgrade = str(environ.get("HTTP_UPGRADE", "")).strip().lower()
        options = [each.strip() for each in str(environ.get("HTTP_CONNECTION", "")).lower().split(",")]
        if upgrade != "websocket" or "upgrade" not in options:
            raise HandshakeError("no request for a WebSocket", 400)
        version = environ.get("HTTP_SEC_WEBSOCKET_VERSION")
        if version is None:
            raise HandshakeError("a draft", 426, body=HIXIE)
        checker = self.origin_checker
        if checker is not None and not checker(environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN", "")):
            raise HandshakeError("a foreign origin", 403)

    def _acceptor(self) -> Acceptor:
        supported = self.supported_protocols
        return Acceptor(
            handlers=Connection,
            select_subprotocol=lambda offered: next((each for each in offered if each in supported), None),
            origins=["*"],  # `origin_checker` has the say
            deflate=DEFLATE,
            limits=Limits(max_message_size=self.max_frame_length),
        )


def _status(error: HandshakeError) -> str:
    return {403: "403 Forbidden", 426: "426 Upgrade Required", 501: "501 Not Implemented"}.get(
        error.status or 400, "400 Bad Request" if (error.status or 400) < 500 else "503 Service Unavailable"
    )


def _headers(error: HandshakeError) -> list[tuple[str, str]]:
    if error.status == 426:
        return [("Sec-WebSocket-Version", "13")]
    return []


def _tolerated(environ: Environ) -> Environ:
    """Read an offer of permessage-deflate as eventlet does: in any case, and with a server's window
    that has no size."""
    offers = environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS")
    if not offers:
        return environ
    read = []
    for offer in offers.lower().split(","):
        parts = [part.replace(" ", "").replace("\t", "") for part in offer.split(";")]
        read.append("; ".join("server_max_window_bits=15" if p == "server_max_window_bits" else p for p in parts if p))
    return {**environ, "HTTP_SEC_WEBSOCKET_EXTENSIONS": ", ".join(each for each in read if each)}


def _codec(agreed: dict[str, Any], client: bool) -> PerMessageDeflate:
    ours, theirs = ("client", "server") if client else ("server", "client")

    def bits(side: str) -> int:
        agreed_bits = agreed.get(f"{side}_max_window_bits")
        return 15 if agreed_bits is None or isinstance(agreed_bits, bool) else int(agreed_bits)

    return PerMessageDeflate(
        own_window_bits=bits(ours),
        own_no_context_takeover=bool(agreed.get(f"{ours}_no_context_takeover")),
        peer_window_bits=bits(theirs),
        peer_no_context_takeover=bool(agreed.get(f"{theirs}_no_context_takeover")),
    )

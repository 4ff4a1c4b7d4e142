"""`Server` and `Client`, for threads, gevent and eventlet."""

from __future__ import annotations

import ssl
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from ...client.threadedclient import Connection as ClientConnection
from ...codes import NORMAL_CLOSURE
from ...exc import ConnectionClosed as Closed
from ...exc import HandshakeError
from ...server.acceptor import Acceptor
from ...server.conversation import Connection, Conversation, converse, turn_away, value_of
from ...server.places import lend_place
from ...transports.handover import Environ, find
from ...transports.kits import LAST_WORDS
from .errors import ConnectionClosed, ConnectionError
from .options import (
    DEFAULT_RECEIVE_BYTES,
    Connected,
    Request,
    header_pairs,
    limits_of,
    payload_of,
    subprotocols_of,
)

__all__ = ["Base", "Client", "ConnectionClosed", "ConnectionError", "Server"]

# What a program that looks at `Server.mode` leaves by; servers of threads that it does not know are left
# as Werkzeug is.
MODES = {"gunicorn": "gunicorn", "eventlet": "eventlet", "gevent": "gevent"}


class Base(Connected):
    """Send and receive; what `Server` and `Client` have in common."""

    is_server = False
    sock: Any = None
    thread: Any = None

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Return the next message, str or bytes; None if none comes within ``timeout`` seconds.

        Raises ConnectionClosed when the connection is closed and every message was received.
        """
        if self._ws is None:
            raise self._closed()
        try:
            return value_of(self._ws.receive(timeout))
        except TimeoutError:
            return None
        except Closed:
            self._left()
            raise self._closed() from None

    def send(self, data: object) -> None:
        """Send bytes as a binary message, and anything else as text, by ``str``. Raises ConnectionClosed."""
        self._check_open()
        payload, binary = payload_of(data)
        try:
            self._ws.send(payload, binary)
        except Closed:
            raise self._closed() from None

    def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Close with a code, 1000 if there is none, and a message. Raises ConnectionClosed if that was done before."""
        self._put_close(reason, message)
        self._left()

    def _left(self) -> None:
        """Be called when the connection is closed, by whichever side."""


class Server(Base):
    """Serve a WebSocket within a WSGI request.

    ``environ`` is that of Werkzeug (Flask), gunicorn (sync, gthread, gevent, eventlet), gevent, eventlet,
    cheroot or wsgiref. ``receive_bytes`` are read at once, unless that is the default. Every
    ``ping_interval`` seconds a Ping is sent, 20 if it is None; who does not answer is given up. A message
    has at most ``max_message_size`` bytes, 16 MiB if that is None. ``thread_class`` makes the thread that
    reads. ``event_class`` and ``selector_class`` are not needed: the socket shows what is to be used.

    Raises RuntimeError if the server hands over no socket. A request that is no WebSocket is answered
    here; then `connected` is False.
    """

    is_server = True

    def __init__(
        self,
        environ: Environ,
        subprotocols: str | Sequence[str] | None = None,
        receive_bytes: int = DEFAULT_RECEIVE_BYTES,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
        thread_class: Callable[..., Any] | None = None,
        event_class: Callable[..., Any] | None = None,
        selector_class: Callable[..., Any] | None = None,
    ) -> None:
        self.environ = environ
        self.subprotocols = subprotocols_of(subprotocols)
        self.receive_bytes = receive_bytes
        self.ping_interval = ping_interval
        self.max_message_size = max_message_size
        self.mode = "unknown"
        self._thread_class = thread_class
        self._conversation: Conversation | None = None
        self.handshake()

    @classmethod
    def accept(
        cls,
        environ: Environ,
        subprotocols: str | Sequence[str] | None = None,
        receive_bytes: int = DEFAULT_RECEIVE_BYTES,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
        thread_class: Callable[..., Any] | None = None,
        event_class: Callable[..., Any] | None = None,
        selector_class: Callable[..., Any] | None = None,
    ) -> Self:
        """Accept the WebSocket of a request; the parameters are those of the class."""
        return cls(
            environ,
            subprotocols,
            receive_bytes,
            ping_interval,
            max_message_size,
            thread_class,
            event_class,
            selector_class,
        )

    def handshake(self) -> None:
        """Take the connection and answer the handshake; done when the object is made."""
        found = find(self.environ)
        if found is None:
            raise RuntimeError(
                "Cannot obtain socket from WSGI environment. "
                "Under a server that gives none away, serve by ASGI: AioServer.accept(asgi=...)"
            )
        self.mode = MODES.get(found.host, "werkzeug")
        limits = limits_of(self.ping_interval, self.max_message_size)
        headers = {
            name[5:].replace("_", "-").title(): str(v) for name, v in self.environ.items() if name[:5] == "HTTP_"
        }
        acceptor = Acceptor(
            handlers=Connection,
            select_subprotocol=lambda offered: self.choose_subprotocol(Request(list(offered), headers)),
            origins=["*"],
            limits=limits,
        )
        spawn = None if self._thread_class is None or found.kit is not None else self._spawn
        try:
            conversation = self._conversation = converse(self.environ, acceptor, spawn=spawn)
        except HandshakeError as error:
            turn_away(self.environ, error)
            return
        self._ws = conversation.ws
        if self.receive_bytes != DEFAULT_RECEIVE_BYTES:
            self._ws.reading_buffer_size = self.receive_bytes
        self.sock = self._ws.sock
        self.subprotocol = conversation.subprotocol
        if found.kit is not None:
            conversation.leave()
        # As long as the application holds this object it holds a thread, and may go on.
        weakref.finalize(self, _forgotten, conversation.ws, lend_place(found.host)).atexit = False

    def _spawn(self, function: Callable[[], object]) -> None:
        assert self._thread_class is not None
        self.thread = _thread(self._thread_class, function)
        self.thread.start()

    def _left(self) -> None:
        conversation = self._conversation
        if conversation is not None and conversation.is_borrowed:
            conversation.wait()  # the server would close its socket under us


class Client(Base):
    """Connect to ``url``: ``ws``, ``wss``, ``http`` or ``https``.

    ``headers`` is a dict or a list of pairs. TLS verifies the server, by ``ssl_context`` if there is one.
    The other parameters are those of `Server`. Raises ConnectionError when the server refuses, OSError
    when nobody answers.
    """

    def __init__(
        self,
        url: str,
        subprotocols: str | Sequence[str] | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        receive_bytes: int = DEFAULT_RECEIVE_BYTES,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
        thread_class: Callable[..., Any] | None = None,
        event_class: Callable[..., Any] | None = None,
    ) -> None:
        self.url = url
        self.subprotocols = subprotocols_of(subprotocols)
        self.extra_headers = header_pairs(headers)
        self.receive_bytes = receive_bytes
        self.ping_interval = ping_interval
        self.max_message_size = max_message_size
        ws = ClientConnection(
            websocket_url(url),
            self.subprotocols,
            headers=self.extra_headers,
            ssl_context=ssl_context,
            limits=limits_of(ping_interval, max_message_size),
        )
        if receive_bytes != DEFAULT_RECEIVE_BYTES:
            ws.reading_buffer_size = receive_bytes
        if thread_class is not None:
            ws._th = _thread(thread_class, ws._run)
        self.thread = ws._th
        self.host, self.port, self.path = ws.host, ws.port, ws.resource
        self._client = ws
        self.handshake()

    @classmethod
    def connect(
        cls,
        url: str,
        subprotocols: str | Sequence[str] | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        receive_bytes: int = DEFAULT_RECEIVE_BYTES,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
        thread_class: Callable[..., Any] | None = None,
        event_class: Callable[..., Any] | None = None,
    ) -> Self:
        """Connect; the parameters are those of the class."""
        return cls(
            url,
            subprotocols,
            headers,
            receive_bytes,
            ping_interval,
            max_message_size,
            ssl_context,
            thread_class,
            event_class,
        )

    def handshake(self) -> None:
        """Connect and shake hands; done when the object is made."""
        client = self._client
        try:
            client.connect()
        except HandshakeError as error:
            raise ConnectionError(error.status, error.msg) from error
        self._ws = client
        self.sock = client.sock
        self.subprotocol = next((each.decode() for each in client.protocols or ()), None)

    def _left(self) -> None:
        # The server has the rest of our last words, and of the handshake, before a program ends.
        self._client._ends_within(LAST_WORDS)


def websocket_url(url: str) -> str:
    """Let a URL of HTTP stand for one of WebSockets."""
    scheme, colon, rest = url.partition(":")
    return {"http": "ws", "https": "wss"}.get(scheme.lower(), scheme) + colon + rest


def _forgotten(ws: Any, give_back: Callable[[], None] | None) -> None:
    """Close what an application has left open, waiting for nobody."""
    if give_back is not None:
        give_back()
    ws._part(NORMAL_CLOSURE, "")


def _thread(thread_class: Callable[..., Any], function: Callable[[], object]) -> Any:
    thread = thread_class(target=function)
    if isinstance(thread, threading.Thread):
        with suppress(RuntimeError):
            thread.daemon = True  # else the program could not end as long as a peer stays
    return thread

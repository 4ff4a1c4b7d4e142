"""Converse within a WSGI request: send and receive at will, while somebody else reads.

`converse` takes the connection from the server, as `server.wsgi` does, and returns before the
first message. A thread or greenlet of its own reads, so that Pings are answered while the
application is busy. `Conversation.end` closes and waits; ``leave`` is how the server is left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Any

from ..codes import NORMAL_CLOSURE
from ..endpoint import Buffer
from ..exc import HandshakeError
from ..handshake import refuse
from ..messaging import TextMessage
from ..receiving import BlockingReceiver
from ..transports import thread_kit
from ..transports.handover import Environ, StartResponse, find, protocol_of
from ..websocket import WebSocket
from .acceptor import Acceptor
from .answers import plain
from .crew import crew_of
from .wsgi import Opening, not_here
from .wsgiutils import request_from_environ

__all__ = ["Connection", "Conversation", "converse", "run_beside", "turn_away", "value_of"]

logger = logging.getLogger("ws4py_ng")

# How long a peer that is refused may take to hear of it.
MOMENT = 1.0

Spawn = Callable[[Callable[[], object]], object]


class Connection(BlockingReceiver, WebSocket):
    """Send and receive at will, as a server."""


def value_of(message: Any) -> str | bytes:
    """Return what a message says: str of text, bytes of binary data."""
    return str(message) if type(message) is TextMessage else bytes(message.data)


class Conversation:
    """Hold a connection that was taken from a WSGI server, and is being read.

    One that ``is_borrowed`` the server closes when the request ends.
    """

    def __init__(self, ws: Any, host: str, kit: Any, leave: Callable[[], Iterable[bytes]], is_borrowed: bool) -> None:
        self.ws = ws
        self.host = host
        self.subprotocol: str | None = next(iter(ws.protocols or ()), None)
        self.extensions: list[str] = list(ws.extensions or ())
        self.leave = leave
        self.is_borrowed = is_borrowed
        self._ended: Any = kit.KIT.event()

    def end(self, code: int = NORMAL_CLOSURE, reason: str | Buffer = "") -> None:
        """Close, if that was not done, and wait until the connection is gone: `Limits.close_timeout` at most."""
        self.ws.close(code, reason)
        self.wait()

    def wait(self) -> None:
        """Wait until the connection is gone."""
        self._ended.wait()


def converse(
    environ: Environ,
    acceptor: Acceptor,
    *,
    start_response: StartResponse | None = None,
    spawn: Spawn | None = None,
) -> Conversation:
    """Answer the handshake of a request whose server hands over its socket; ``handlers`` is `Connection`.

    ``start_response`` tells the server what was answered, for its log. ``spawn`` runs the function that
    reads, instead of a thread or greenlet of ours. Raises HandshakeError with the status of the refusal:
    nothing was taken then, and the server can answer; OSError when the peer has left.
    """
    try:
        request = request_from_environ({**environ, "SERVER_PROTOCOL": protocol_of(environ)})
    except ValueError as error:
        raise HandshakeError(f"bad request: {error}", 400) from error
    handler, accepted = acceptor.accept(request)
    found = find(environ)
    if found is None:
        raise not_here(environ)
    kit: Any = found.kit or thread_kit
    with ExitStack() as opening:
        crew = crew_of(environ)
        opening.enter_context(crew.opening(kit))
        opened = Opening(acceptor, request, handler, accepted, environ, start_response)
        ws = opened.converse(found, kit)
        conversation = Conversation(ws, found.host, kit, found.leave, ws.sock is found.sock)
        left = opening.pop_all()

        def read() -> None:
            with left:
                try:
                    crew.serve_here(ws, kit, found.stopping)
                finally:
                    conversation._ended.set()

        (spawn or kit.KIT.spawn)(read)
    return conversation


def turn_away(environ: Environ, error: HandshakeError) -> None:
    """Answer a refusal where the server cannot be left to do it."""
    found = find(environ)
    if found is not None:
        sock, _ = found.take()
        with suppress(OSError):
            sock.settimeout(MOMENT)
            sock.sendall(plain(refuse(error)).to_bytes())
        sock.close()


def run_beside(ws: Any, kit: Any) -> None:
    """Read a connection that was made with a socket, beside whatever else runs."""
    kit.adopt(ws)
    kit.KIT.spawn(lambda: kit.serve(ws))

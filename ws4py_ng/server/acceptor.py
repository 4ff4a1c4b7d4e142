"""What every server does with a request, whatever carries it: choose a class, agree, make it.

An adapter for a server hands its request in as a `Request` and gets back the 101 to send
and the WebSocket to drive, or a HandshakeError that `refuse` makes an answer of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from ..capture.settings import Capture, CaptureOption, open_tap, settings_of
from ..capture.untapped import NO_TAP, AnyTap
from ..endpoint.checks import check_agreement
from ..exc import HandshakeError
from ..extensions import PerMessageDeflateFactory
from ..handshake import Accepted, OriginRule, Request, Response, ServerPolicy, negotiate, negotiate_hosted
from ..handshake.environ import environ_of, split_target
from ..limits import DEFAULT_LIMITS, Limits
from ..websocket import WebSocket
from .checks import check_handler, check_path
from .functions import Functions, Handler, class_of, is_router

__all__ = ["Acceptor", "Handlers", "environ_of"]

Handlers = Handler | Mapping[str, Handler] | Callable[[Request], Handler | None]


@dataclass(frozen=True, kw_only=True)
class Acceptor:
    """Hold what a server agrees to.

    ``handlers`` is one class for every path, a dict from path to class, or a function from
    a `Request`, which its parameter is called, to a class; None for 404. A path finds its key as it
    was sent, "/a%20b", else as it reads when decoded, "/a b". Where ``functions`` says
    how they are run, a function of a WebSocket stands for a class (`server.functions`).
    Raises TypeError or ValueError for what no connection could be given (`server.checks`).
    """

    handlers: Handlers
    protocols: Sequence[str] = ()
    select_subprotocol: Callable[[Sequence[str]], str | None] | None = None
    origins: Sequence[OriginRule] = ()
    deflate: bool | PerMessageDeflateFactory | None = True
    headers: Sequence[tuple[str, str]] = ()
    limits: Limits = DEFAULT_LIMITS
    heartbeat_freq: float | None = None
    capture: CaptureOption = None
    functions: Functions = None
    policy: ServerPolicy = field(init=False)
    _recorder: Capture | None = field(init=False, repr=False)
    _made: Mapping[int, type[WebSocket]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        check_agreement(self.deflate, self.heartbeat_freq, self.limits)
        deflate = PerMessageDeflateFactory() if self.deflate is True else self.deflate
        policy = ServerPolicy(
            protocols=self.protocols,
            select_subprotocol=self.select_subprotocol,
            origins=self.origins,
            extensions=[deflate] if deflate else [],
            headers=self.headers,
        )
        object.__setattr__(self, "policy", policy)
        handlers = self.handlers
        if isinstance(handlers, Mapping):
            for path in handlers:
                check_path(path)
            made = {id(handler): class_of(handler, self.functions) for handler in handlers.values()}
            object.__setattr__(self, "_made", made)
        else:
            check_handler(handlers)
            if not isinstance(handlers, type) and not is_router(handlers):
                object.__setattr__(self, "handlers", class_of(handlers, self.functions))
        object.__setattr__(self, "_recorder", settings_of(self.capture))

    @property
    def recorder(self) -> Capture | None:
        """How connections are recorded; None if they are not."""
        return self._recorder

    @property
    def captures(self) -> bool:
        """Whether connections are recorded."""
        return self._recorder is not None

    def tap(self, transport: str, local: Any, peer: Any, *, secure: bool, rebuilt: bool = False) -> AnyTap:
        """Begin to record a connection, if that is wanted; ``transport`` says what carries it."""
        deflate = next(iter(self.policy.extensions), None)
        return open_tap(
            self._recorder, "server", transport, local, peer, secure=secure, deflate=deflate, rebuilt=rebuilt
        )

    def tap_hosted(
        self, transport: str, local: Any, peer: Any, request: Request, response: Response, secure: bool
    ) -> AnyTap:
        """Begin to record a connection whose handshake another server has read and answered."""
        tap = NO_TAP
        if self._recorder is not None:
            tap = self.tap(transport, local, peer, secure=secure, rebuilt=True)
            tap.received(request.to_bytes())
            tap.sent(response.to_bytes())
        return tap

    def accept(self, request: Request) -> tuple[type[WebSocket], Accepted]:
        """Choose the class and agree; raises HandshakeError with the status of the refusal."""
        accepted = negotiate(request, self.policy)
        return self.route(request), accepted

    def accept_hosted(self, request: Request) -> tuple[type[WebSocket], str | None]:
        """Choose the class and the subprotocol where the host shakes hands itself."""
        subprotocol = negotiate_hosted(request, self.policy)
        return self.route(request), subprotocol

    def make(self, handler: type[WebSocket], accepted: Accepted, sock: Any, environ: dict[str, Any]) -> WebSocket:
        """Make the WebSocket for a request that was accepted."""
        protocols = [] if accepted.subprotocol is None else [accepted.subprotocol]
        ws = handler(sock, protocols, [extension.name for extension in accepted.extensions], environ)
        if self.heartbeat_freq is not None:
            ws.heartbeat_freq = self.heartbeat_freq
        ws._configure(self.limits, accepted.extensions)
        return ws

    def route(self, request: Request) -> type[WebSocket]:
        """Choose the class; raises HandshakeError (404) where there is none."""
        handlers = self.handlers
        if isinstance(handlers, type):
            return handlers
        path = split_target(request.target)[1]
        found: Any = _found_at(path, handlers) if isinstance(handlers, Mapping) else handlers(request)
        if found is None:
            raise HandshakeError(f"No WebSocket at {path}", HTTPStatus.NOT_FOUND.value)
        return self._made.get(id(found)) or class_of(found, self.functions)


def _found_at(path: str, handlers: Mapping[str, Handler]) -> Handler | None:
    """Look a path up as it was sent, then by what it means."""
    found = handlers.get(path)
    if found is None and "%" in path:
        with suppress(UnicodeDecodeError):
            found = handlers.get(unquote(path, errors="strict"))
    return found

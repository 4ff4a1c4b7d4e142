"""One end of a WebSocket: the hooks, and the session that calls them.

The outermost of the nested generators. `Endpoint.session` asks a provider for bytes by
yield and gets them by send; it alone turns a broken rule into a Close frame. What goes
out waits in an outbox until the transport takes it: bytes never travel by yield.

It knows no socket, no thread, no loop and no clock: `Transport` is all that it needs of
them. Without one, whoever drives the session collects `bytes_to_send`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Generator
from contextlib import suppress
from inspect import isawaitable, iscoroutine
from typing import Any, NamedTuple

from ..codes import ABNORMAL_CLOSURE, CLOSE, INTERNAL_ERROR, MAX_CLOSE_REASON, describe
from ..exc import ConnectionClosed, ProtocolError
from ..keepalive import Keepalive, PeerTimeout
from ..limits import DEFAULT_LIMITS, Limits
from ..messaging import (
    BinaryMessage,
    CloseControlMessage,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
)
from ..states import Event, State
from ..streaming import Stream
from .names import Reserving
from .sender import Sender
from .transport import SENT

__all__ = ["Ending", "Endpoint", "Step"]

logger = logging.getLogger("ws4py_ng")

Step = int | Awaitable[object]


class Ending(NamedTuple):
    """Say how a session ended: the close code, the reason, whether both Close frames passed."""

    code: int
    reason: bytes | str
    clean: bool


# What a connection ends with unless it is told otherwise; one for all.
GONE = Ending(ABNORMAL_CLOSURE, "Going away", False)


class Endpoint(Sender, Reserving):
    """Be the base of every WebSocket: subclass, and override the hooks."""

    __slots__ = (
        "_begun",
        "_ended",
        "_keepalive",
        "_limits",
    )

    def __init__(self, stream: Stream, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(stream)
        self._limits = limits
        self._keepalive = Keepalive(limits)
        self._begun = False
        self._ended = False

    # Hooks, to be overridden

    def opened(self) -> Awaitable[object] | None:
        """Be called once, when the opening handshake has succeeded."""
        return None

    def received_message(self, message: TextMessage | BinaryMessage) -> Awaitable[object] | None:
        """Be called with each complete message; ``message.data`` is bytes, ``str(message)`` text."""
        return None

    def ponged(self, pong: PongControlMessage) -> Awaitable[object] | None:
        """Be called with each Pong that does not answer a Ping of the keepalive."""
        return None

    def closed(self, code: int, reason: bytes | str | None = None) -> Awaitable[object] | None:
        """Be called once, at the end; 1006 if the peer sent no Close frame.

        ``reason`` is bytes as they came in the peer's Close frame, or a str of ours.
        """
        return None

    def unhandled_error(self, error: Exception) -> None:
        """Be called with an error of a hook or of the transport; logs it."""
        if isinstance(error, ConnectionError):
            logger.info("%s lost its connection: %s", type(self).__name__, error)
        else:
            logger.error("%s failed", type(self).__name__, exc_info=error)

    # The session

    def session(self) -> Generator[Step, Any, Ending]:
        """Run the connection from `opened` to `closed`; any provider of bytes may drive it.

        Yields an int n >= 1: send at least one byte, n are wanted; ``b""`` is the end.
        Yields an awaitable: wait for it, then send None, or throw what it raised.
        Returns how it ended. Throw into it what broke the provider.
        """
        ending = GONE
        try:
            ending = yield from self._run_hooks()
        except BaseException:
            self._abandon(ending.code, ending.reason)
            raise
        pending = self._finish(ending.code, ending.reason)
        if pending is not None:
            try:
                yield from self._pending(pending)
            except BaseException as error:
                if not self._is_failure(error):
                    raise
                self._report(error)
        return ending

    def _run_hooks(self) -> Generator[Step, Any, Ending]:
        while True:
            try:
                pending = self._begin()
                if pending is not None:
                    yield from self._pending(pending)
                return (yield from self._converse())
            except ConnectionClosed as error:
                if self._state is State.OPEN:  # it was another WebSocket that is closed
                    return self._failed_hook(error)
                if self._state is not State.CLOSING:
                    return GONE
                # A hook sent what could not be sent any more: the peer's Close is to come. Go on
                # outside of this clause, since the error holds frames, and these the session.
                logger.debug("%s: %s", type(self).__name__, error)
            except BaseException as error:
                if not self._is_failure(error):
                    raise
                return self._failed_hook(error)

    def _is_failure(self, error: BaseException) -> bool:
        """Tell whether what came out of a hook is the failure of this connection alone."""
        if isinstance(error, Exception):
            return True
        return not isinstance(error, GeneratorExit) and not self._transport.ends_all(error)

    def _converse(self) -> Generator[Step, Any, Ending]:
        stream = self._stream
        while not self._ended:
            try:
                message = stream.try_message()
            except ProtocolError as violation:
                pending = self._last_turn()
                if pending is not None:
                    yield from self._pending(pending)
                return self._fail(violation.code, violation.reason)
            kind = type(message)
            if kind is TextMessage or kind is BinaryMessage:
                pending = self.received_message(message)  # type: ignore[arg-type]
                if pending is None:
                    pending = self._crowded  # a hook that does not wait lets us wait
                if pending is not None and pending is not SENT:
                    yield from self._pending(pending)
            elif message is None:
                if stream.at_eof:
                    pending = self._last_turn()
                    if pending is not None:
                        yield from self._pending(pending)
                    return GONE
                try:
                    yield from stream.refill()
                except Exception as error:
                    return self._broken(error)
                self._keepalive.active = True
            elif (closing := stream.closing) is not None:
                return (yield from self._peer_closed(closing))
            elif isinstance(message, PingControlMessage):
                self._send_pong(message.data)
            elif isinstance(message, PongControlMessage) and not self._is_answer(message):
                pending = self.ponged(message)
                if pending is not None:
                    yield from self._pending(pending)
        return GONE  # a hook has terminated it

    def _pending(self, hook: Awaitable[object]) -> Generator[Step, Any, None]:
        """Wait for an async hook. A hook that returned something else did not mean it."""
        if isawaitable(hook):
            yield hook

    def _is_answer(self, pong: PongControlMessage) -> bool:
        """Tell whether a Pong answers a Ping of the keepalive."""
        return self._keepalive.ponged(pong.data, self._transport.now())

    def _begin(self) -> Awaitable[object] | None:
        """Call `opened`, once."""
        if self._begun or self._ended:
            return None
        self._begun = True
        self._advance(Event.OPENED)
        stream, outbox = self._stream, self._outbox
        send_frame: Any = self._send_frame
        if stream._extension is None and send_frame.__func__ is Sender._send_frame:
            outbox.new_mask_key = stream._new_mask_key if stream.always_mask else None
            # In this order: another thread may close meanwhile.
            outbox.is_plain = True
            if self._state is not State.OPEN:
                outbox.is_plain = False
        return self.opened()

    def _finish(self, code: int, reason: bytes | str) -> Awaitable[object] | None:
        """Call `closed`, once."""
        with self._transport.guard:
            if self._ended:
                return None
            self._ended = True
            self._advance(Event.ENDED)
        for tenant in self._tenants:
            tenant.ended()
        try:
            return self.closed(code, reason)
        except BaseException as error:
            if not self._is_failure(error):
                raise
            self._report(error)
            return None

    def _abandon(self, code: int, reason: bytes | str) -> None:
        """Call `closed`, once, where nobody can await it any more."""
        pending = self._finish(code, reason)
        if iscoroutine(pending):
            pending.close()

    def _peer_closed(self, closing: CloseControlMessage) -> Generator[Step, Any, Ending]:
        """Answer the peer's Close frame; a client then waits for the server to hang up (RFC 6455 7.1.1)."""
        pending = self._last_turn()
        if pending is not None:
            yield from self._pending(pending)
        self._advance(Event.CLOSE_RECEIVED)
        if self._state is not State.ENDING:
            self.close(closing.code, closing.reason)
        ending = Ending(closing.code, closing.reason, True)
        stream = self._stream
        while stream.always_mask is True and self._state is State.ENDING and not stream.at_eof:
            try:
                yield from stream.discard()
            except Exception as error:
                error.__traceback__ = None  # see _broken
                break
        return ending

    def _last_turn(self) -> Awaitable[object] | None:
        """Let whoever receives by himself answer what came before the end; hooks have done so."""
        return None

    def _fail(self, code: int, reason: str) -> Ending:
        """Fail the connection: say why and read no more (RFC 6455 7.1.7)."""
        payload = CloseControlMessage(code, _shortened(reason)).data
        with self._transport.guard:
            told = self._state is not State.OPEN
            if self._advance(Event.FAILED) and not told:
                self._append(CLOSE, payload)
        logger.info("%s fails the connection: %s %s", type(self).__name__, describe(code), reason)
        with suppress(ConnectionClosed):
            self._transport.written()
        return Ending(code, reason, False)

    def _failed_hook(self, error: BaseException) -> Ending:
        self._report(error)
        return self._fail(INTERNAL_ERROR, "Internal error")

    def _broken(self, error: Exception) -> Ending:
        """End without the peer: the provider broke, or the peer's time is up."""
        if isinstance(error, PeerTimeout):
            logger.info("%s is given up: %s", type(self).__name__, error)
            if self._state is State.OPEN:
                self._fail(INTERNAL_ERROR, str(error))
            error.__traceback__ = None  # whoever threw the error in holds it, and it holds his frame
            return Ending(ABNORMAL_CLOSURE, str(error), False)
        self._report(error)
        error.__traceback__ = None
        return GONE

    def _report(self, error: BaseException) -> None:
        try:
            self.unhandled_error(error if isinstance(error, Exception) else _failure(self, error))
        except BaseException as worse:
            if not self._is_failure(worse):
                raise
            logger.exception("%s.unhandled_error failed", type(self).__name__)

    def _tick(self, now: float) -> float:
        """Send a Ping or a heartbeat if it is due; return when to call again.

        Raises PeerTimeout when the peer's time is up: throw it into the session.
        """
        if self._state is State.OPEN:
            return self._keepalive.tick(now, self._send_ping, self._send_pong)
        return self._keepalive.closing(now)


def _failure(endpoint: Endpoint, error: BaseException) -> Exception:
    """Say by an Exception, which is what `unhandled_error` takes, that a hook or a function let out what is none."""
    failure = RuntimeError(f"{type(endpoint).__name__} let {type(error).__name__} out")
    failure.__cause__ = error
    return failure


def _shortened(reason: str) -> bytes:
    """Cut a reason of ours to what a Close frame holds, between two characters."""
    return reason.encode("utf-8")[:MAX_CLOSE_REASON].decode("utf-8", "ignore").encode("utf-8")

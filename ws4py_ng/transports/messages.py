"""Whole messages, for a host that keeps the frames to itself (ASGI).

`MessageStream` stands where a `Stream` stands, so that the same session, hooks and senders
run; what it takes and makes are the host's events instead of bytes. `HostChannel` carries
them. Neither knows who the host is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias

from ..codes import (
    ABNORMAL_CLOSURE,
    BINARY,
    CLOSE,
    CONTINUATION,
    MESSAGE_TOO_BIG,
    NO_STATUS_RECEIVED,
    NORMAL_CLOSURE,
    TEXT,
)
from ..exc import ProtocolError
from ..limits import Limits
from ..messaging import BinaryMessage, CloseControlMessage, Message, TextMessage, new_message
from ..shared import Shared, SharedMessage
from .kits import Kit, Scope

__all__ = ["HostChannel", "HostEvent", "MessageStream", "Receive", "Send"]

HostEvent: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[HostEvent]]
Send: TypeAlias = Callable[[HostEvent], Awaitable[None]]


# So many events are sent before others have their turn.
BREATH = 4


class MessageStream:
    """Take ``websocket.receive`` and ``websocket.disconnect`` events, and make those to send."""

    always_mask = False
    expect_masking = False
    _extension = "the host's"  # it has its own way to encode

    def __init__(self, limits: Limits) -> None:
        self.closing: CloseControlMessage | None = None
        self.at_eof = False
        self.has_input = False
        self._limits = limits
        self._event: HostEvent | None = None
        self._parts: list[bytes] = []
        self._opcode = TEXT

    def try_message(self) -> Message | None:
        """Return the message that came, None when an event is wanted for that."""
        event, self._event = self._event, None
        if event is None:
            return None
        if event["type"] == "websocket.disconnect":
            return self._disconnected(event)
        text: str | None = event.get("text")
        if text is not None:
            self._check_size(len(text))  # a character has at least a byte
            payload = text.encode("utf-8")
            self._check_size(len(payload))
            message = new_message(TextMessage)
            message.data, message._text = payload, text
            return message
        payload = bytes(event.get("bytes") or b"")
        self._check_size(len(payload))
        binary = new_message(BinaryMessage)
        binary.data = payload
        return binary

    def _check_size(self, size: int) -> None:
        limit = self._limits.max_message_size
        if size > limit:
            raise ProtocolError(MESSAGE_TOO_BIG, f"Message of more than {limit} bytes")

    def _disconnected(self, event: HostEvent) -> Message | None:
        code = event.get("code", NO_STATUS_RECEIVED)
        if code is None or code == ABNORMAL_CLOSURE:
            self.at_eof = True
            return None
        self.closing = CloseControlMessage(code, event.get("reason") or "")
        return self.closing

    def refill(self) -> Generator[int, Any, None]:
        """Starve for the next event; none is the end."""
        event = yield 1
        if event:
            self._event = event
        else:
            self.at_eof = True

    discard = refill

    def encode(self, opcode: int, data: bytes, outbox: list[Any], fin: bool = True) -> int:
        """Append the event that sends a message; fragments wait until it is whole.

        Raises NotImplementedError for Ping and Pong: the host has its own.
        """
        if opcode == CLOSE:
            code = int.from_bytes(data[:2], "big") if data else NORMAL_CLOSURE
            outbox.append({"type": "websocket.close", "code": code, "reason": bytes(data[2:]).decode("utf-8")})
            return len(data)
        if opcode > CLOSE:
            raise NotImplementedError(
                "ASGI has no Ping and no Pong for applications: the server sends its own (uvicorn --ws-ping-interval)"
            )
        if opcode != CONTINUATION:
            self._opcode, self._parts = opcode, []
        if not fin or self._parts:
            self._parts.append(bytes(data))
            if not fin:
                return 0
            data, self._parts = b"".join(self._parts), []
        if self._opcode == BINARY:
            outbox.append({"type": "websocket.send", "bytes": bytes(data)})
        else:
            outbox.append({"type": "websocket.send", "text": str(data, "utf-8")})
        return len(data)

    def share(self, message: SharedMessage) -> Shared:
        """Return the event that sends a message which others are sent as well."""
        shared = message.frames.get("event")
        if shared is None:
            outbox: list[HostEvent] = []
            size = self.encode(message.opcode, message.data, outbox)
            shared = message.frames["event"] = Shared(outbox[0], size)
        return shared

    def use_extension(self, extension: object) -> None:
        """Refuse: compression is the host's."""
        raise NotImplementedError("ASGI leaves extensions to the server")

    def _set_limits(self, limits: Limits) -> None:
        self._limits = limits

    def _cleanup(self) -> None:
        self._parts = []
        self._event = None
        self.closing = None


class HostChannel:
    """Carry events from ``receive`` and to ``send``, and be able to give up on both."""

    def __init__(self, receive: Receive, send: Send, kit: Kit) -> None:
        self._receive = receive
        self._send = send
        self._kit = kit
        self._waiting: set[Scope] = set()
        # Nothing may be sent behind a close or a disconnect.
        self._over = False
        # What the host raised when it was told to close: it does not, and only it could.
        self.refused: BaseException | None = None

    async def read(self, size: int) -> HostEvent:
        """Return the next event."""
        event: HostEvent = await self._interruptible(self._receive())
        if event["type"] == "websocket.disconnect":
            self._over = True
        return event

    async def write(self, pieces: list[HostEvent], moved: Callable[[], object]) -> None:
        """Send events, one after the other: each waits until the host has taken it."""
        for number, event in enumerate(pieces, 1):
            if self._over:
                return
            if number % BREATH == 0:
                # A host that takes all at once does not let its loop notice that the peer is gone.
                await self._kit.breathe()
            closing = self._over = event["type"] == "websocket.close"
            try:
                await self._interruptible(self._send(event))
            except ConnectionAbortedError as error:
                self.refused = error.__cause__ if closing else None
                raise
            moved()

    async def hang_up(self, heard_out: bool) -> None:
        """Leave the rest to the host."""

    def cut_off(self) -> None:
        """Give up what is waited for; the host closes the connection when the application returns."""
        for scope in self._waiting:
            scope.cancel()

    async def _interruptible(self, awaitable: Awaitable[Any]) -> Any:
        scope = self._kit.scope()
        self._waiting.add(scope)
        try:
            with scope:
                return await awaitable
        except OSError:
            raise
        except Exception as error:
            # The host, and each middleware before it, has its own way to say that the peer is gone.
            raise ConnectionAbortedError(f"{type(error).__name__} of the ASGI server: {error}") from error
        finally:
            self._waiting.discard(scope)
        raise ConnectionAbortedError("The connection was given up")

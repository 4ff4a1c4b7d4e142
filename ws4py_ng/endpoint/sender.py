"""The sending half of an endpoint: send, ping, close, and the outbox they fill.

Bytes never travel by yield: a frame is encoded and put into the outbox under the
transport's guard, so that the order of the compressor is the order of the wire, and the
transport sends it when it sees fit.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from .._core import BUILD, Outbox
from ..codes import (
    BINARY,
    CLOSE,
    CONTINUATION,
    INTERNAL_ERROR,
    MAX_CLOSE_REASON,
    MAX_CONTROL_PAYLOAD,
    NO_STATUS_RECEIVED,
    NORMAL_CLOSURE,
    PING,
    PONG,
    TEXT,
    describe,
    is_sendable,
)
from ..exc import ConnectionClosed
from ..messaging import CloseControlMessage, Message
from ..shared import SharedMessage
from ..states import NEXT, Event, State
from ..streaming import Stream
from .transport import NO_TRANSPORT, SENT, Tenant, Transport

__all__ = ["Buffer", "Payload", "Sender"]

Buffer = bytes | bytearray | memoryview
Payload = str | Buffer | Message | Iterable["str | Buffer"] | AsyncIterable["str | Buffer"]

OPEN = State.OPEN
# Whether `Outbox.put` needs no guard: see there.
IN_ONE_STEP = BUILD == "compiled"
# What `Outbox.put` returns if the transport comes and looks by itself.
KEPT = 2
# For isinstance: a union would be made anew by each call.
BUFFERS = (bytes, bytearray)

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Sender:
    """Send on one connection, from any thread that its transport knows."""

    # Read for every message, and kept out of the instance's dict, which grows beyond 30 names.
    __slots__ = (
        "__weakref__",
        "_crowded",
        "_outbox",
        "_state",
        "_stream",
        "_tenants",
        "_transport",
        "_waited_for",
    )

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._transport: Transport = NO_TRANSPORT
        self._state = OPEN
        self._outbox = Outbox()
        # Set by a transport whose sends do not block: what a session is to wait for before it goes on.
        self._crowded: Awaitable[object] | None = None
        # Who sends to many connections, this one among them.
        self._tenants: tuple[Tenant, ...] = ()
        # So many of them have something that waits, which must not be overtaken.
        self._waited_for = 0

    def send(self, payload: Payload, binary: bool = False) -> Any:
        """Send one message.

        A str is text. Bytes are text as well, unless ``binary``. An iterable of them is
        sent as one message, a fragment for each (RFC 6455 5.4); where hooks may be ``async def``
        an async iterable as well, each piece as it comes. A Message goes as it is.

        Returns what the transport returns: None when it blocks; else an awaitable that may
        be ignored, or awaited until the peer keeps up. Raises ConnectionClosed when the
        WebSocket is closing or closed, ValueError for bytes that are no text, and for
        anything else; BufferError beyond ``Limits.max_unsent``, if nobody awaits.
        """
        if type(payload) is bytes:
            if binary:
                opcode = BINARY
            else:
                opcode = TEXT
                _checked_text(payload)
        elif type(payload) is str:
            opcode = TEXT
            payload = payload.encode("utf-8")
        else:
            return self._send_other(payload, binary)
        if IN_ONE_STEP and (done := self._outbox.put(opcode, payload)):
            return SENT if done == KEPT else self._transport.written()
        return self._send_frame(opcode, payload)

    def _send_other(self, payload: Payload, binary: bool) -> Any:
        if isinstance(payload, str):
            return self._send_frame(TEXT, payload.encode("utf-8"))
        if isinstance(payload, memoryview):
            payload = payload.tobytes()
        if isinstance(payload, BUFFERS):
            return self._send_frame(BINARY, payload) if binary else self._send_frame(TEXT, _checked_text(payload))
        if isinstance(payload, Message):
            if payload.opcode in (TEXT, BINARY):
                return self._send_frame(payload.opcode, payload.data)
            return self._send_control(payload.opcode, payload.data)
        if isinstance(payload, Iterable) and not isinstance(payload, dict):
            return self._send_fragments(_encoded(payload, not binary), BINARY if binary else TEXT)
        if isinstance(payload, AsyncIterable):
            if self._state is not OPEN or self._outbox.is_full:
                self._refuse()
            pieces = _encoded_async(payload, not binary)
            return self._transport.fragments.send(pieces, BINARY if binary else TEXT)
        raise ValueError(f"Cannot send {type(payload).__name__}: expected str, bytes, a Message or an iterable of them")

    def ping(self, message: str | Buffer) -> Any:
        """Send a Ping of at most 125 bytes; the Pong comes to `ponged` (RFC 6455 5.5.2)."""
        return self._send_control(PING, _said(message, "A Ping's message"))

    def close(self, code: int = NORMAL_CLOSURE, reason: str | Buffer = "") -> Any:
        """Begin the closing handshake, or answer the peer's (RFC 6455 7.1.2); once.

        Code 1005 sends a Close frame without a code. Raises ValueError for a code that
        must not be sent and for a reason of more than 123 bytes.
        """
        if not hasattr(code, "__index__"):
            raise TypeError(f"A close code is an int, got {code!r}")
        if code == NO_STATUS_RECEIVED:
            payload = b""
        elif is_sendable(code):
            text = _said(reason, "A close reason")
            if len(text) > MAX_CLOSE_REASON:
                raise ValueError(f"A close reason has at most {MAX_CLOSE_REASON} bytes, got {len(text)}")
            text.decode("utf-8")  # a UnicodeDecodeError is a ValueError
            payload = CloseControlMessage(code, text).data
        else:
            raise ValueError(f"Close code {describe(code)} cannot be sent: use 1000 to 1014 or 3000 to 4999")
        if not self._append_close(payload):
            return None
        try:
            return self._transport.written()
        except ConnectionClosed:
            return None  # the peer is gone: nothing is left to close

    def _append_close(self, payload: bytes) -> bool:
        with self._transport.guard:
            advances = self._advance(Event.CLOSE_SENT)
            if advances:
                self._append(CLOSE, payload)
        return advances

    def _send_frame(self, opcode: int, data: Buffer, fin: bool = True) -> Any:
        transport = self._transport
        outbox = self._outbox
        guard = transport.guard
        waits = done = 0
        guard.acquire()  # `with` takes twice the time
        try:
            if not IN_ONE_STEP and fin and opcode and type(data) is bytes:
                done = outbox.put(opcode, data)
            if not done:
                if self._state is not OPEN or outbox.is_full:
                    self._refuse()
                waits = outbox.is_fragmenting and opcode
                if not waits:
                    self._append(opcode, data, fin)
        finally:
            guard.release()
        if done == KEPT:
            return SENT
        if waits:
            return transport.fragments.wait(partial(self._send_frame, opcode, data, fin), len(data))
        if fin and not opcode and self._tenants:
            self._relieved()
        return transport.written()

    def _refuse(self) -> None:
        if self._state is not OPEN:
            raise ConnectionClosed(f"Cannot send on a terminated websocket: it is {self._state.value}")
        raise BufferError("More than Limits.max_unsent bytes wait for a peer that does not keep up: await send()")

    def _send_control(self, opcode: int, payload: bytes) -> Any:
        if opcode not in (CLOSE, PING, PONG):
            raise ValueError(f"Opcode {opcode} cannot be sent: expected that of text, binary data, Close, Ping or Pong")
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"A control frame has at most {MAX_CONTROL_PAYLOAD} bytes, got {len(payload)}")
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else NO_STATUS_RECEIVED
            return self.close(code, payload[2:])
        with self._transport.guard:
            if self._state is not OPEN or self._outbox.is_full:
                self._refuse()
            self._append(opcode, payload)
        return self._transport.written()

    def _send_fragments(self, pieces: Iterator[bytes], opcode: int) -> Any:
        """Send each piece when the next one shows that it is not the last."""
        must_wait = self._outbox.is_fragmenting
        if must_wait:
            return self._transport.fragments.wait(partial(self._send_fragments, pieces, opcode), 0)
        with self._transport.fragments:
            try:
                last = next(pieces, b"")
                for piece in pieces:
                    self._send_frame(opcode, last, fin=False)
                    opcode = CONTINUATION
                    last = piece
                    if self._crowded is not None:
                        return self._transport.fragments.send(_chained(last, pieces), CONTINUATION)
                return self._send_frame(opcode, last)
            except BaseException:
                # Half a message was sent: nothing may follow it but a Close frame.
                if self._outbox.is_fragmenting and self._state is OPEN:
                    self.close(INTERNAL_ERROR, "A message broke off")
                raise

    def _append(self, opcode: int, data: Buffer, fin: bool = True) -> None:
        pieces: list[bytes] = []
        size = self._stream.encode(opcode, data, pieces, fin)
        outbox = self._outbox
        if not fin:
            outbox.is_fragmenting = True  # before the first is there, and until the last one is
        outbox.add(pieces, size, 1)
        if fin and opcode == CONTINUATION:
            outbox.is_fragmenting = False

    # For who sends to many: see `Transport.post`

    def _put(self, message: SharedMessage, room: float) -> bool:
        """Put a message that others are sent as well into the outbox, if that holds less than ``room`` bytes."""
        with self._transport.guard:
            if self._state is not State.OPEN:
                self._refuse()
            outbox = self._outbox
            if outbox.is_fragmenting or outbox.is_full or outbox.size >= room:
                return False
            shared = self._stream.share(message)
            outbox.add([shared.piece], shared.size, 0)
        return True

    def _part(self, code: int, reason: str) -> None:
        """Begin the closing handshake without waiting for anybody."""
        if self._append_close(CloseControlMessage(code, reason).data):
            with suppress(ConnectionClosed):
                self._transport.push()

    def _relieved(self) -> None:
        """Tell who sends to many that there is room again."""
        for tenant in self._tenants:
            tenant.has_room()

    def bytes_to_send(self) -> bytes:
        """Take what is to be sent, if no transport does; for a session driven by hand."""
        sent = b"".join(self._take_outbox())
        self._relieved()
        return sent

    def _take_outbox(self) -> list[bytes]:
        with self._transport.guard:
            return self._outbox.take()

    def _send_if_open(self, opcode: int, payload: bytes) -> None:
        """Send a control frame that nobody waits for: nothing, once we are closing."""
        with self._transport.guard:
            if self._state is not OPEN:
                return
            self._append(opcode, payload)
        self._transport.written()

    def _send_ping(self, payload: bytes) -> None:
        self._send_if_open(PING, payload)

    def _send_pong(self, payload: bytes) -> None:
        """Answer a Ping (RFC 6455 5.5.2), or beat."""
        self._send_if_open(PONG, payload)

    def _advance(self, event: Event) -> bool:
        """Move in the table of the closing handshake; False if the event does not count."""
        state = NEXT.get((self._state, event))
        if state is None:
            return False
        self._state = state
        if state is not OPEN:
            self._outbox.is_plain = False
        return True

    def _lost(self) -> None:
        """Take note that the transport is gone: what is sent from now on raises."""
        self._advance(Event.ENDED)


def _encoded(pieces: Iterable[str | Buffer], is_text: bool) -> Iterator[bytes]:
    """Make bytes of each piece, before the next one is asked for: it may reuse the buffer.

    Text must be UTF-8 all together; a character may be cut.
    """
    decoder = _new_decoder("strict")
    for piece in pieces:
        data = _to_bytes(piece)
        if is_text:
            decoder.decode(data)  # a UnicodeDecodeError is a ValueError
        yield data
    if is_text:
        decoder.decode(b"", True)


async def _encoded_async(pieces: AsyncIterable[str | Buffer], is_text: bool) -> AsyncIterator[bytes]:
    """Do what `_encoded` does."""
    decoder = _new_decoder("strict")
    async for piece in pieces:
        data = _to_bytes(piece)
        if is_text:
            decoder.decode(data)
        yield data
    if is_text:
        decoder.decode(b"", True)


async def _chained(last: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Go on with the rest of an iterator."""
    yield last
    for piece in pieces:
        yield piece


def _to_bytes(piece: object) -> bytes:
    if isinstance(piece, str):
        return piece.encode("utf-8")
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    raise ValueError(f"Cannot send {type(piece).__name__} as a fragment: expected str or bytes")


def _said(value: object, what: str) -> bytes:
    """Make the bytes of what goes into a control frame; ``bytes(5)`` would be five of them."""
    if isinstance(value, str):
        return value.encode("utf-8")
    if hasattr(value, "__bytes__"):
        return bytes(value)
    try:
        return bytes(memoryview(value))  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{what} is str or bytes, got {value!r}") from None


def _checked_text(payload: Buffer) -> Buffer:
    try:
        str(payload, "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"These bytes are not UTF-8 text ({error.reason} at byte {error.start}): send(payload, binary=True)"
        ) from None
    return payload

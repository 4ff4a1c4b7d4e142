"""Frames to messages and back: fragments, UTF-8, extensions (RFC 6455 5.4 to 8).

The second of the nested generators. `try_message` is a plain method: it returns the next
message or None; only then `refill` starves for bytes. A Stream knows no transport, no
hooks, and does not answer by itself: it raises `ProtocolError`.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from ._core import FrameReader, apply_mask, encode_frame, frame_head
from ._core.mask_keys import fresh_mask_key
from .codes import (
    CLOSE,
    CONTINUATION,
    MESSAGE_TOO_BIG,
    NO_STATUS_RECEIVED,
    PING,
    TEXT,
)
from .exc import InvalidCloseError, ProtocolError
from .limits import DEFAULT_LIMITS, Limits
from .messaging import (
    BinaryMessage,
    CloseControlMessage,
    Message,
    PingControlMessage,
    PongControlMessage,
    TextMessage,
    invalid_utf8,
    new_message,
    parse_close,
)
from .shared import Shared, SharedMessage, shared_frame
from .utf8validator import Utf8Validator  # noqa: F401 - it was here in ws4py

if TYPE_CHECKING:
    from .extensions import Extension

__all__ = ["Stream"]

Buffer = bytes | bytearray | memoryview

# ws4py's name for them; what may be sent is said by `codes.is_sendable`.
VALID_CLOSING_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011]

# From here on a payload is handed on beside its header, as it is if it is not masked.
LARGE = 16 * 1024
# What `FrameReader.try_frame` returns for a message in one frame that no extension changed.
WHOLE_TEXT, WHOLE_BINARY = 0x181, 0x182
# What DEFLATE may add to data that it cannot shrink: up to 4 % with little memory, and an end.
_DEFLATE_OVERHEAD = 64

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Stream:
    """Hold both directions of one connection's frames.

    ``always_mask`` masks what is sent (clients), ``expect_masking`` is what the peer must
    do (servers). Feed it by `try_message` and `refill`, or in ws4py's way by ``parser``:
    ``send(bytes)`` returns how many bytes are wanted, and the outcome is in ``message``,
    ``pings``, ``pongs``, ``closing`` and ``errors``.
    """

    def __init__(
        self,
        always_mask: bool = False,
        expect_masking: bool = True,
        limits: Limits = DEFAULT_LIMITS,
        new_mask_key: Callable[[], bytes] = fresh_mask_key,
    ) -> None:
        self.message: Message | None = None
        self.closing: CloseControlMessage | None = None
        self.always_mask = always_mask
        self._expect_masking = expect_masking
        self._new_mask_key = new_mask_key
        self._parser: Generator[int, Buffer | None, None] | None = None
        self._extension: Extension | None = None
        # The message in progress, if it is not in one piece.
        self._opcode = 0
        self._compressed = False
        self._parts: bytearray | None = None
        self._utf8: codecs.IncrementalDecoder | None = None
        self._checked = 0
        # The message that is being sent in fragments is compressed.
        self._compressing = False
        self._set_limits(limits)

    def _set_limits(self, limits: Limits) -> None:
        self._limits = limits
        self._reader = FrameReader(self._expect_masking, limits.frame_budget, limits.fragment_budget)

    @property
    def expect_masking(self) -> bool:
        """Whether the peer's frames must be masked; otherwise they must not."""
        return self._expect_masking

    @expect_masking.setter
    def expect_masking(self, value: bool) -> None:
        self._expect_masking = value
        self._reader.expect_mask = value

    def use_extension(self, extension: Extension) -> None:
        """Apply the extension that the opening handshake agreed on (RFC 6455 9.1)."""
        extension.bound(self._limits)
        self._extension = extension
        self._reader.allowed_rsv = extension.rsv
        self._reader.slack = self._limits.max_message_size // 16 + _DEFLATE_OVERHEAD

    # Receiving

    def try_message(self) -> Message | None:
        """Return the next message of any kind, or None when bytes are wanted for that.

        Raises ProtocolError for what the peer may not do.
        """
        reader = self._reader
        while first := reader.try_frame():
            if first == WHOLE_BINARY:
                message: Message = new_message(BinaryMessage)
                message.data = reader.payload
                return message
            if first == WHOLE_TEXT and self._utf8 is None:
                text = new_message(TextMessage)
                text.data = payload = reader.payload
                try:
                    text._text = payload.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise invalid_utf8(error) from None
                return text
            if first & CLOSE:  # the bit that all control frames have
                return self._control(first & 0x0F, reader.payload)
            whole = self._assembled(first & 0x0F)
            if whole is not None:
                return whole
        if reader.partial is not None:
            self._check_partial()
        return None

    def refill(self) -> Generator[int, Buffer, None]:
        """Starve for the bytes that `try_message` wants; none is the end of the stream."""
        return self._reader.refill()

    def discard(self) -> Generator[int, Buffer, None]:
        """Starve for the end of the stream; bytes before it are dropped, however many they are."""
        self._reader.forget()
        self._reader.need = 1
        return self._reader.refill()

    @property
    def at_eof(self) -> bool:
        """Whether the bytes have ended."""
        return self._reader.at_eof

    @property
    def missing(self) -> int:
        """Bytes that are missing of a payload that is coming; 0 if there is none."""
        return self._reader.missing

    @property
    def has_input(self) -> bool:
        """Whether a whole frame waits that was not looked at yet."""
        return self._reader.has_frame()

    def _check_partial(self) -> None:
        """Check the text that came of a frame whose rest is on its way."""
        reader = self._reader
        if reader.opcode == TEXT and not reader.rsv:
            self._begin(TEXT)
        if self._utf8 is not None and not self._compressed:
            partial = reader.partial
            assert partial is not None
            self._check_text(partial.piece(self._checked), final=False)
            self._checked = len(partial)

    def _begin(self, opcode: int) -> None:
        if self._opcode == 0:
            self._opcode = opcode
            self._compressed = self._reader.rsv != 0
            if opcode == TEXT:
                self._utf8 = _new_decoder("strict")

    def _check_text(self, piece: bytes, final: bool) -> None:
        assert self._utf8 is not None
        try:
            self._utf8.decode(piece, final)
        except UnicodeDecodeError as error:
            raise invalid_utf8(error) from None

    def _assembled(self, opcode: int) -> Message | None:
        """Add the frame that the reader stands on; return the message that it completes."""
        reader = self._reader
        if opcode and reader.rsv and reader.fin:
            return self._unpacked(opcode, reader.payload)
        if opcode:
            self._begin(opcode)
        payload, fin = reader.payload, reader.fin
        held = len(self._parts) if self._parts is not None else 0
        budget = self._limits.max_message_size - held
        if self._compressed:
            assert self._extension is not None
            payload = self._extension.decompress(payload, fin, budget)
        elif len(payload) > budget:
            raise _too_big(self._limits)
        if self._opcode == TEXT:
            self._check_text(payload[self._checked :], fin)
        self._checked = 0
        if self._parts is not None:
            self._parts += payload
        elif not fin:
            self._parts = bytearray(payload)
        if not fin:
            self._set_budget(held + len(payload))
            return None
        if self._parts is not None:
            payload = bytes(self._parts)
            self._parts = None
        opcode = self._opcode
        self._opcode = 0
        self._utf8 = None
        if self._compressed or held:
            self._compressed = False
            self._set_budget(0)
        message: Message = new_message(TextMessage if opcode == TEXT else BinaryMessage)
        message.data = payload
        return message

    def _unpacked(self, opcode: int, payload: bytes) -> Message:
        """Return the message that one compressed frame is."""
        assert self._extension is not None
        payload = self._extension.decompress(payload, True, self._limits.max_message_size)
        if opcode != TEXT:
            binary = new_message(BinaryMessage)
            binary.data = payload
            return binary
        text = new_message(TextMessage)
        text.data = payload
        try:
            text._text = payload.decode("utf-8")
        except UnicodeDecodeError as error:
            raise invalid_utf8(error) from None
        return text

    def _set_budget(self, held: int) -> None:
        """Lower what the next frame may have by what the message holds already."""
        budget = min(self._limits.frame_budget, self._limits.max_message_size - held)
        self._reader.max_payload = budget + self._reader.slack if self._compressed else budget

    def _control(self, opcode: int, payload: bytes) -> Message:
        if opcode == PING:
            return PingControlMessage(payload)
        if opcode != CLOSE:
            return PongControlMessage(payload)
        self.closing = parse_close(payload)
        return self.closing

    # Sending

    def encode(self, opcode: int, data: Buffer, outbox: list[bytes], fin: bool = True) -> int:
        """Append a frame to the outbox, compressed if that was agreed and is worth it.

        ``opcode`` is 0 for a fragment that continues a message. Returns the bytes added.
        """
        extension = self._extension
        first = (0x80 if fin else 0) | opcode
        if extension is not None and opcode < CLOSE:
            if opcode != CONTINUATION:
                self._compressing = extension.should_compress(len(data), fin)
                if self._compressing:
                    first |= extension.rsv
            if self._compressing:
                data = extension.compress(data, fin)
        key = self._new_mask_key() if self.always_mask else None
        if len(data) < LARGE:
            frame = encode_frame(first, data, key)
            outbox.append(frame)
            return len(frame)
        head = frame_head(first, len(data), key)
        outbox.append(head)
        outbox.append(bytes(data) if key is None else apply_mask(data, key))
        return len(head) + len(data)

    def share(self, message: SharedMessage) -> Shared:
        """Return the frame of a message that others are sent as well; the next to be appended to the outbox."""
        return shared_frame(self, message, self._extension, self._new_mask_key)

    # In the manner of ws4py: made when it is asked for, which few programs do

    @cached_property
    def pings(self) -> list[PingControlMessage]:
        """The Pings that `parser` has found."""
        return []

    @cached_property
    def pongs(self) -> list[PongControlMessage]:
        """The Pongs that `parser` has found."""
        return []

    @cached_property
    def errors(self) -> list[CloseControlMessage]:
        """What the peer did wrong, as `parser` has found."""
        return []

    @property
    def parser(self) -> Generator[int, Buffer | None, None]:
        """The generator of `receiver`, ready to be sent bytes."""
        if self._parser is None:
            self._parser = self.receiver()
            next(self._parser)
        return self._parser

    def receiver(self) -> Generator[int, Buffer | None, None]:
        """Parse for ever; the outcome is in the attributes. Errors do not end it."""
        reader = self._reader
        while True:
            try:
                message = self.try_message()
            except InvalidCloseError as error:
                self.closing = CloseControlMessage(NO_STATUS_RECEIVED, error.reason)
                self.errors.append(CloseControlMessage(error.code, error.reason))
                reader.forget()
            except ProtocolError as error:
                self.errors.append(CloseControlMessage(error.code, error.reason))
                reader.forget()
            else:
                if isinstance(message, PingControlMessage):
                    self.pings.append(message)
                elif isinstance(message, PongControlMessage):
                    self.pongs.append(message)
                elif message is not None and not isinstance(message, CloseControlMessage):
                    self.message = message
                elif message is None:
                    self._show_progress()
                if message is not None:
                    continue
            data = yield max(reader.need, 1)
            if data:
                reader.feed(data)

    def _show_progress(self) -> None:
        """Let ``message`` be the one in progress; its data comes when it is complete."""
        if self._parts is not None and (self.message is None or self.message.completed):
            self.message = TextMessage() if self._opcode == TEXT else BinaryMessage()

    @property
    def has_message(self) -> bool:
        """Whether ``message`` is there and complete."""
        return self.message is not None and self.message.completed

    def text_message(self, text: str | bytes) -> TextMessage:
        """Return a text message ready to be sent."""
        return TextMessage(text)

    def binary_message(self, bytes: Buffer) -> BinaryMessage:
        """Return a binary message ready to be sent."""
        return BinaryMessage(bytes)

    def close(self, code: int = 1000, reason: str | bytes = "") -> CloseControlMessage:
        """Return a Close ready to be sent."""
        return CloseControlMessage(code, reason)

    def ping(self, data: str | bytes = "") -> bytes:
        """Return the frame of a Ping."""
        return PingControlMessage(data).single(mask=self.always_mask)

    def pong(self, data: str | bytes = "") -> bytes:
        """Return the frame of a Pong."""
        return PongControlMessage(data).single(mask=self.always_mask)

    def _cleanup(self) -> None:
        """Let go of everything; the stream is of no use afterwards."""
        if self._parser is not None:
            with suppress(ValueError):  # it is running: this was called from within
                self._parser.close()
        self._parser = None
        self.message = None
        self.closing = None
        for name in ("pings", "pongs", "errors"):
            self.__dict__.pop(name, None)


def _too_big(limits: Limits) -> ProtocolError:
    return ProtocolError(MESSAGE_TOO_BIG, f"Message of more than {limits.max_message_size} bytes")

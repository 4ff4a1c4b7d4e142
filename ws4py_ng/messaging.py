"""Messages: what an application receives, and may send (RFC 6455 5.4 to 5.6).

A message that was received is complete, and its ``data`` stays as it is for as long as
you keep it.
"""

from __future__ import annotations

from struct import Struct

from ._core import encode_frame
from ._core.mask_keys import fresh_mask_key
from .codes import (
    BINARY,
    CLOSE,
    CONTINUATION,
    INVALID_PAYLOAD,
    NO_STATUS_RECEIVED,
    NORMAL_CLOSURE,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    is_sendable,
)
from .exc import InvalidCloseError, ProtocolError
from .framing import (
    OPCODE_BINARY,
    OPCODE_CLOSE,
    OPCODE_CONTINUATION,
    OPCODE_PING,
    OPCODE_PONG,
    OPCODE_TEXT,
)

__all__ = [
    "BinaryMessage",
    "CloseControlMessage",
    "Message",
    "PingControlMessage",
    "PongControlMessage",
    "TextMessage",
    "invalid_utf8",
    "new_message",
    "parse_close",
]

_compat = (OPCODE_BINARY, OPCODE_CLOSE, OPCODE_CONTINUATION, OPCODE_PING, OPCODE_PONG, OPCODE_TEXT)
_pack_code = Struct("!H").pack

# Makes a message without the checks of its constructor.
new_message = object.__new__

Data = str | bytes | bytearray | memoryview


class Message:
    """Hold a message: its opcode, and its payload as bytes in ``data``.

    ``encoding`` is that of text, None for bytes that mean none. ``completed`` is False
    while fragments are missing. Raises TypeError for data that is neither text nor bytes.
    """

    # What holds for a message that was received: only its data is stored for each.
    opcode: int
    encoding: str | None = "utf-8"
    completed = True
    data: bytes

    def __init__(self, opcode: int, data: Data = b"", encoding: str | None = "utf-8") -> None:
        self.opcode = opcode
        self.encoding = encoding
        self.completed = False
        self.data = self._to_bytes(data)

    @property
    def is_text(self) -> bool:
        """Tell whether this is a text message."""
        return self.opcode == TEXT

    @property
    def is_binary(self) -> bool:
        """Tell whether this is a binary message."""
        return self.opcode == BINARY

    def single(self, mask: bool = False) -> bytes:
        """Return the message as one frame, masked with a random key on demand."""
        return self._frame(0x80 | self.opcode, mask)

    def fragment(self, first: bool = False, last: bool = False, mask: bool = False) -> bytes:
        """Return ``data`` as one fragment of a message (RFC 6455 5.4)."""
        return self._frame((0x80 if last else 0) | (self.opcode if first else CONTINUATION), mask)

    def extend(self, data: Data) -> None:
        """Add to ``data``."""
        self.data += self._to_bytes(data)

    def _frame(self, first: int, mask: bool) -> bytes:
        return encode_frame(first, self.data, fresh_mask_key() if mask else None)

    def _to_bytes(self, data: Data) -> bytes:
        if isinstance(data, str):
            if not self.encoding:
                raise TypeError("Text needs an encoding to become the data of a message")
            return data.encode(self.encoding)
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        raise TypeError(f"The data of a message is str or bytes, got {type(data).__name__}")

    def __len__(self) -> int:
        return len(str(self))

    def __str__(self) -> str:
        if self.encoding is None:
            raise TypeError("Binary data is not text, see .data")
        return self.data.decode(self.encoding)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.data)} bytes>"


class TextMessage(Message):
    """Hold a text message; ``text`` and ``str()`` are its characters, ``len()`` their number."""

    opcode = TEXT
    is_text = True
    is_binary = False
    _text: str

    def __init__(self, text: Data | None = None) -> None:
        super().__init__(TEXT, b"" if text is None else text)

    @property
    def text(self) -> str:
        """The message's characters, decoded once."""
        try:
            text = self._text
        except AttributeError:
            text = self._text = self.data.decode(self.encoding or "utf-8")
        return text

    def extend(self, data: Data) -> None:
        """Add to ``data``."""
        super().extend(data)
        if hasattr(self, "_text"):
            del self._text

    def __str__(self) -> str:
        return self.text


class BinaryMessage(Message):
    """Hold a binary message; ``len()`` counts bytes."""

    opcode = BINARY
    is_text = False
    is_binary = True
    encoding = None

    def __init__(self, bytes: Data | None = None) -> None:  # ws4py's name for it
        super().__init__(BINARY, b"" if bytes is None else bytes, encoding=None)

    def __len__(self) -> int:
        return len(self.data)


class CloseControlMessage(Message):
    """Hold a Close: ``code``, and ``reason`` as bytes. ``data`` is both, as on the wire.

    Code 1005, or None, stands for a Close frame without any (RFC 6455 7.1.5).
    """

    def __init__(self, code: int | None = NORMAL_CLOSURE, reason: Data = "") -> None:
        self.encoding = "utf-8"
        self.code = code = NO_STATUS_RECEIVED if code is None else code
        self.reason = self._to_bytes(reason)
        payload = b"" if code == NO_STATUS_RECEIVED else _pack_code(code) + self.reason
        super().__init__(CLOSE, payload)

    def __str__(self) -> str:
        return self.reason.decode("utf-8")

    def __repr__(self) -> str:
        return f"<CloseControlMessage {self.code} {self.reason!r}>"


class PingControlMessage(Message):
    """Hold a Ping with at most 125 bytes (RFC 6455 5.5.2)."""

    def __init__(self, data: Data = b"") -> None:
        super().__init__(PING, data)


class PongControlMessage(Message):
    """Hold a Pong with at most 125 bytes (RFC 6455 5.5.3)."""

    def __init__(self, data: Data = b"") -> None:
        super().__init__(PONG, data)


def parse_close(payload: bytes) -> CloseControlMessage:
    """Read a Close frame's payload (RFC 6455 5.5.1, 7.4)."""
    if not payload:
        return CloseControlMessage(NO_STATUS_RECEIVED)
    if len(payload) == 1:
        raise InvalidCloseError(PROTOCOL_ERROR, "Close frame with a payload of one byte")
    code = payload[0] << 8 | payload[1]
    if not is_sendable(code):
        raise InvalidCloseError(PROTOCOL_ERROR, f"Invalid Closing Frame Code: {code}")
    try:
        payload[2:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_utf8(error) from None
    return CloseControlMessage(code, payload[2:])


def invalid_utf8(error: UnicodeDecodeError) -> ProtocolError:
    """Return the error for text that is none (RFC 6455 8.1)."""
    return ProtocolError(INVALID_PAYLOAD, f"Invalid UTF-8: {error.reason}")

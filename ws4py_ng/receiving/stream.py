"""A Stream that does not wait for the end of a message: what came of it is handed on, in pieces.

A message that comes in one frame and one read is whole, as ever. Of any other one each piece is a
message of its own that is not ``completed``, up to the last: so a large message passes in little
memory. The text of a piece may be cut within a character; all of it is checked as it comes, and
counted: what the peer may not do ends the connection behind the pieces that came before.
"""

from __future__ import annotations

from typing import Any

from ..codes import MESSAGE_TOO_BIG, TEXT
from ..exc import ProtocolError
from ..messaging import BinaryMessage, Message, TextMessage, new_message
from ..streaming import WHOLE_BINARY, Stream

__all__ = ["PieceStream"]

# Bytes that are inflated at once: they become a thousand times as many at most.
SIP = 1024


class PieceStream(Stream):
    """Hold both directions of one connection's frames, and no message longer than it takes to hand it on."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held = 0
        # Of a compressed frame: what is not inflated yet, whether the message ends with it.
        self._rest: bytes | None = None
        self._rest_is_last = False

    def try_message(self) -> Message | None:
        """Return the next message of any kind, or a piece of one; None when bytes are wanted for that.

        Raises ProtocolError for what the peer may not do.
        """
        while self._rest is not None:
            piece = self._inflated()
            if piece is not None:
                return piece
        message = super().try_message()
        if message is not None or self._reader.partial is None:
            return message
        return self._cut()

    def _check_partial(self) -> None:
        """Leave it to `_cut`."""

    def _cut(self) -> Message | None:
        """Take what came of a frame whose rest is on its way."""
        reader = self._reader
        partial = reader.partial
        assert partial is not None
        data = partial.take()
        if reader.first == WHOLE_BINARY & 0xFF:  # the rest of it comes as if it were all
            return _new_piece(BinaryMessage, data, completed=False) if data else None
        if reader.opcode:
            self._begin(reader.opcode)
        return self._piece(data, is_last=False)

    def _assembled(self, opcode: int) -> Message | None:
        """Take the rest of the frame that the reader stands on."""
        reader = self._reader
        if opcode:
            self._begin(opcode)
        return self._piece(reader.payload, is_last=reader.fin)

    def _piece(self, data: bytes, *, is_last: bool) -> Message | None:
        if not self._compressed:
            return self._handed_on(data, is_last)
        self._rest, self._rest_is_last = data, is_last
        piece = None
        while piece is None and self._rest is not None:
            piece = self._inflated()
        return piece

    def _inflated(self) -> Message | None:
        """Inflate some of what waits for that."""
        rest = self._rest
        assert rest is not None
        assert self._extension is not None
        sip = rest[:SIP]
        self._rest = rest[SIP:] or None
        is_last = self._rest_is_last and self._rest is None
        data = self._extension.decompress(sip, is_last, self._limits.max_message_size - self._held)
        return self._handed_on(data, is_last)

    def _handed_on(self, data: bytes, is_last: bool) -> Message | None:
        """Make a piece; None of nothing, unless it is the last."""
        self._held += len(data)
        limit = self._limits.max_message_size
        if self._held > limit:
            raise ProtocolError(MESSAGE_TOO_BIG, f"Message of more than {limit} bytes")
        is_text = self._opcode == TEXT
        if is_text:
            self._check_text(data, is_last)
        if is_last:
            self._opcode = self._held = 0
            self._utf8 = None
            self._compressed = False
        self._set_budget(self._held)
        if not data and not is_last:
            return None
        return _new_piece(TextMessage if is_text else BinaryMessage, data, completed=is_last)


def _new_piece(kind: type[Message], data: bytes, *, completed: bool) -> Message:
    piece: Message = new_message(kind)
    piece.data = data
    piece.completed = completed
    return piece

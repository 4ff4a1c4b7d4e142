"""What came and is not received yet: in order, in bounded memory, whole or in pieces.

It waits for nobody and has no lock: `blocking` and `awaited` do that around it.
"""

from __future__ import annotations

import codecs
from collections import deque
from typing import Any

from ..codes import GOING_AWAY, NO_STATUS_RECEIVED, NORMAL_CLOSURE, TEXT, describe
from ..exc import ConnectionClosed
from ..messaging import BinaryMessage, TextMessage, new_message

__all__ = ["OVER", "QUIET_ENDS", "Growing", "Inbox", "Received", "next_of"]

# What a message costs beside its bytes.
PLACE = 512
# Parts of a message that are kept apart, however small they are. A part costs 40 bytes beside its own.
MANY = 1024
# Iterating ends quietly on these: they are how a conversation ends that has nothing more to say.
QUIET_ENDS = frozenset({NORMAL_CLOSURE, GOING_AWAY, NO_STATUS_RECEIVED})

Received = TextMessage | BinaryMessage

# What `next_of` returns behind the last piece.
OVER: Any = object()

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Growing:
    """Be a message of which more is to come, or that is taken in pieces."""

    def __init__(self, message: Received) -> None:
        self.is_text = message.opcode == TEXT
        self.is_complete = False
        self.is_left = False  # nobody wants the rest
        self.size = PLACE
        self.parts: deque[bytes] = deque()
        self._decoder = _new_decoder("strict")
        self._yielded = False

    def add(self, message: Received) -> None:
        """Add what came; where there are many parts already, to the last one if that is small."""
        if len(self.parts) >= MANY and len(self.parts[-1]) < PLACE:
            self.parts[-1] += message.data
        else:
            self.parts.append(message.data)
        self.size += len(message.data)
        self.is_complete = message.completed

    @property
    def is_over(self) -> bool:
        """Whether all of it was taken."""
        return self.is_complete and not self.parts

    def whole(self) -> Received:
        """Join it."""
        kind: type[Received] = TextMessage if self.is_text else BinaryMessage
        message: Received = new_message(kind)
        message.data = b"".join(self.parts)
        return message

    def next_piece(self) -> str | bytes | None:
        """Take a piece; None when there is none for now, or none any more."""
        while self.parts:
            data = self.parts.popleft()
            self.size -= len(data)
            is_last = self.is_complete and not self.parts
            piece = self._decoder.decode(data, is_last) if self.is_text else data
            if piece or (is_last and not self._yielded):
                self._yielded = True
                return piece
        return None


class Inbox:
    """Hold messages up to ``limit`` bytes, and one more read; ``ending`` says how the connection ended."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.ending: tuple[int, str] | None = None
        # Receivers that wait for a whole message: it may be longer than the limit.
        self.wanted = 0
        # Messages that were taken, or begun: who waits for their end sees that somebody is at work.
        self.count = 0
        self._waiting: deque[Received | Growing] = deque()
        self._size = 0
        self._growing: Growing | None = None
        self._taken: Growing | None = None
        self._is_shut = False

    def put(self, message: Received) -> None:
        """Add a message, or a piece of one: all but the last are not ``completed``."""
        if self._is_shut:
            return
        growing = self._growing
        if growing is None:
            if message.completed:
                self._waiting.append(message)
                self._size += len(message.data) + PLACE
                return
            growing = self._growing = Growing(message)
            self._waiting.append(growing)
            self._size += PLACE
        if not growing.is_left:
            growing.add(message)
            self._size += len(message.data)
        if message.completed:
            self._growing = None

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be read for now."""
        if self._size <= self.limit or self._is_shut:
            return False
        return not (self.wanted and self._waiting and self._waiting[0] is self._growing)

    @property
    def is_empty(self) -> bool:
        """Whether no whole message waits to be taken."""
        head = self._waiting[0] if self._waiting else None
        return head is None or (isinstance(head, Growing) and not head.is_complete)

    def shut(self) -> None:
        """Take no more: whoever closes need not receive what comes still and has no room."""
        self._is_shut = True

    def end(self, code: int, reason: bytes | str | None) -> None:
        """Take note of how the connection ended."""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes | bytearray) else reason or ""
        self.ending = code, text

    def take(self) -> Received | None:
        """Take a whole message; None if there is none yet. Raises ConnectionClosed behind the last one."""
        self._leave_taken()
        head = self._waiting[0] if self._waiting else None
        if head is None or (isinstance(head, Growing) and not head.is_complete):
            self._check_end()
            return None
        self._waiting.popleft()
        self.count += 1
        if isinstance(head, Growing):
            self._size -= head.size
            return head.whole()
        self._size -= len(head.data) + PLACE
        return head

    def begin(self) -> Growing | None:
        """Take the beginning of a message, to be taken in pieces; as `take`."""
        self._leave_taken()
        if not self._waiting:
            self._check_end()
            return None
        head = self._waiting.popleft()
        self.count += 1
        if not isinstance(head, Growing):
            whole, head = head, Growing(head)
            head.add(whole)
        self._taken = head
        return head

    def next_piece(self, growing: Growing) -> str | bytes | None:
        """Take the next piece of a message; None if there is none yet, or none any more (``is_over``).

        Raises ConnectionClosed if the rest does not come any more, RuntimeError if another message
        was received meanwhile.
        """
        if growing.is_left:
            raise RuntimeError("The rest of this message is gone: another one was received meanwhile")
        before = growing.size
        piece = growing.next_piece()
        self._size -= before - growing.size
        if growing.is_over:
            if growing is self._taken:
                self._taken = None
                self._size -= growing.size
        elif piece is None:
            self._check_end()
        return piece

    def _leave_taken(self) -> None:
        """Drop what is left of the message that was taken in pieces."""
        taken, self._taken = self._taken, None
        if taken is not None:
            taken.is_left = True
            taken.parts.clear()
            self._size -= taken.size

    def _check_end(self) -> None:
        if self.ending is not None:
            code, reason = self.ending
            because = f": {reason}" if reason else ""
            raise ConnectionClosed(f"The connection is closed, {describe(code)}{because}", code, reason)


def next_of(inbox: Inbox, growing: Growing) -> Any:
    """Take the next piece of a message as `Inbox.next_piece` does, or `OVER`."""
    piece = inbox.next_piece(growing)
    return OVER if piece is None and growing.is_over else piece

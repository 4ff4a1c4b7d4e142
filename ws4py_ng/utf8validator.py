"""UTF-8 checked piece by piece, as it comes (RFC 6455 8.1, RFC 3629)."""

from __future__ import annotations

import codecs

__all__ = ["Utf8Validator"]

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Utf8Validator:
    """Check a text that comes in pieces. ``i`` counts the bytes that were valid so far."""

    UTF8_ACCEPT = 0
    UTF8_REJECT = 1

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin a new text."""
        self._decoder = _new_decoder("strict")
        self.state = self.UTF8_ACCEPT
        self.i = 0

    def validate(self, ba: bytes | bytearray | memoryview) -> tuple[bool, bool, int, int]:
        """Check one more piece.

        Returns whether all is valid so far, whether the piece ends on a whole character,
        how many bytes of the piece are valid, and how many of the whole text.
        """
        if self.state == self.UTF8_REJECT:
            return False, False, 0, self.i
        pending = len(self._decoder.getstate()[0])
        try:
            self._decoder.decode(ba)
        except UnicodeDecodeError as error:
            valid = max(error.start - pending, 0)
            self.i += valid
            self.state = self.UTF8_REJECT
            return False, False, valid, self.i
        self.i += len(ba)
        return True, not self._decoder.getstate()[0], len(ba), self.i

    def decode(self, b: int) -> int:
        """Check one more byte; return UTF8_ACCEPT at the end of a character, UTF8_REJECT for
        a wrong byte, and 2 in between."""
        valid, at_end, _, _ = self.validate(bytes((b,)))
        return self.UTF8_REJECT if not valid else self.UTF8_ACCEPT if at_end else 2

"""Keep secrets out of a capture: values of headers and of query parameters become asterisks.

A head is held back until it is complete, since a value may come in two reads. As many asterisks as
there were bytes, so that the chunks keep their boundaries; what is secret keeps its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["SECRET", "HeadFilter", "redact_head"]

SECRET: Final = ("authorization", "cookie", "proxy-authorization", "set-cookie")

MAX_HELD: Final = 1024 * 1024
"""Bytes that are held back of a head without end; what comes then is not recorded as it is any more."""

_END: Final = re.compile(rb"\r?\n\r?\n")
_INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9][0-9]")
_LINE: Final = re.compile(rb"[^\n]*\n?")


class HeadFilter:
    """Take the chunks of one direction, and give them back once they may be recorded.

    Each chunk comes back with what was given along with it. ``head`` is the head, redacted, once it is
    complete; ``done`` says that chunks need not come here any more.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self.head = b""
        self.done = False
        self._secrets = frozenset(name.lower().encode("latin-1", "replace") for name in secrets)
        self._held: list[tuple[int, bytes]] = []
        self._data = bytearray()

    def feed(self, stamp: int, chunk: bytes) -> list[tuple[int, bytes]]:
        """Take a chunk; give those that may be recorded now."""
        self._held.append((stamp, chunk))
        self._data += chunk
        start = 0
        while (match := _END.search(self._data, start)) is not None:
            if not _INTERIM.match(self._data, start):
                return self._release(match.end())
            start = match.end()  # RFC 9110 15.2: another head follows
        return self._release(len(self._data)) if len(self._data) > MAX_HELD else []

    def finish(self) -> list[tuple[int, bytes]]:
        """Give what is held back, of a head that came to no end."""
        return self._release(len(self._data)) if self._held else []

    def _release(self, end: int) -> list[tuple[int, bytes]]:
        self.done = True
        self.head = redact_head(bytes(self._data[:end]), self._secrets)
        data = self.head + bytes(self._data[end:])
        released = []
        for stamp, chunk in self._held:
            released.append((stamp, data[: len(chunk)]))
            data = data[len(chunk) :]
        self._held = []
        self._data.clear()
        return released


def redact_head(head: bytes, secrets: frozenset[bytes]) -> bytes:
    """Put asterisks in the place of secret values; the length stays.

    A line that begins with a blank goes on with the one before it, as old HTTP had it.
    """
    if not secrets:
        return head
    lines = []
    hidden = False
    for number, line in enumerate(_LINE.findall(head)):
        if number == 0:
            lines.append(_redact_query(line, secrets))
            continue
        body = line.rstrip(b"\r\n")
        name, colon, value = body.partition(b":")
        if body[:1] not in (b" ", b"\t"):
            hidden = name.strip().lower() in secrets
        elif hidden:
            name, colon, value = b"", b"", body
        if hidden:
            line = name + colon + _stars(value) + line[len(body) :]
        lines.append(line)
    return b"".join(lines)


def _redact_query(line: bytes, secrets: frozenset[bytes]) -> bytes:
    """Redact the query of a request line."""
    start, mark, rest = line.partition(b"?")
    if not mark:
        return line
    query, blank, version = rest.partition(b" ")
    pairs = []
    for pair in query.split(b"&"):
        name, equals, value = pair.partition(b"=")
        pairs.append(name + equals + (b"*" * len(value) if name.lower() in secrets else value))
    return start + mark + b"&".join(pairs) + blank + version


def _stars(value: bytes) -> bytes:
    """Replace all but the blanks before a value."""
    blanks = len(value) - len(value.lstrip(b" \t"))
    return value[:blanks] + b"*" * (len(value) - blanks)

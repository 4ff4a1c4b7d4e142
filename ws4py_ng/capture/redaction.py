"""Keep secrets out of a capture: values of headers and of query parameters become asterisks.

A head is held back until it is complete, since a value may come in two reads. As many asterisks as
there were bytes, so that the chunks keep their boundaries; what is secret keeps its length.

Frames follow an answer of 101. Behind any other one more heads may come, and the peer may repeat what it
was told: all that is asterisks, but for the body that says why nothing came of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

__all__ = ["SECRET", "Redaction", "redact_head"]

SECRET: Final = ("authorization", "cookie", "proxy-authorization", "set-cookie")

MAX_HELD: Final = 1024 * 1024
"""Bytes that are held back of one direction, of a head without end or until there is an answer."""

_END: Final = re.compile(rb"\r?\n\r?\n")
_INTERIM: Final = re.compile(rb"HTTP/1\.[01] 1(?!01)[0-9][0-9]")
_SWITCHES: Final = re.compile(rb"HTTP/1\.[01] 101\b")
_CLOSES: Final = re.compile(rb"\nconnection:[ \t]*close[ \t]*\r?\n", re.IGNORECASE)
_LINE: Final = re.compile(rb"[^\n]*\n?")
# A server may take semicolons for ends of a parameter, or for a part of its value: both are seen to.
_PARAMETER: Final = re.compile(rb"[?&;]([^?&;=#\s]*)=")
_VALUE: Final = re.compile(rb"[^&#\s]*")
# Headers that have a URL, in whose query a secret parameter is one as well.
_URLS: Final = frozenset({b"location", b"referer"})

Released = list[tuple[bool, int, bytes]]


class Redaction:
    """Take the chunks of a connection, and give them back once they may be recorded.

    Each comes back with its direction and what was given along with it. ``request`` is the head of the
    request, redacted, once it is complete; ``done`` says that chunks need not come here any more.
    """

    def __init__(self, secrets: Iterable[str], by_client: bool) -> None:
        self.request: bytes | None = None
        self.done = False
        names = frozenset(name.lower().encode("latin-1", "replace") for name in secrets)
        self._keeps_all = not names
        self._asked = _Direction(by_client, names)
        self._answered = _Direction(not by_client, names)
        self._decided = False
        self._keeps_body = False

    @property
    def has_secrets(self) -> bool:
        """Tell whether there was something to hide in a head."""
        return self._asked.has_secrets or self._answered.has_secrets

    def feed(self, outgoing: bool, stamp: int, chunk: bytes) -> Released:
        """Take a chunk; give those that may be recorded now."""
        side = self._asked if outgoing is self._asked.outgoing else self._answered
        side.feed(stamp, chunk)
        return self._release()

    def finish(self, outgoing: bool) -> Released:
        """Give what is held back of a direction that has ended; behind an answer nothing more is asked."""
        self._asked.finish()
        if outgoing is self._answered.outgoing:
            self._answered.finish()
        return self._release() + self._asked.release(self._keeps_all)

    def _release(self) -> Released:
        asked, answered = self._asked, self._answered
        if not self._decided:
            if asked.head is None:
                return []
            self.request = asked.head
            if answered.head is None and asked.size <= MAX_HELD:
                return asked.release(True) if self._keeps_all or not asked.has_rest else []
            self._decide(answered.head or b"")
        released = asked.release(self.done) + answered.release(self.done or self._keeps_body)
        return sorted(released, key=lambda each: each[1])

    def _decide(self, answer: bytes) -> None:
        self._decided = True
        self.done = self._keeps_all or _SWITCHES.match(answer) is not None
        # Behind a head that ends the connection comes no other one. What was secret is often quoted.
        self._keeps_body = _CLOSES.search(answer) is not None and not self._asked.has_secrets


class _Direction:
    """Hold back what comes in one direction."""

    def __init__(self, outgoing: bool, secrets: frozenset[bytes]) -> None:
        self.outgoing = outgoing
        self.head: bytes | None = None
        self.has_secrets = False
        self._secrets = secrets
        self._held: list[tuple[int, bytes]] = []
        self._data = bytearray()
        self._start = 0  # of the head that may be the last
        self._end = 0  # of the head, in what is held

    @property
    def size(self) -> int:
        """Count what is held back."""
        return len(self._data)

    @property
    def has_rest(self) -> bool:
        """Tell whether there is more than the head."""
        return len(self._data) > self._end

    def feed(self, stamp: int, chunk: bytes) -> None:
        """Take a chunk."""
        self._held.append((stamp, chunk))
        self._data += chunk
        while self.head is None and (match := _END.search(self._data, self._start)) is not None:
            if not _INTERIM.match(self._data, self._start):
                self._complete(match.end())
            self._start = match.end()  # RFC 9110 15.2: another head follows
        if self.head is None and len(self._data) > MAX_HELD:
            self.finish()

    def finish(self) -> None:
        """Take what there is for the head, if that came to no end."""
        if self.head is None:
            self._complete(len(self._data))

    def release(self, keeps_rest: bool) -> Released:
        """Give what is held, if the head is complete; its rest as it is, or in asterisks."""
        if self.head is None:
            return []
        data = bytes(self._data)
        if not keeps_rest:
            data = data[: self._end] + b"*" * (len(data) - self._end)
        released = []
        for stamp, chunk in self._held:
            released.append((self.outgoing, stamp, data[: len(chunk)]))
            data = data[len(chunk) :]
        self._held.clear()
        self._data.clear()
        self._end = 0
        return released

    def _complete(self, end: int) -> None:
        head = bytes(self._data[:end])
        self.head = redact_head(head, self._secrets)
        self.has_secrets = self.head != head
        self._data[:end] = self.head
        self._end = end


def redact_head(head: bytes, secrets: frozenset[bytes]) -> bytes:
    """Put asterisks in the place of secret values; the length stays.

    A line that begins with a blank goes on with the one before it, as old HTTP had it.
    """
    if not secrets:
        return head
    lines = []
    hidden = has_url = False
    is_first = True
    for line in _LINE.findall(head):
        if is_first:
            is_first = not line.strip()
            lines.append(_redact_query(line, secrets))
            continue
        body = line.rstrip(b"\r\n")
        name, colon, value = body.partition(b":")
        if body[:1] not in (b" ", b"\t"):
            hidden = name.strip().lower() in secrets
            has_url = name.strip().lower() in _URLS
        elif hidden:
            name, colon, value = b"", b"", body
        if hidden:
            line = name + colon + _stars(value) + line[len(body) :]
        elif has_url:
            line = _redact_query(line, secrets)
        lines.append(line)
    return b"".join(lines)


def _redact_query(line: bytes, secrets: frozenset[bytes]) -> bytes:
    """Redact the query of the URL in a line; it ends with a blank, a fragment or the line."""
    safe = bytearray(line)
    for name in _PARAMETER.finditer(line):
        value = _VALUE.match(line, name.end())
        if value is not None and unquote_to_bytes(name[1]).lower() in secrets:
            safe[value.start() : value.end()] = b"*" * len(value[0])
    return bytes(safe)


def _stars(value: bytes) -> bytes:
    """Replace all but the blanks before a value."""
    blanks = len(value) - len(value.lstrip(b" \t"))
    return value[:blanks] + b"*" * (len(value) - blanks)

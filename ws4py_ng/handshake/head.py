"""Heads of HTTP/1.1 requests and responses, from and to bytes (RFC 9112).

`receive_request` and `receive_response` are hungry generators: they yield how many bytes
they lack, take what there is, and return the message and the bytes behind it. What is left
over belongs to WebSocket frames and is never lost.

Lines are taken as they come and checked when they are complete, so that delivery in single
bytes is linear and an error does not wait for an end of head that may never come. Which
error it is does not depend on how the bytes were cut. Each wrong line end, blank, or
control character that one implementation forgives and another does not is a way to smuggle
a request past a proxy: none is forgiven, but for blanks before the colon and a missing
reason phrase in responses, which smuggle nothing and are seen in the wild.

It knows nothing of WebSocket.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import ClassVar, Final, TypeAlias

from ..exc import HandshakeError
from ..limits import DEFAULT_LIMITS, Limits
from .headers import Headers, is_field_value, is_token

__all__ = ["Chunk", "Request", "Response", "receive_request", "receive_response"]

Chunk: TypeAlias = bytes | bytearray | memoryview

HTTP_1_1: Final = "HTTP/1.1"
SWITCHING_PROTOCOLS: Final = 101

_END: Final = b"\r\n\r\n"
_PREFIX: Final = b"HTTP/"
_MAX_SHOWN = 32

_TARGET = re.compile(r"[\x21-\x7e]+")
_VERSION = re.compile(r"HTTP/[0-9]\.[0-9]")
_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_FIRST_BYTE = re.compile(_TCHAR)
_REQUEST_LINE = re.compile(rb"%b+ [\x21-\x7e]+ HTTP/[0-9]\.[0-9]" % _TCHAR)
_STATUS_LINE = re.compile(rb"(HTTP/[0-9]\.[0-9]) ([1-9][0-9]{2})(?: (.*))?")
_HEADER = re.compile(rb"(%b+)([ \t]*):(.*)" % _TCHAR)
# A head without its first line and the empty one, in which there is nothing to be said against.
_GOOD_HEADERS = re.compile(rb"(?:%b+:[\t\x20-\x7e\x80-\xff]*\r\n)*+" % _TCHAR)
_GOOD_HEADER = re.compile(r"([^:]+):([^\r]*)\r\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# What is wrong with a line that is no header; the first that matches says it.
_HEADER_FAULTS: Final = (
    (re.compile(rb"[ \t]"), "a header line that begins with a blank (folding is obsolete, RFC 9112 5.2)"),
    (re.compile(rb"[^:]*\Z"), "a header line without a colon"),
    (re.compile(rb""), "a header name that is not a token (RFC 9110 5.6.2)"),
)


@cache
def _standard_phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Request:
    """Hold the head of a request. Raises ValueError for what would not stay in its place."""

    method: str
    target: str
    headers: Headers = field(default_factory=Headers)
    version: str = HTTP_1_1

    def __post_init__(self) -> None:
        if not is_token(self.method):
            raise ValueError(f"method {self.method!r} is not a token (RFC 9110 9.1)")
        if not _TARGET.fullmatch(self.target):
            raise ValueError(f"target {self.target!r} has more than visible ASCII, expected the rest as %XX")
        _check_version(self.version)

    def to_bytes(self) -> bytes:
        """Give the request as it travels."""
        line = f"{self.method} {self.target} {self.version}\r\n"
        return line.encode("ascii") + self.headers.to_bytes() + b"\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """Hold a response. A ``reason`` of None stands for the standard phrase of the status.

    Raises ValueError and TypeError for what could not be sent.
    """

    status: int
    headers: Headers = field(default_factory=Headers)
    reason: str | None = None
    body: bytes = b""
    version: str = HTTP_1_1

    def __post_init__(self) -> None:
        if not isinstance(self.status, int):
            raise TypeError(f"status is {self.status!r}, expected an int")
        if not isinstance(self.body, Chunk):
            raise TypeError(f"body is {type(self.body).__name__}, expected bytes")
        if type(self.headers) is not Headers:  # pairs and a mapping will do
            object.__setattr__(self, "headers", Headers(self.headers))
        if not 100 <= self.status <= 999:
            raise ValueError(f"status {self.status!r}, expected three digits")
        if self.reason is not None and not is_field_value(self.reason):
            raise ValueError(f"reason {self.reason!r} has a control character or one that is not latin-1")
        _check_version(self.version)

    @property
    def status_text(self) -> str:
        """Give status and reason for people: ``403 Forbidden``."""
        reason = _standard_phrase(self.status) if self.reason is None else self.reason
        return f"{self.status} {reason}".rstrip()

    def to_bytes(self) -> bytes:
        """Give the response as it travels; Content-Length is left to the headers."""
        # RFC 9112 4: the blank behind the status stays when there is no reason.
        reason = _standard_phrase(self.status) if self.reason is None else self.reason
        line = f"{self.version} {self.status} {reason}\r\n"
        return line.encode("latin-1") + self.headers.to_bytes() + b"\r\n" + self.body


def _check_version(version: str) -> None:
    if version != HTTP_1_1 and not _VERSION.fullmatch(version):
        raise ValueError(f"version {version!r}, expected {HTTP_1_1!r}")


def receive_request(limits: Limits = DEFAULT_LIMITS) -> Generator[int, Chunk, tuple[Request, bytes]]:
    """Read the head of a request; return it and the bytes behind it.

    Raises HandshakeError, with the status that refuses it, or None when the peer left
    without a byte.
    """
    head = _RequestHead(limits)
    leftover = yield from _receive(head)
    return Request(head.method, head.target, head.headers, head.version), leftover


def receive_response(limits: Limits = DEFAULT_LIMITS) -> Generator[int, Chunk, tuple[Response, bytes]]:
    """Read the head of a response; return it and the bytes behind it.

    Interim responses such as 103 are skipped (RFC 9110 15.2); together with the final one
    they have the space of one head. Raises HandshakeError with status None: what cannot be
    read is no HTTP answer.
    """
    spent, leftover = 0, b""
    while True:
        head = _ResponseHead(limits, spent)
        leftover = yield from _receive(head, leftover)
        if head.status >= 200 or head.status == SWITCHING_PROTOCOLS:
            return Response(head.status, head.headers, head.reason, version=head.version), leftover
        spent = head.spent


def _receive(head: _Head, data: bytes = b"") -> Generator[int, Chunk, bytes]:
    """Feed a head until it is complete; return what is left over."""
    leftover = head.feed(data) if data else None
    while leftover is None:
        chunk = yield head.need
        if not len(chunk):
            raise head.cut()
        leftover = head.feed(bytes(chunk))
    return leftover


class _Head(ABC):
    """Collect one head, line by line; a plain object that tries and never waits."""

    noun: ClassVar[str]
    # The statuses of the errors: None on the client's side, which answers nothing.
    malformed: ClassVar[int | None] = None
    long_first_line: ClassVar[int | None] = None
    too_large: ClassVar[int | None] = None
    forgives_blanks: ClassVar[bool] = False  # before the colon

    def __init__(self, limits: Limits, spent: int = 0) -> None:
        self.headers = Headers.checked([])
        self.version = HTTP_1_1
        self.spent = spent  # bytes in complete lines
        self._limits = limits
        self._line = bytearray()
        self._begun = False  # the first line is complete

    @property
    def need(self) -> int:
        """Say how many bytes are missing at least: the rest of CRLF CRLF, as far as it matches."""
        at_line_start = self._begun and (not self._line or self._line == b"\r")
        matched = (2 if at_line_start else 0) + self._line.endswith(b"\r")
        return len(_END) - matched

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; give those behind the head once it is complete."""
        end = -1 if self._begun or self._line else data.find(_END)
        if end > 0 and self._take_whole(data[: end + 2]):
            return data[end + len(_END) :]
        start = 0
        while True:
            if not self._begun and len(self._line) < len(_PREFIX):
                self.check_begin(bytes(self._line + data[start : start + _MAX_SHOWN])[:_MAX_SHOWN])
            end = data.find(b"\n", start) + 1
            self._check_size((end or len(data)) - start, complete=end > 0)
            self._line += data[start : end or len(data)]
            if not end:
                return None
            if self._take_line():
                return data[end:]
            start = end

    def _take_whole(self, head: bytes) -> bool:
        """Take a head that came in one piece, if it is good; what is wrong with another its lines will tell."""
        limits = self._limits
        first_line, _, fields = head.partition(b"\r\n")
        if len(head) + 2 > limits.max_head_size - self.spent or not _GOOD_HEADERS.fullmatch(fields):
            return False
        if len(head) > limits.max_line_size and max(map(len, head.split(b"\r\n"))) > limits.max_line_size:
            return False
        self.check_begin(first_line[:_MAX_SHOWN])
        pairs = _GOOD_HEADER.findall(fields.decode("latin-1"))
        if len(pairs) > limits.max_headers or _CONTROL.search(first_line):
            return False
        self.take_first_line(first_line)
        self.headers = Headers.checked([(name, value.strip(" \t")) for name, value in pairs])
        self.spent += len(head) + 2
        return True

    def cut(self) -> HandshakeError:
        """Make the error for an end of file."""
        if not self.spent and not self._line:
            return HandshakeError(f"the peer closed without sending anything, expected a {self.noun}")
        return HandshakeError(f"the peer closed in the middle of a {self.noun}", self.malformed)

    @abstractmethod
    def check_begin(self, begin: bytes) -> None:
        """Refuse at once what cannot become the first line."""

    @abstractmethod
    def take_first_line(self, line: bytes) -> None:
        """Parse the request line or the status line."""

    def take_header(self, line: bytes) -> None:
        """Parse a header line."""
        match = _HEADER.fullmatch(line)
        if match is None:
            raise self.fault(next(text for pattern, text in _HEADER_FAULTS if pattern.match(line)))
        if match[2] and not self.forgives_blanks:
            raise self.fault("a blank before the colon of a header (RFC 9112 5.1)")
        if len(self.headers) == self._limits.max_headers:
            raise self._excess("header lines", "max_headers", self._limits.max_headers, self.too_large)
        self.headers.add_checked(match[1].decode("ascii"), match[3].decode("latin-1"))

    def fault(self, what: str) -> HandshakeError:
        """Make the error for a head that breaks the grammar."""
        return HandshakeError(f"malformed {self.noun}: {what}", self.malformed)

    def _check_size(self, more: int, *, complete: bool) -> None:
        """Refuse a line that is or will be too long, before it is kept.

        Which limit is named depends on what is left of each, not on how much came at once.
        """
        line_limit = self._limits.max_line_size + len(b"\r\n")
        head_limit = self._limits.max_head_size - self.spent
        # A line that lacks its end grows by one byte at least.
        if len(self._line) + more + (not complete) <= min(line_limit, head_limit):
            return
        status = self.too_large if self._begun else self.long_first_line
        if line_limit < head_limit:
            raise self._excess("bytes in a line", "max_line_size", self._limits.max_line_size, status)
        raise self._excess("bytes in its head", "max_head_size", self._limits.max_head_size, status)

    def _excess(self, what: str, name: str, limit: int, status: int | None) -> HandshakeError:
        return HandshakeError(f"the {self.noun} has more than {limit} {what} (Limits.{name})", status)

    def _take_line(self) -> bool:
        """Take the line that is complete; tell whether it was the last one."""
        line = bytes(self._line)
        self._line.clear()
        self.spent += len(line)
        if not line.endswith(b"\r\n"):
            raise self.fault("a line that ends with a bare LF, expected CRLF (RFC 9112 2.2)")
        line = line[:-2]
        control = _CONTROL.search(line)
        if control:
            raise self.fault(f"control character 0x{control[0][0]:02x} in a line (RFC 9110 5.5)")
        if self._begun and not line:
            return True
        if self._begun:
            self.take_header(line)
        else:
            self.take_first_line(line)
            self._begun = True
        return False


class _RequestHead(_Head):
    noun = "request"
    malformed = HTTPStatus.BAD_REQUEST.value
    long_first_line = HTTPStatus.REQUEST_URI_TOO_LONG.value
    too_large = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE.value

    method = ""
    target = ""

    def check_begin(self, begin: bytes) -> None:
        if begin and not _FIRST_BYTE.match(begin):
            raise HandshakeError(f"not an HTTP request{_shown(begin)}", self.malformed)

    def take_first_line(self, line: bytes) -> None:
        if not _REQUEST_LINE.fullmatch(line):
            raise self.fault("a bad request line, expected 'GET /path HTTP/1.1' (RFC 9112 3)")
        self.method, self.target, self.version = line.decode("ascii").split(" ")
        # Another 1.x is read the same way (RFC 9110 2.5); only a WebSocket needs 1.1, which `negotiate` sees to.
        if not self.version.startswith("HTTP/1."):
            raise HandshakeError(f"the request is {self.version}, expected {HTTP_1_1} (RFC 6455 4.1)", 505)


class _ResponseHead(_Head):
    noun = "response"
    forgives_blanks = True

    status = 0
    reason = ""

    def check_begin(self, begin: bytes) -> None:
        if not _PREFIX.startswith(begin[: len(_PREFIX)]):
            raise HandshakeError(f"not an HTTP answer{_shown(begin)}")

    def take_first_line(self, line: bytes) -> None:
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise self.fault("a bad status line, expected 'HTTP/1.1 101 Switching Protocols' (RFC 9112 4)")
        self.version = match[1].decode("ascii")
        self.status = int(match[2])
        self.reason = (match[3] or b"").decode("latin-1")


def _shown(begin: bytes) -> str:
    """Show the first bytes of what is no HTTP, and guess at the commonest mistake."""
    # RFC 8446 5.1: a record is an alert or a handshake, version 3.x.
    guess = " (that is TLS: ws:// and wss:// mixed up?)" if begin[:2] in (b"\x15\x03", b"\x16\x03") else ""
    return f", it begins with {begin!r}{guess}"

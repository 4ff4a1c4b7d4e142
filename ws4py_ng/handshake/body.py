"""The body of a response that refuses the handshake, as far as it helps to tell why.

It is for an error message, so that it is bounded, and what is broken ends it early instead
of hiding the refusal behind a second error. It knows HTTP/1.1 framing (RFC 9112 6, 7).
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from .head import Chunk, Response

__all__ = ["MAX_BODY", "receive_body"]

MAX_BODY: Final = 16 * 1024

_NO_BODY: Final = frozenset({204, 304})
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?\n")
_MAX_CHUNK_LINE = 256


def receive_body(response: Response, leftover: bytes = b"", limit: int = MAX_BODY) -> Generator[int, Chunk, bytes]:
    """Read the body behind a head; return ``limit`` bytes of it at most, chunks joined.

    ``leftover`` is what came with the head. The end of the body is where Content-Length or
    the last chunk says, the end of file, or where an OSError is thrown in. It may be complete
    before anything is asked for.
    """
    if response.status < 200 or response.status in _NO_BODY:
        return b""
    data = bytearray(leftover)
    if "chunked" in response.headers.tokens("Transfer-Encoding", lower=True):
        return (yield from _joined_chunks(data, limit))
    lengths = set(response.headers.get_all("Content-Length"))
    length = lengths.pop() if len(lengths) == 1 else ""
    if _LENGTH.fullmatch(length):
        limit = min(limit, int(length))
        yield from _fill(data, limit)
    else:
        while len(data) < limit and (yield from _fill(data, len(data) + 1)):
            pass
    return bytes(data[:limit])


def _fill(data: bytearray, size: int) -> Generator[int, Chunk, bool]:
    """Read until there are ``size`` bytes; tell whether there are."""
    while len(data) < size:
        try:
            chunk = yield size - len(data)
        except OSError:  # thrown in: what came is of more use than why there is no more
            return False
        if not len(chunk):
            return False
        data += chunk
    return True


def _joined_chunks(data: bytearray, limit: int) -> Generator[int, Chunk, bytes]:
    body = bytearray()
    while len(body) < limit:
        size = yield from _chunk_size(data)
        if not size:
            break
        wanted = min(size, limit - len(body))
        complete = yield from _fill(data, wanted)
        body += data[:wanted]
        if not complete or len(body) == limit or not (yield from _fill(data, size + len(b"\r\n"))):
            break
        del data[: size + len(b"\r\n")]
    return bytes(body)


def _chunk_size(data: bytearray) -> Generator[int, Chunk, int]:
    """Take a line with the size of a chunk; 0 for the last one and for what is none."""
    seen = 0
    while (end := data.find(b"\n", seen) + 1) == 0:
        seen = len(data)
        if seen > _MAX_CHUNK_LINE or not (yield from _fill(data, seen + 1)):
            return 0
    match = _CHUNK_SIZE.fullmatch(data, 0, end)
    if match is None:
        return 0
    size = int(match[1], 16)
    del data[:end]
    return size

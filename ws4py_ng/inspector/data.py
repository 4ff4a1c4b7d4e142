"""What the page is given: inspections as columns of plain values, and the bytes of the payloads.

Nothing in it is HTML, and none of it stands in the page as it is: it travels as gzip in base64.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from statistics import median
from struct import Struct
from typing import Any, Final, TypeAlias

from .._version import __version__
from ..capture.frames import NAMES
from ..capture.model import FrameRow, Inspection, MessageRow
from ..codes import CLOSE, PING

__all__ = ["MAX_PAYLOAD", "MAX_PAYLOADS", "MAX_ROWS", "Wanted", "encode"]

Wanted: TypeAlias = Callable[[FrameRow | MessageRow], bool]
"""Tells which rows are to be seen."""

MAX_PAYLOAD: Final = 1024 * 1024
"""Bytes of one payload that are in a page: nobody reads more, and the row says how many there were."""

MAX_PAYLOADS: Final = 64 * 1024 * 1024
"""Bytes of all payloads in a page, which a browser has in memory. Beyond it each is cut shorter."""

MAX_ROWS: Final = 1_000_000
"""Rows of a page, those of frames and those of messages each."""

_MAX_HEAD = 64 * 1024
_MAX_WORDS = 1000
_MAX_ENDS = 100
_MICRO = 1_000_000
_SMALLEST_CUT = 16
_LENGTH = Struct(">I")


def encode(
    inspections: Iterable[tuple[int, Inspection]],
    *,
    source: str = "",
    problems: Iterable[str] = (),
    wanted: Wanted | None = None,
    with_frames: bool = True,
) -> bytes:
    """Make a page's data of connections and their numbers: gzip of a length, JSON of that length, payloads.

    ``wanted`` chooses among the rows; what is said of a connection as a whole counts all of them.
    """
    chosen = [(number, found, *_rows(found, wanted, with_frames)) for number, found in inspections]
    payloads = _Payloads(_longest([size for _, _, frames, messages in chosen for size in _sizes(frames, messages)]))
    connections = []
    left_frames = left_messages = MAX_ROWS
    for number, found, frames, messages in chosen:
        about = _about(number, found)
        about["left_out"] = max(0, len(frames) - left_frames) + max(0, len(messages) - left_messages)
        frames, messages = frames[:left_frames], messages[:left_messages]
        left_frames, left_messages = left_frames - len(frames), left_messages - len(messages)
        about["frames"] = _frames(frames, payloads)
        about["messages"] = _messages(found, frames, messages, about["frames"], payloads)
        connections.append(about)
    head = {
        "source": source,
        "version": __version__,
        "problems": [problem[:_MAX_WORDS] for problem in problems][:_MAX_ENDS],
        "names": NAMES,
        "with_frames": with_frames,
        "filtered": wanted is not None,
        "connections": connections,
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return gzip.compress(_LENGTH.pack(len(text)) + text + payloads.data, 6, mtime=0)


def _rows(found: Inspection, wanted: Wanted | None, with_frames: bool) -> tuple[list[FrameRow], list[MessageRow]]:
    frames, messages = found.frames if with_frames else [], found.messages
    if wanted is None:
        return frames, messages
    return [row for row in frames if wanted(row)], [row for row in messages if wanted(row)]


def _sizes(frames: Sequence[FrameRow], messages: Sequence[MessageRow]) -> Iterator[int]:
    there = {row.message for row in frames}
    yield from (row.frame.size for row in frames)
    yield from (row.size for row in messages if not _is_there(row, there))


def _is_there(row: MessageRow, there: Container[int | None]) -> bool:
    """Tell whether a message's data is that of a frame, of those whose messages are given."""
    return row.frames == 1 and not row.compressed and row.number in there


def _longest(sizes: Sequence[int]) -> int:
    """Return how long a payload may be, so that all of them are not too much."""
    longest = MAX_PAYLOAD
    while longest > _SMALLEST_CUT and sum(min(size, longest) for size in sizes) > MAX_PAYLOADS:
        longest //= 2
    return longest


class _Payloads:
    """Collect the bytes of rows; what is too long is cut."""

    def __init__(self, longest: int) -> None:
        self.data = bytearray()
        self._longest = longest

    def add(self, payload: bytes, head: bytes = b"") -> tuple[int, int]:
        """Add a payload behind the header of its frame; return where it begins, and how much of it is there."""
        kept = payload[: self._longest]
        self.data += head
        at = len(self.data)
        self.data += kept
        return at, len(kept)


def _frames(rows: Sequence[FrameRow], payloads: _Payloads) -> dict[str, Any]:
    places = [payloads.add(row.frame.payload, row.frame.raw[: row.frame.head]) for row in rows]
    return {
        "number": [row.number for row in rows],
        "time": [_micro(row.time) for row in rows],
        "client": [int(row.from_client) for row in rows],
        "first": [row.frame.raw[0] for row in rows],
        "head": [row.frame.head for row in rows],
        "size": [row.frame.size for row in rows],
        "offset": [row.frame.offset for row in rows],
        "gap": [_micro(row.gap) for row in rows],
        "message": [-1 if row.message is None else row.message for row in rows],
        "at": [at for at, _ in places],
        "kept": [kept for _, kept in places],
        # Few rows have these: by their place.
        "latency": {place: _micro(row.latency) for place, row in enumerate(rows) if row.latency is not None},
        "violation": {place: row.violation for place, row in enumerate(rows) if row.violation},
        "close": {place: row.text for place, row in enumerate(rows) if row.frame.opcode == CLOSE},
    }


def _messages(
    found: Inspection,
    frames: Sequence[FrameRow],
    rows: Sequence[MessageRow],
    columns: dict[str, Any],
    payloads: _Payloads,
) -> dict[str, Any]:
    ends = {row.message: row for row in found.frames if row.message is not None}
    there = zip(columns["at"], columns["kept"], strict=True)
    shared = {row.message: place for row, place in zip(frames, there, strict=True)}
    places = [shared[row.number] if _is_there(row, shared) else payloads.add(row.data) for row in rows]
    return {
        "number": [row.number for row in rows],
        "time": [_micro(row.time) for row in rows],
        "client": [int(row.from_client) for row in rows],
        "text": [int(row.is_text) for row in rows],
        "size": [row.size for row in rows],
        "wire": [row.wire_size for row in rows],
        "frames": [row.frames for row in rows],
        "compressed": [int(row.compressed) for row in rows],
        "last": [ends[row.number].number for row in rows],
        "gap": [_micro(ends[row.number].gap) for row in rows],
        "at": [at for at, _ in places],
        "kept": [kept for _, kept in places],
    }


def _about(number: int, found: Inspection) -> dict[str, Any]:
    """Say what a connection was, as a whole."""
    conversation = found.conversation
    connection, request, response = conversation.connection, conversation.request, conversation.response
    about, chunks = connection.about, connection.chunks
    waits = sorted(found.latencies)
    longest = max(found.frames, key=lambda row: row.gap, default=None)
    return {
        "connection": number,
        "role": connection.role,
        "continued": connection.continued,
        "began": chunks[0].time if chunks else 0,
        "lasted": _micro(max(chunk.time for chunk in chunks) - chunks[0].time) if chunks else 0,
        "transport": _words(about.get("transport")),
        "secure": about.get("secure") is True,
        "local": _address(about.get("local")),
        "peer": _address(about.get("peer")),
        "target": _words(f"{request.method} {request.target}") if request is not None else "",
        "status": response.status_text if response is not None else "",
        "subprotocol": _words(conversation.subprotocol),
        "extensions": _words(", ".join(response.headers.get_all("Sec-WebSocket-Extensions"))) if response else "",
        "heads": [
            {
                "fault": _words(head.fault),
                "size": len(head.raw),
                "text": head.raw[:_MAX_HEAD].decode("utf-8", "replace"),
            }
            for head in (conversation.request_head, conversation.response_head)
        ],
        "total": [_total(found, from_client) for from_client in (True, False)],
        "pings": sum(row.frame.opcode == PING for row in found.frames),
        "latencies": [len(waits), *map(_micro, (waits[0], median(waits), waits[-1]))] if waits else [0],
        "longest_gap": [longest.number, _micro(longest.gap)] if longest is not None and longest.gap else None,
        "ratio": found.ratio,
        "closed": found.close,
        "violations": [[row.number, int(row.from_client), row.violation] for row in found.frames if row.violation],
        "ends": [end[:_MAX_WORDS] for end in found.ends[:_MAX_ENDS]],
    }


def _total(found: Inspection, from_client: bool) -> dict[str, int]:
    frames = [row.frame.size for row in found.frames if row.from_client is from_client]
    messages = [row.size for row in found.messages if row.from_client is from_client]
    return {"frames": len(frames), "wire": sum(frames), "messages": len(messages), "size": sum(messages)}


def _micro(seconds: float) -> int:
    return round(seconds * _MICRO)


def _words(value: object) -> str:
    """Show a value that may be anything, as a recording may come from anywhere."""
    return "" if value is None else str(value)[:_MAX_WORDS]


def _address(value: object) -> str:
    if isinstance(value, list | tuple) and len(value) >= 2:
        host = _words(value[0])
        return f"[{host}]:{_words(value[1])}" if ":" in host else f"{host}:{_words(value[1])}"
    return _words(value)

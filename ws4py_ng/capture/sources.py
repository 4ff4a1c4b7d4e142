"""Recordings of whatever kind: told apart by how they begin, and read by who knows them.

Who records elsewhere may keep secrets that a capture does not: `without_secrets` is for what is passed on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .har import read_har
from .mitm import read_flows
from .pcap import read_pcap
from .reading import CaptureError, Connection, Recording, read
from .redaction import Redaction, Released
from .writing import OURS, PARTS, part_path

__all__ = ["load", "without_secrets"]

_GZIP = b"\x1f\x8b"
_PCAPNG = b"\x0a\x0d\x0d\x0a"
# Classic pcap, in microseconds or nanoseconds, of either byte order.
_PCAP = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
# mitmproxy's flows are "netstrings": how long, and what.
_FLOWS = re.compile(rb"[0-9]{1,12}:[0-9]{1,12}:")


def load(path: str | os.PathLike[str]) -> Recording:
    """Read a capture of ours, a pcap or pcapng of plain TCP, a HAR, or mitmproxy's flows.

    A part of a capture in which a connection goes on is read with the parts before it that stand beside it.
    Raises CaptureError for anything else, OSError for what cannot be opened, ImportError, with the way
    out, where the library for pcap or flows is missing.
    """
    with open(Path(path), "rb") as file:
        begin = file.read(1024)
    if begin.startswith(_GZIP) or (begin.startswith(_PCAPNG) and OURS in begin):
        found = read(path)
        is_whole = not any(connection.continued for connection in found.connections)
        return found if is_whole else read([*_earlier(Path(path)), path])
    if begin.startswith((_PCAPNG, *_PCAP)):
        return read_pcap(path)
    if begin.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return read_har(path)
    if _FLOWS.match(begin):
        return read_flows(path)
    raise CaptureError(f"{path} is no capture, pcap, HAR or flows: it begins with {begin[:8]!r}")


def _earlier(path: Path) -> list[Path]:
    """Find the parts before a part, the oldest first; it is the last one, or has a number."""
    wholes = ((whole, number) for whole in path.parent.iterdir() for number in range(PARTS))
    found = [
        [part for before in range(PARTS - 1, number, -1) if (part := part_path(whole, before)).exists()]
        for whole, number in wholes
        if part_path(whole, number) == path
    ]
    return max(found, key=len, default=[])


def without_secrets(connection: Connection, names: Iterable[str]) -> Connection:
    """Return a connection with asterisks for the values of headers and query parameters of some names.

    What follows a handshake that failed is asterisks as in a capture of ours.
    """
    names = sorted(names)
    if not names or connection.continued:
        return connection
    chunks = list(connection.chunks)
    redaction = Redaction(names, connection.role == "client")

    def put(released: Released) -> None:
        for _, number, data in released:
            chunks[number] = chunks[number]._replace(data=data)

    for place, chunk in enumerate(chunks):
        if chunk.data:
            put(redaction.feed(chunk.outgoing, place, chunk.data))
        if redaction.done:
            break
    put(redaction.finish(connection.role != "client"))
    return replace(connection, chunks=chunks)

"""Recordings of whatever kind: told apart by how they begin, and read by who knows them."""

from __future__ import annotations

import os
from pathlib import Path

from .har import read_har
from .pcap import read_pcap
from .reading import CaptureError, Recording, read

__all__ = ["load"]

_GZIP = b"\x1f\x8b"
_PCAPNG = b"\x0a\x0d\x0d\x0a"
# Classic pcap, in microseconds or nanoseconds, of either byte order.
_PCAP = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
# Where our own captures name themselves: in the comment of the first block.
_OURS = b'"ws4py_ng.capture"'


def load(path: str | os.PathLike[str]) -> Recording:
    """Read a capture of ours, a pcap or pcapng of plain TCP, or a HAR.

    Raises CaptureError for anything else, OSError for what cannot be opened, ImportError, with the way
    out, where the library for pcap is missing.
    """
    with open(Path(path), "rb") as file:
        begin = file.read(1024)
    if begin.startswith(_GZIP) or (begin.startswith(_PCAPNG) and _OURS in begin):
        return read(path)
    if begin.startswith((_PCAPNG, *_PCAP)):
        return read_pcap(path)
    if begin.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return read_har(path)
    raise CaptureError(f"{path} is no capture, pcap or HAR: it begins with {begin[:8]!r}")

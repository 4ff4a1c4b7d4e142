"""Chunks as packets: a capture shows a TCP conversation, so that any tool for those can read it.

What a WebSocket read and wrote (behind TLS, if there was any) becomes the segments of a TCP
connection between its two addresses: SYN, data, FIN or RST. The last segment of a chunk has PSH, so
that a chunk of any size is found again. A Unix socket, and a peer without an address, get one.
"""

from __future__ import annotations

import ipaddress
from struct import Struct
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = ["ACK", "FIN", "LINKTYPE_RAW", "MAX_SEGMENT", "PSH", "RST", "SYN", "Flow", "Segment", "parse_segment"]

LINKTYPE_RAW: Final = 101  # packets begin with their IPv4 or IPv6 header

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

MAX_SEGMENT: Final = 0xFFFF - 40
"""What fits behind an IPv4 and a TCP header."""

_WINDOW: Final = 0xFFFF
_TCP: Final = 6
_TCP_WORDS: Final = 5
_LOCAL: Final = "127.0.0.1"

# IP and TCP headers at once; addresses and ports, which stay, are one field of bytes.
_ipv4 = Struct(">HHIHH12sIIHHI")
_ipv6 = Struct(">IHH36sIIHHI")


class Segment(NamedTuple):
    """Hold what a packet says: the TCP flags and the data."""

    flags: int
    data: bytes


class Flow:
    """Make the packets of one connection; ``outgoing`` ones are those that this end sends."""

    def __init__(self, local: Any, peer: Any, number: int) -> None:
        here, there = _address(local, 49152 + number % 16384), _address(peer, 49152 + (number + 8192) % 16384)
        if here[0].version != there[0].version:
            here, there = _address(None, here[1]), _address(None, there[1])
        self._version = here[0].version
        # By direction, what came in first: addresses and ports, and the sequence numbers.
        self._ends = (_packed(there, here), _packed(here, there))
        self._sent = [0, 0]
        ends = here[0].packed + there[0].packed
        # The checksum of an IPv4 header without a length; folded, as RFC 1071 has it.
        total = sum(ends[i] << 8 | ends[i + 1] for i in range(0, len(ends), 2)) + 0x4500 + 0x4000 + 0x4006
        self._sum = total % 0xFFFF

    def head(self, outgoing: bool, length: int, flags: int) -> bytes:
        """Make the headers of a packet of so many bytes of data, MAX_SEGMENT at most."""
        sent = self._sent
        seq = sent[outgoing]
        ack = sent[not outgoing] if flags & ACK else 0
        sent[outgoing] = (seq + length + ((flags & (SYN | FIN)) != 0)) & 0xFFFFFFFF
        ends, flags = self._ends[outgoing], _TCP_WORDS << 12 | flags
        if self._version == 6:
            return _ipv6.pack(6 << 28, length + 20, _TCP << 8 | 64, ends, seq, ack, flags, _WINDOW, 0)
        size = length + 40
        total = self._sum + size
        checksum = (0xFFFF - total) % 0xFFFF
        return _ipv4.pack(0x4500, size, 0x4000, 0x4006, checksum, ends, seq, ack, flags, _WINDOW, 0)


def parse_segment(packet: bytes) -> Segment | None:
    """Read a packet that `Flow` has made; None for anything else."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        start = (packet[0] & 15) * 4
        protocol = packet[9]
    elif version == 6 and len(packet) >= 40:
        start, protocol = 40, packet[6]
    else:
        return None
    if protocol != _TCP or len(packet) < start + 20:
        return None
    offset = (packet[start + 12] >> 4) * 4
    if offset < 20 or len(packet) < start + offset:
        return None
    return Segment(packet[start + 13], packet[start + offset :])


_End: TypeAlias = "tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]"


def _packed(source: _End, target: _End) -> bytes:
    return source[0].packed + target[0].packed + source[1].to_bytes(2, "big") + target[1].to_bytes(2, "big")


def _address(address: Any, spare: int) -> _End:
    """Give an IP address and a port; what has none is local, on a spare port."""
    if isinstance(address, tuple) and len(address) >= 2:
        try:
            # Behind % stands the interface of a link-local address.
            return ipaddress.ip_address(str(address[0]).partition("%")[0]), int(address[1]) & 0xFFFF
        except ValueError:
            pass
    return ipaddress.ip_address(_LOCAL), spare

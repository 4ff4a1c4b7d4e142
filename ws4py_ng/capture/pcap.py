"""pcap and pcapng of plain TCP, as tcpdump and Wireshark write them, by dpkt (the extra ``pcap``).

Segments are put together again: in their order, each byte once. What was not captured is a gap, which
ends its direction with an error.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from .blocks import Problem
from .reading import CaptureError, Chunk, Connection, Recording

__all__ = ["read_pcap"]

_FIN, _SYN, _RST, _ACK = 0x01, 0x02, 0x04, 0x10
# How a ClientHello begins: a record of a handshake, version 3.x (RFC 8446 5.1).
_TLS: Final = b"\x16\x03"
_HALF: Final = 1 << 31
_WHOLE: Final = 1 << 32

MAX_WAITING: Final = 64 * 1024 * 1024
"""Bytes of segments that wait for one before them; more is a gap."""

End = tuple[bytes, int]


def _dpkt() -> Any:
    try:
        import dpkt
    except ImportError as error:
        raise ImportError("Reading pcap needs dpkt: pip install 'ws4py-ng[pcap]'") from error
    return dpkt


def read_pcap(path: str | os.PathLike[str]) -> Recording:
    """Read the WebSockets of a capture of packets, and whatever else began with an HTTP request.

    Raises CaptureError for a file or a link type that cannot be read, ImportError without dpkt.
    """
    dpkt = _dpkt()
    recording = Recording(source=str(path))
    flows = _Flows()
    with Path(path).open("rb") as file:
        try:
            reader = dpkt.pcap.UniversalReader(file)
            unwrap = _unwrapper(dpkt, reader.datalink())
            for number, (time, packet) in enumerate(reader):
                try:
                    flows.add(float(time), unwrap(packet), dpkt)
                except (dpkt.UnpackError, AttributeError, IndexError) as error:
                    recording.problems.append(Problem(file.tell(), f"packet {number}: {error}"))
        except (dpkt.UnpackError, ValueError, EOFError, struct.error) as error:
            where = file.tell()
            if not flows.by_ends:
                raise CaptureError(f"{path} cannot be read, at byte {where}: {error}") from error
            recording.problems.append(Problem(where, str(error)))
    recording.connections = list(flows.connections())
    recording.lacks = flows.seen()
    return recording


def _unwrapper(dpkt: Any, link: int) -> Callable[[bytes], Any]:
    """Return what takes a packet out of its link's frame."""
    if link == dpkt.pcap.DLT_EN10MB:
        return lambda packet: dpkt.ethernet.Ethernet(packet).data
    if link in (dpkt.pcap.DLT_NULL, dpkt.pcap.DLT_LOOP):
        return lambda packet: _ip(dpkt, packet[4:])
    if link == dpkt.pcap.DLT_LINUX_SLL:
        return lambda packet: dpkt.sll.SLL(packet).data
    if link == getattr(dpkt.pcap, "DLT_LINUX_SLL2", 276):
        return lambda packet: dpkt.sll2.SLL2(packet).data
    if link in (12, 14, 101, 228, 229):
        return lambda packet: _ip(dpkt, packet)
    raise CaptureError(f"Packets of link type {link}, expected Ethernet, Linux cooked, loopback or raw IP")


def _ip(dpkt: Any, packet: bytes) -> Any:
    return dpkt.ip6.IP6(packet) if packet[0] >> 4 == 6 else dpkt.ip.IP(packet)


@dataclass(eq=False)
class _Half:
    """Put one direction together."""

    expected: int | None = None
    waiting: dict[int, tuple[float, bytes]] = field(default_factory=dict)
    ended: bool = False

    def take(self, seq: int, time: float, data: bytes) -> Iterator[tuple[float, bytes]]:
        """Take a segment; give what is next in order."""
        if self.expected is None:
            self.expected = seq
        if data:
            self.waiting[seq] = max(self.waiting.get(seq, (time, b"")), (time, data), key=lambda each: len(each[1]))
        while True:
            found = next((at for at in self.waiting if self._distance(at) <= 0), None)
            if found is None:
                return
            when, piece = self.waiting.pop(found)
            fresh = piece[-self._distance(found) :]
            if fresh:
                self.expected = (self.expected + len(fresh)) % _WHOLE
                yield when, fresh

    def _distance(self, seq: int) -> int:
        """Say how far ahead of what is expected a number is; negative is behind."""
        assert self.expected is not None
        return (seq - self.expected + _HALF) % _WHOLE - _HALF


@dataclass(eq=False)
class _Flow:
    client: End
    server: End
    halves: dict[End, _Half]
    chunks: list[Chunk] = field(default_factory=list)

    def begin(self) -> bytes:
        """Return what the client said first."""
        return next((chunk.data for chunk in self.chunks if chunk.data and not chunk.outgoing), b"")


class _Flows:
    """Tell the connections of a capture apart."""

    def __init__(self) -> None:
        self.by_ends: dict[frozenset[End], _Flow] = {}
        self._all: list[_Flow] = []

    def add(self, time: float, packet: Any, dpkt: Any) -> None:
        """Take a packet."""
        segment = getattr(packet, "data", None)
        if not isinstance(segment, dpkt.tcp.TCP):
            return
        source, target = (packet.src, segment.sport), (packet.dst, segment.dport)
        ends = frozenset((source, target))
        flow = self.by_ends.get(ends)
        if flow is None or (segment.flags & (_SYN | _ACK) == _SYN and flow.chunks):
            # Without a SYN, who speaks first is taken for the client, as it is in HTTP.
            client, server = (target, source) if segment.flags & _SYN and segment.flags & _ACK else (source, target)
            flow = _Flow(client, server, {source: _Half(), target: _Half()})
            self.by_ends[ends] = flow
            self._all.append(flow)
        self._take(flow, source, time, segment)

    def _take(self, flow: _Flow, source: End, time: float, segment: Any) -> None:
        half, outgoing = flow.halves[source], source == flow.server
        if half.ended:
            return
        seq = segment.seq
        if segment.flags & _SYN:
            half.expected = (seq + 1) % _WHOLE
            return
        data = bytes(segment.data)
        flow.chunks += (Chunk(when, outgoing, piece) for when, piece in half.take(seq, time, data))
        if sum(len(piece) for _, piece in half.waiting.values()) > MAX_WAITING:
            half.ended = True
            flow.chunks.append(Chunk(time, outgoing, b"", "packets are missing in the capture"))
        elif segment.flags & _RST:
            half.ended = True
            flow.chunks.append(Chunk(time, outgoing, b"", "the connection was reset"))
        elif segment.flags & _FIN and half.expected == (seq + len(data)) % _WHOLE:
            half.ended = True
            flow.chunks.append(Chunk(time, outgoing, b""))

    def seen(self) -> str:
        """Say what there is, where none of it begins with an HTTP request."""
        if not self._all:
            return "it has no packet of TCP"
        tls = sum(flow.begin().startswith(_TLS) for flow in self._all)
        return (
            f"of its {len(self._all)} TCP connections {tls} are TLS, which cannot be read, and none begins "
            "with a request: record plain TCP, from before the handshake"
        )

    def connections(self) -> Iterator[Connection]:
        """Give the connections that begin with an HTTP request."""
        for number, flow in enumerate(self._all):
            for half, end in ((flow.halves[end], end) for end in (flow.client, flow.server)):
                if half.waiting:
                    missing = "packets are missing in the capture"
                    time = flow.chunks[-1].time if flow.chunks else 0.0
                    flow.chunks.append(Chunk(time, end == flow.server, b"", missing))
            if flow.begin().startswith(b"GET "):
                about = {"role": "server", "transport": "pcap", "connection": number}
                about |= {"local": _shown(flow.server), "peer": _shown(flow.client)}
                yield Connection("server", about, flow.chunks)


def _shown(end: End) -> list[Any]:
    return [str(ip_address(end[0])), end[1]]

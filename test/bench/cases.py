"""What is measured, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .wire import BINARY, TEXT

KIB = 1024
MIB = 1024 * KIB
# Bytes that are on their way when many messages are in flight.
PIPELINE = 64 * KIB

Kind = Literal["echo", "deflate", "memory", "handshake", "broadcast", "import", "client", "layers"]


@dataclass(frozen=True)
class Case:
    """Say what one measurement does.

    ``size`` is the payload's, ``window`` how many messages are on their way at most. ``needs`` is
    what a program has to be able to do to take part. ``unit`` is that of the figure.
    """

    name: str
    title: str
    kind: Kind
    size: int = 0
    window: int = 1
    opcode: int = BINARY
    tls: bool = False
    used: bool = False
    needs: str = ""
    unit: str = "ns"
    per: str = "message"


def _pipelined(size: int) -> int:
    return max(PIPELINE // (size + 8), 4) if size <= PIPELINE else 2


def _echo(name: str, size: int, many: bool, title: str, **more: object) -> Case:
    return Case(name, title, "echo", size, _pipelined(size) if many else 1, **more)  # type: ignore[arg-type]


def _client(name: str, size: int, many: bool, title: str) -> Case:
    return Case(name, title, "client", size, _pipelined(size) if many else 1)


_CASES = [
    _echo("echo-32-many", 32, True, "32 B, many in flight"),
    _echo("echo-32-one", 32, False, "32 B, one in flight"),
    _echo("echo-1k-many", KIB, True, "1 KiB, many in flight"),
    _echo("text-1k-many", KIB, True, "1 KiB of text, many in flight", opcode=TEXT),
    _echo("echo-64k", 64 * KIB, True, "64 KiB, four in flight"),
    _echo("echo-1m", MIB, True, "1 MiB, two in flight"),
    _echo("tls-32-many", 32, True, "TLS, 32 B, many in flight", tls=True, needs="tls"),
    _echo("tls-32-one", 32, False, "TLS, 32 B, one in flight", tls=True, needs="tls"),
    _echo("tls-64k", 64 * KIB, True, "TLS, 64 KiB, four in flight", tls=True, needs="tls"),
    Case("deflate-1k", "permessage-deflate, JSON of 1 KiB", "deflate", KIB, 32, needs="deflate"),
    Case("memory-idle", "memory of an idle connection", "memory", needs="memory", unit="B", per="connection"),
    Case(
        "memory-used",
        "memory of a connection after deflate was used",
        "memory",
        KIB,
        used=True,
        needs="memory deflate",
        unit="B",
        per="connection",
    ),
    Case("handshake", "accept and handshake", "handshake", needs="handshake", per="connection"),
    Case("broadcast", "100 B to 2,000 connections", "broadcast", 100, needs="broadcast", per="receiver"),
    _client("client-32-many", 32, True, "client, 32 B, many in flight"),
    _client("client-32-one", 32, False, "client, 32 B, one in flight"),
    _client("client-1k-many", KIB, True, "client, 1 KiB, many in flight"),
    _client("client-64k", 64 * KIB, True, "client, 64 KiB, four in flight"),
    Case("layers-32", "32 B through the layers, without a network", "layers", 32, 1000),
    Case("layers-64k", "64 KiB through the layers, without a network", "layers", 64 * KIB, 1),
    Case("import", "import", "import", per="import"),
]
CASES = {case.name: case for case in _CASES}

"""A network of its own for what is measured: loopback, with the congestion control that Linux comes with.

BBR, which some machines have for all connections, sends at a pace and keeps it by timers. On loopback
their cost hits whoever is at work, and depends on the pace of both ends: an echo of 64 KiB took 60 us or 40.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
# Neither has a pace. The first is what Linux comes with, but in a new network some kernels allow only the second.
WANTED = ("cubic", "reno")
CLONE_NEWNET = 0x40000000
# Of an interface: to set its flags, and the flag that it is up.
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1


def congestion_control() -> str:
    """Return the one that connections have here."""
    return CONTROL.read_text().strip() if CONTROL.exists() else "unknown"


def _choose() -> None:
    for control in WANTED:
        with suppress(OSError):
            CONTROL.write_text(control)
            return


@contextmanager
def own_network() -> Iterator[str]:
    """Let this thread, and the programs that it starts, have a network of their own; gives its congestion control.

    Without the right to make one (root's) it is the network that is there.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            yield congestion_control()
            return
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
            _choose()
            yield congestion_control()
        finally:
            libc.setns(before, CLONE_NEWNET)
    finally:
        os.close(before)

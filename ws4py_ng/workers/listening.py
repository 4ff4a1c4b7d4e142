"""Listening sockets for several processes: one each where the system spreads connections, else one for all."""

from __future__ import annotations

import socket
import sys

from ..server.listening import listen_everywhere

__all__ = ["SPREADS", "listen"]

# macOS has SO_REUSEPORT as well, but gives all connections to the last who came.
SPREADS = sys.platform == "linux" and hasattr(socket, "SO_REUSEPORT")


def listen(host: str | None, port: int, count: int, spreads: bool = SPREADS) -> list[list[socket.socket]]:
    """Listen for ``count`` processes: for each its sockets, by SO_REUSEPORT, or the same for all.

    The kernel deals connections out by their addresses, which is even enough for many and a lottery for
    a few. Raises OSError when the port is taken, by workers of another program too.

    None of them blocks, nor does a copy: all processes share that flag, and one that `accept` has
    stopped serves nobody.
    """
    found = listen_everywhere(host, port)
    if not spreads or count == 1:
        for sock in found:
            sock.setblocking(False)
        return [found] * count
    # Who has no SO_REUSEPORT is refused where somebody listens who has: so much for `found`.
    addresses = [(sock.family, sock.getsockname()) for sock in found]
    for sock in found:
        sock.close()
    slots: list[list[socket.socket]] = []
    try:
        for _ in range(count):
            slots.append([])
            for family, address in addresses:
                slots[-1].append(socket.create_server(address[:2], family=family, backlog=1024, reuse_port=True))
                slots[-1][-1].setblocking(False)
    except OSError:
        for sock in (each for slot in slots for each in slot):
            sock.close()
        raise
    return slots

"""Listening sockets, for every server that opens its own."""

from __future__ import annotations

import errno
import socket

__all__ = ["listen_everywhere"]


def listen_everywhere(host: str | None, port: int) -> list[socket.socket]:
    """Listen on every address of a host, all on the same port; those that this machine has not
    got, such as ::1 for localhost where IPv6 is off, may be missing."""
    found = socket.getaddrinfo(host or None, port, socket.AF_UNSPEC, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in dict.fromkeys((item[0], item[4]) for item in found):
            bound = (address[0], listeners[0].getsockname()[1] if listeners else port, *address[2:])
            try:
                listeners.append(socket.create_server(bound, family=family, backlog=1024))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if missing is not None and not listeners:
            raise missing
    except OSError as error:
        for listener in listeners:
            listener.close()
        where = f"{host or 'every interface'}, port {port}"
        raise OSError(error.errno, f"Cannot listen on {where}: {error.strerror}") from error
    return listeners

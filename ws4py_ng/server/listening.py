"""Listening sockets, for every server that opens its own."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from contextlib import suppress
from time import monotonic
from typing import Any, Final

__all__ = ["AF_UNIX", "BACK_OFF", "HOPELESS", "Shortage", "close_listener", "listen_everywhere", "listen_unix"]

logger = logging.getLogger("ws4py_ng")

# No listener any more. Any other error of accept() passes: the system is short of something
# that others may give back, or it reports an error of the new connection (accept(2)).
HOPELESS = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
BACK_OFF = 0.5
LOG_INTERVAL = 5.0
AF_UNIX: Final = getattr(socket, "AF_UNIX", None)


class Shortage:
    """Say that nobody can be accepted for now, and do not fill the log with it."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def log(self, error: OSError) -> None:
        """Take note of what `accept` raised."""
        now = monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + LOG_INTERVAL
            logger.warning("Cannot accept connections for now: %s", error)


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


def listen_unix(path: str) -> socket.socket:
    """Listen on a path; a socket that a dead server has left there is replaced."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            if _is_served(path):
                raise OSError(errno.EADDRINUSE, f"Cannot listen on {path}: a server listens there")
            os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"Cannot listen on {path}: {error.strerror}") from error
    return sock


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        try:
            sock.connect(path)
        except BlockingIOError:  # so many want to connect that we would have to wait
            return True
        except OSError:
            return False
        return True


def close_listener(sock: Any) -> None:
    """Close a listening socket, of trio as well, and remove the path of one that has one; twice is no harm."""
    path = sock.getsockname() if sock.family == AF_UNIX and sock.fileno() >= 0 else None
    sock.close()
    if path and isinstance(path, str):
        with suppress(OSError):
            os.unlink(path)

"""What `serve` and `demo` share: listen or say why not, run until a signal, drain."""

from __future__ import annotations

import errno
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..server.threadedserver import Server, serve
from .console import Failure

__all__ = ["address_of", "explained", "listen", "run_until_stopped", "shown_address"]

FOREVER = 3600.0


def listen(handlers: Any, host: str, port: int, way_out: str = "choose another by --port", **options: Any) -> Server:
    """Make a server that listens; raises Failure, which names the way out, if the port is taken."""
    with explained(host, port, way_out):
        return serve(handlers, host, port, **options)


@contextmanager
def explained(host: str, port: int, way_out: str = "choose another by --port") -> Iterator[None]:
    """Make a Failure of what keeps a port from being listened on."""
    try:
        yield
    except socket.gaierror as error:
        raise Failure(f"cannot listen on --host {host!r}: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Failure(f"port {port} of {host or 'this machine'} is in use: {way_out}") from error
        if error.errno == errno.EACCES:
            raise Failure(f"port {port} needs privileges: choose one above 1023 by --port") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise Failure(f"--host {host!r} is no address of this machine: try 127.0.0.1, or 0.0.0.0") from error
        raise Failure(str(error.strerror or error)) from error


def address_of(server: Server, host: str) -> str:
    """Return ``host:port`` as it stands in a URL; the host as the user wrote it."""
    return shown_address(host, server.address)


def shown_address(host: str, address: Any) -> str:
    """Return ``host:port`` for an address that is listened on."""
    host = host or address[0]
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def run_until_stopped(server: Server, announce: Callable[[], None]) -> int:
    """Serve until Ctrl-C or SIGTERM, then close every connection with 1001.

    A second Ctrl-C does not wait for the peers.
    """
    with server:
        try:
            # Set, not inherited: a shell's background job would have SIGINT ignored.
            for name in ("SIGINT", "SIGTERM"):
                signal.signal(getattr(signal, name), signal.default_int_handler)
            server.start()
            announce()
            # This thread does nothing else, so that the signal interrupts nothing.
            while True:
                time.sleep(FOREVER)
        except KeyboardInterrupt:
            pass
    return 0

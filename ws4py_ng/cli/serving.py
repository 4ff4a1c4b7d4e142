"""What the commands that listen share: listen or say why not, run until a signal, drain."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from ..server.threadedserver import Server, serve
from .console import Failure

__all__ = ["STOPS", "address_of", "explained", "listen", "run_until_stopped", "shown_address", "stops"]

STOPS = (signal.SIGINT, signal.SIGTERM)
DONE = b"\0"  # no signal has that number


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
    """Serve until Ctrl-C or SIGTERM, then close every connection with 1001; return the exit status.

    A second Ctrl-C does not wait for the peers.
    """
    with stops() as (told, tell):

        def leave() -> None:
            try:
                server.shutdown()
            finally:
                with suppress(OSError):  # nobody waits for that any more
                    tell.send(DONE)

        with ExitStack() as undo:
            undo.callback(server.shutdown)
            server.start()
            announce()
            undo.pop_all()
        _wait_for(STOPS, told)
        threading.Thread(target=leave, name="ws4py_ng end", daemon=True).start()
        if _wait_for((*STOPS, DONE[0]), told) in STOPS:
            raise KeyboardInterrupt
    return 0


@contextmanager
def stops() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Get the numbers of Ctrl-C and SIGTERM through sockets.

    An exception would come wherever the main thread is: in the midst of a lock's code, which leaves the lock
    in disorder, or just before a call that waits, which waits then none the less.
    """
    told, tell = socket.socketpair()
    with told, tell:
        tell.setblocking(False)
        before = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
        # Set, not inherited: a shell's background job would have SIGINT ignored.
        for number in STOPS:
            signal.signal(number, lambda number, frame: None)
        try:
            yield told, tell
        finally:
            signal.set_wakeup_fd(before)
            for number in STOPS:
                signal.signal(number, signal.default_int_handler)


def _wait_for(numbers: Sequence[int], told: socket.socket) -> int:
    while (number := told.recv(1)[0]) not in numbers:
        pass
    return number

"""eventlet, for the blocking driver and for everybody else here: the one module that imports it.

For programs that run on eventlet already. Its own documentation discourages new ones.
"""

from __future__ import annotations

import _socket
import ssl as _ssl
from collections.abc import Callable, Iterable
from typing import Any

import eventlet
from eventlet import greenthread, hubs, patcher, queue, wsgi
from eventlet.green import socket, ssl
from eventlet.green.threading import Event
from eventlet.semaphore import Semaphore
from greenlet import GreenletExit

from . import cooperative
from .cooperative import FAREWELL, CooperativeChannel, look_for, look_until

__all__ = [
    "KIT",
    "adopt",
    "close_all",
    "eventlet",
    "queue",
    "serve",
    "socket",
    "take",
    "wait_until",
    "watch",
    "wrap_tls",
    "wrap_tls_server",
    "wsgi",
]


class EventletKit:
    """Be the kit of eventlet."""

    lock = staticmethod(Semaphore)
    event = staticmethod(Event)
    ident = staticmethod(greenthread.getcurrent)
    spawn = staticmethod(eventlet.spawn)
    kill = staticmethod(eventlet.kill)

    def channel(self, sock: Any) -> CooperativeChannel:
        """Wrap a socket."""
        return CooperativeChannel(sock, _pause, _shut, _recv_below_tls)

    def ends_all(self, error: BaseException) -> bool:
        """Tell whether what a hook raised ends the greenlet, or the program: a Timeout is the hook's own."""
        return isinstance(error, GreenletExit | KeyboardInterrupt | SystemExit)


KIT = EventletKit()


def _pause() -> None:
    eventlet.sleep(0)


def _shut(sock: Any, how: int) -> None:
    """Shut down without forgetting TLS, as SSLSocket.shutdown does."""
    if isinstance(sock, _socket.socket):
        _socket.socket.shutdown(sock, how)
    else:
        sock.shutdown(how)


def _recv_below_tls(sock: Any, size: int) -> bytes:
    """Receive from a TLS socket as if it had none."""
    hubs.trampoline(sock, read=True, timeout=sock.gettimeout(), timeout_exc=TimeoutError)
    return _socket.socket.recv(sock, size)


def adopt(ws: Any) -> None:
    """Let a WebSocket be served by greenlets, many of which may send."""
    cooperative.adopt(ws, KIT)


def take(sock: Any, dummy: int) -> Any:
    """Move a connection to a new socket; the server's own lives on with another descriptor. TLS stays where it is."""
    if hasattr(sock, "unwrap"):
        _socket.close(dummy)
        return sock
    live = socket.socket(sock.fd)
    socket.socket.__init__(sock, patcher.original("socket").socket(fileno=dummy))
    return live


def serve(ws: Any) -> None:
    """Serve a WebSocket to its end in this greenlet."""
    adopt(ws)
    cooperative.serve(ws, GreenletExit)


def close_all(websockets: Iterable[Any]) -> None:
    """Close WebSockets with 1001, none waiting for another's peer."""
    farewells = [eventlet.spawn(cooperative.dismiss, ws) for ws in websockets]
    with eventlet.Timeout(2 * FAREWELL, False):
        for farewell in farewells:
            farewell.wait()


def watch(happens: Callable[[], bool], then: Callable[[], object]) -> None:
    """Call ``then`` as soon as something happens, which nobody tells."""
    eventlet.spawn(look_for, eventlet.sleep, happens, then)


def wait_until(happens: Callable[[], bool], timeout: float) -> None:
    """Wait until something happens, or the time is over; others run meanwhile."""
    look_until(eventlet.sleep, happens, timeout)


def wrap_tls(sock: Any, context: _ssl.SSLContext, **options: Any) -> Any:
    """Begin TLS as a client; any context will do, eventlet's or Python's."""
    return ssl.GreenSSLSocket(sock, _context=context, **options)


def wrap_tls_server(sock: Any, context: _ssl.SSLContext) -> Any:
    """Let a listening socket speak TLS."""
    return ssl.GreenSSLSocket(sock, server_side=True, do_handshake_on_connect=False, _context=context)

"""gevent, for the blocking driver and for everybody else here: the one module that imports it.

Nothing needs to be monkey-patched: locks, sockets and TLS are gevent's own.
"""

from __future__ import annotations

import _socket
import ssl as _ssl
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from gevent import Greenlet, GreenletExit, pywsgi, queue, socket, spawn, ssl
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool

from . import cooperative
from .cooperative import FAREWELL, CooperativeChannel, look_for, look_until

__all__ = [
    "KIT",
    "Greenlet",
    "Pool",
    "adopt",
    "close_all",
    "pywsgi",
    "queue",
    "serve",
    "socket",
    "spawn",
    "take",
    "wait_until",
    "watch",
    "wrap_tls",
]


class GeventKit:
    """Be the kit of gevent."""

    lock = staticmethod(BoundedSemaphore)
    event = staticmethod(Event)
    ident = staticmethod(gevent.getcurrent)
    spawn = staticmethod(gevent.spawn)
    kill = staticmethod(gevent.kill)

    def channel(self, sock: Any) -> CooperativeChannel:
        """Wrap a socket."""
        return CooperativeChannel(sock, _pause, _shut, _recv_below_tls)

    def ends_all(self, error: BaseException) -> bool:
        """Tell whether what a hook raised ends the greenlet, or the program: a Timeout is the hook's own."""
        return isinstance(error, GreenletExit | KeyboardInterrupt | SystemExit)


KIT = GeventKit()


def _pause() -> None:
    gevent.sleep(0)


def _shut(sock: Any, how: int) -> None:
    """Shut down without forgetting TLS, as SSLSocket.shutdown does."""
    if isinstance(sock, socket.socket):
        socket.socket.shutdown(sock, how)
    else:
        sock.shutdown(how)


def _recv_below_tls(sock: Any, size: int) -> bytes:
    """Receive from a TLS socket as if it had none."""
    return bytes(socket.socket.recv(sock, size))


def adopt(ws: Any) -> None:
    """Let a WebSocket be served by greenlets, many of which may send."""
    cooperative.adopt(ws, KIT)


def take(sock: Any, dummy: int) -> Any:
    """Move a connection to a new socket; the server's own lives on with another descriptor. TLS stays where it is."""
    if hasattr(sock, "unwrap"):
        _socket.close(dummy)
        return sock
    family, kind, proto = sock.family, sock.type, sock.proto
    live = socket.socket(family, kind, proto, fileno=sock.detach())
    socket.socket.__init__(sock, _socket.AF_UNIX, _socket.SOCK_STREAM, 0, dummy)
    sock._closed = False  # detach() says that it is
    return live


def serve(ws: Any) -> None:
    """Serve a WebSocket to its end in this greenlet."""
    adopt(ws)
    cooperative.serve(ws, GreenletExit)


def close_all(websockets: Iterable[Any]) -> None:
    """Close WebSockets with 1001, none waiting for another's peer."""
    farewells = [gevent.spawn(cooperative.dismiss, ws) for ws in websockets]
    gevent.joinall(farewells, timeout=2 * FAREWELL)


def watch(happens: Callable[[], bool], then: Callable[[], object]) -> None:
    """Call ``then`` as soon as something happens, which nobody tells."""
    gevent.spawn(look_for, gevent.sleep, happens, then)


def wait_until(happens: Callable[[], bool], timeout: float) -> None:
    """Wait until something happens, or the time is over; others run meanwhile."""
    look_until(gevent.sleep, happens, timeout)


def wrap_tls(sock: Any, context: _ssl.SSLContext, **options: Any) -> Any:
    """Begin TLS as a client; any context will do, gevent's or Python's."""
    return ssl.SSLSocket(sock=sock, _context=context, **options)

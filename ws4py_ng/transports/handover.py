"""Take the live connection out of the hands of a WSGI server.

PEP 3333 knows no upgrade. But most servers let the socket be found in the environ, and each
has a way to be left without a word. What is known of each is one function in `HOSTS`.

A server goes on using its socket when the application has returned: it sets timeouts, shuts
it down, writes an answer, reads the next request. So a threaded server does not keep it:
`Handover.take` moves the descriptor to a socket object of ours and leaves the server's own
object on a dummy, the end of a pair whose other end is closed. `dup` would not do: a shutdown
kills every duplicate. So it does no harm to return from there as if nothing had happened: what
the server answers reaches nobody, and all of them take that for a client that has left.

Of gevent's and eventlet's sockets nothing is moved, as a connection may stay in its greenlet
until it has ended; but then the server must be left by the way that it has for that.

A TLS connection is bound to the Python object that it was made with, whose timeout and
descriptor OpenSSL's wrapper asks for: `_TakenTLS` takes the TLS state to a new object, and
keeps the old one alive and non-blocking, whatever the server does to it.
"""

from __future__ import annotations

import _socket
import errno
import signal
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

__all__ = ["HOSTS", "Handover", "find", "host_name", "kit_of", "protocol_of", "read_ahead", "takes_hop_by_hop"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

# What may stand between ``wsgi.input`` and the server's file, and how many of them at most.
_WRAPPERS = ("rfile", "stream", "_stream")
_MAX_WRAPPERS = 8
# The most that is read ahead: what a server's buffer holds.
_READ_AHEAD = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Hold what a server hands over.

    ``sock`` is the server's; `take` makes it ours where threads serve. Where it stays in its
    greenlet, ``leave`` is what the application then returns, or it raises; ``informed`` is a
    server that may be told the status, for its access log; ``answers``: it sends the 101 by that.
    ``stopping`` tells, where it can be known, that the server waits for its connections to end.
    """

    host: str
    sock: Any
    buffered: Callable[[], bytes]
    leave: Callable[[], Iterable[bytes]]
    informed: bool = False
    answers: bool = False
    stopping: Callable[[], bool] | None = None

    @property
    def kit(self) -> ModuleType | None:
        """The module with the kit of this socket's kind; None for threads."""
        return kit_of(self.sock)

    def take(self) -> tuple[Any, bytes]:
        """Make the connection ours: return its socket, and what the server has read of it already.

        The socket blocks and has no timeout, whatever the server had set. Of gevent and eventlet, whose
        servers then go on with a dummy as well, a connection with TLS stays theirs.
        """
        ahead = self.buffered()
        kit = self.kit
        return (_swapped(self.sock) if kit is None else kit.take(self.sock, _dummy().detach())), ahead


def find(environ: Environ) -> Handover | None:
    """Find the connection of a request; None if this server does not hand it over."""
    found = next((found for host in HOSTS if (found := host(environ)) is not None), None)
    if found is None or not (isinstance(found.sock, socket.socket) or found.kit is not None):
        return None
    return found


def host_name(environ: Environ) -> str:
    """Name the server for an error, as it calls itself."""
    return str(environ.get("SERVER_SOFTWARE") or "this WSGI server")


def protocol_of(environ: Environ) -> str:
    """Return the protocol version of a request; eventlet calls every one HTTP/1.0."""
    return "HTTP/1.1" if "eventlet.input" in environ else str(environ.get("SERVER_PROTOCOL") or "HTTP/1.1")


def takes_hop_by_hop(environ: Environ) -> bool:
    """Tell whether this server lets an application send Upgrade and Connection (PEP 3333 forbids it).

    wsgiref, and with it Django's runserver, fails then.
    """
    lent = any(environ.get(key) is not None for key in ("ws4py_ng.socket", "ws4py.socket"))
    host = next((found.host for host in HOSTS if (found := host(environ)) is not None), None)
    return lent or host not in (None, "wsgiref")


def kit_of(sock: Any) -> ModuleType | None:
    """Return the module with the kit for a socket of gevent or eventlet; None for any other."""
    kind = type(sock).__module__.partition(".")[0]
    if kind == "gevent":
        from . import gevent_kit

        return gevent_kit
    if kind == "eventlet":
        from . import eventlet_kit

        return eventlet_kit
    return None


def read_ahead(file: Any, sock: Any) -> bytes:
    """Take what a buffered reader holds, without waiting for more."""
    if hasattr(file, "has_data"):  # cheroot: a reader in Python, whose peek() would wait
        return bytes(file.read1(_READ_AHEAD)) if file.has_data() else b""
    if not hasattr(file, "peek"):
        return b""
    before = sock.gettimeout()
    sock.settimeout(0)
    try:
        return bytes(file.read1(len(file.peek(1))))
    except OSError:  # mostly that there is nothing; if the connection is lost, the next read tells
        return b""
    finally:
        sock.settimeout(before)


# Moving a descriptor


def _swapped(sock: socket.socket) -> socket.socket:
    """Move the connection to a new object; the server's lives on as a dummy."""
    if isinstance(sock, ssl.SSLSocket):
        return _TakenTLS.of(sock)
    live = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach())
    _make_dummy(sock)
    live.settimeout(None)
    return live


def _dummy() -> _socket.socket:
    """Make one; it is not of a kind that somebody has patched."""
    dummy, other = _socket.socketpair()
    other.close()
    return dummy


def _make_dummy(sock: socket.socket) -> None:
    """Give a socket object without a descriptor one that reads the end and takes nothing."""
    dummy = _dummy()
    family, kind, proto = dummy.family, dummy.type, dummy.proto
    # The base's: SSLSocket has none, and socket's would forget how many files there are of it.
    _socket.socket.__init__(sock, family, kind, proto, dummy.detach())
    sock._closed = False  # type: ignore[attr-defined]  # detach() says that it is


class _TakenTLS(ssl.SSLSocket):
    """Be a TLS connection that was made with another object."""

    _ghost: ssl.SSLSocket
    _ghost_is_done = False

    @classmethod
    def of(cls, sock: ssl.SSLSocket) -> _TakenTLS:
        """Take the connection of a server's object, which goes on without TLS on a dummy."""
        taken: _TakenTLS = cls.__new__(cls)
        sock.settimeout(0)
        family, kind, proto = sock.family, sock.type, sock.proto
        # The number stays the same, which is what OpenSSL knows.
        socket.socket.__init__(taken, family, kind, proto, fileno=sock.detach())
        taken.__dict__.update(sock.__dict__)
        taken._ghost = sock
        taken.settimeout(None)
        _make_dummy(sock)
        sock.settimeout(0)
        sock._sslobj = None  # type: ignore[attr-defined]
        # OpenSSL's wrapper asks the ghost for its timeout, and shuts TLS down only while it is open.
        sock.__dict__.update(settimeout=_do_nothing, setblocking=_do_nothing, close=taken._put_off)
        return taken

    def _put_off(self) -> None:
        """Be the ghost's `close`."""
        self._ghost_is_done = True

    def _real_close(self) -> None:
        super()._real_close()  # type: ignore[misc]
        ghost = self._ghost
        for name in ("close", "settimeout", "setblocking"):
            ghost.__dict__.pop(name, None)
        if self._ghost_is_done:  # else the server is still at it
            ghost.close()


def _do_nothing(*args: Any) -> None:
    """Stand for what a server must not do any more."""


# How to leave


def _abort() -> Iterable[bytes]:
    """Leave a server that was made for threads: a lost connection is no news there."""
    raise ConnectionAbortedError(errno.ECONNABORTED, "the connection has become a WebSocket")


class _Stop:
    """Leave gunicorn, which takes StopIteration for the end of a connection, behind its access log."""

    def __iter__(self) -> Iterator[bytes]:
        raise StopIteration


def _stop() -> Iterable[bytes]:
    return _Stop()


# The hosts


def _gunicorn(environ: Environ) -> Handover | None:
    """Look for gunicorn, with any worker of its own; its HTTP/2 has no socket to give."""
    sock = environ.get("gunicorn.socket")
    if sock is None or environ.get("HTTP_VERSION") == "2":
        return None

    def buffered() -> bytes:
        unreader: Any = getattr(getattr(environ.get("wsgi.input"), "reader", None), "unreader", None)
        if hasattr(unreader, "take_buffered"):
            return bytes(unreader.take_buffered())
        return bytes(unreader.buf.getvalue()) if hasattr(unreader, "buf") else b""  # before 27

    stopping = _is_gunicorn_stopping
    return Handover(host="gunicorn", sock=sock, buffered=buffered, leave=_stop, informed=True, stopping=stopping)


def _is_gunicorn_stopping() -> bool:
    """Ask gunicorn's worker, which has no hook for that: it takes the signal by a method of its own."""
    worker = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return not getattr(worker, "alive", True)


def _werkzeug(environ: Environ) -> Handover | None:
    """Look for Werkzeug's development server, which is Flask's as well."""
    sock = environ.get("werkzeug.socket")
    if sock is None:
        return None

    def buffered() -> bytes:
        return read_ahead(_file(environ), sock)

    return Handover(host="werkzeug", sock=sock, buffered=buffered, leave=_abort)


def _eventlet(environ: Environ) -> Handover | None:
    """Look for eventlet.wsgi, which loses what its reader holds unless that is asked."""
    given: Any = environ.get("eventlet.input")
    if not hasattr(given, "get_socket"):
        return None
    sock = given.get_socket()

    def leave() -> Iterable[bytes]:
        from . import eventlet_kit

        eventlet_kit.wsgi.WSGI_LOCAL.already_handled = True
        return []

    def buffered() -> bytes:
        environ["eventlet.set_idle"]()  # at its end it waits for requests, and would for us
        return read_ahead(given.rfile, sock)

    return Handover(host="eventlet", sock=sock, buffered=buffered, leave=leave, informed=True)


def _pywsgi(environ: Environ) -> Handover | None:
    """Look for gevent.pywsgi, whose ``wsgi.input`` is its reader when an upgrade is asked for."""
    file = environ.get("wsgi.input")
    sock = _socket_of(file)
    if file is None or sock is None or type(sock).__module__.partition(".")[0] != "gevent":
        return None

    def buffered() -> bytes:
        return read_ahead(file, sock)

    def leave() -> Iterable[bytes]:
        file.close()  # else it waits for the next request
        return []

    return Handover(host="gevent", sock=sock, buffered=buffered, leave=leave, informed=True, answers=True)


def _input_file(environ: Environ) -> Handover | None:
    """Look for a server whose ``wsgi.input`` is, or wraps, the file of its socket.

    cheroot (KnownLengthRFile), Django's runserver (LimitedStream), wsgiref.
    """
    file = _file(environ)
    sock = _socket_of(file)
    if sock is None:
        return None

    def buffered() -> bytes:
        return read_ahead(file, sock)

    host = "cheroot" if hasattr(file, "has_data") else "wsgiref"
    return Handover(host=host, sock=sock, buffered=buffered, leave=_abort)


HOSTS: tuple[Callable[[Environ], Handover | None], ...] = (_gunicorn, _werkzeug, _eventlet, _pywsgi, _input_file)


def _file(environ: Environ) -> Any:
    """Find the server's own buffered file, behind whatever stands for ``wsgi.input``."""
    file = environ.get("wsgi.input")
    for _ in range(_MAX_WRAPPERS):
        if file is None or _socket_of(file) is not None:
            return file
        inner = next((getattr(file, name) for name in _WRAPPERS if getattr(file, name, None) is not None), None)
        if inner is None:  # Django's LimitedStream keeps a bound method, and not the file
            inner = getattr(getattr(file, "_read", None), "__self__", None)
        file = inner
    return None


def _socket_of(file: Any) -> Any:
    with suppress(ValueError):  # a buffered file that was detached
        return getattr(getattr(file, "raw", None), "_sock", None)
    return None

"""A connection changes hands: whatever the old owner does to it then, it is well."""

from __future__ import annotations

import io
import os
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from test.client.peers import WAIT, client_context, server_context
from ws4py_ng.transports import handover


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Make a connection: the server's end, and the peer's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname(), timeout=WAIT)
        server, _ = listener.accept()
        with peer, server:
            yield server, peer


@pytest.fixture
def tls_pair(pair: tuple[socket.socket, socket.socket]) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """Make the same with TLS."""
    found: list[ssl.SSLSocket] = []

    def shake() -> None:
        found.append(server_context().wrap_socket(pair[0], server_side=True))

    thread = threading.Thread(target=shake)
    thread.start()
    with client_context().wrap_socket(pair[1], server_hostname="localhost") as peer:
        thread.join(WAIT)
        with found[0]:
            yield found[0], peer


def environ_of(sock: socket.socket, file: Any) -> dict[str, Any]:
    """Make the environ of a server like Werkzeug."""
    return {"werkzeug.socket": sock, "wsgi.input": file}


def misuse(sock: socket.socket) -> None:
    """Do all that servers do to a socket behind the application's back."""
    sock.settimeout(0.01)
    sock.setblocking(True)
    with pytest.raises(OSError, match="Broken pipe"):
        sock.sendall(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
    assert b"" == sock.recv(100)
    sock.shutdown(socket.SHUT_RDWR)
    sock.close()
    sock.close()


def check(server: socket.socket, peer: socket.socket) -> None:
    """See that both ends still talk."""
    server.sendall(b"down" * 1000)
    got = b""
    while len(got) < 4000:
        got += peer.recv(65536)
    assert b"down" * 1000 == got
    peer.sendall(b"up")
    assert b"up" == server.recv(100)


def test_a_socket_moves_with_what_was_read_ahead(pair: tuple[socket.socket, socket.socket]) -> None:
    server, peer = pair
    file = server.makefile("rb")
    peer.sendall(b"head\nbehind")
    assert b"head\n" == file.readline()
    server.settimeout(0.01)
    found = handover.find(environ_of(server, file))
    assert found is not None
    live, ahead = found.take()
    with live:
        assert b"behind" == ahead
        assert live.gettimeout() is None
        assert os.get_blocking(live.fileno())
        misuse(server)
        file.close()
        check(live, peer)
    assert b"" == peer.recv(1)


def test_nothing_is_waited_for(pair: tuple[socket.socket, socket.socket]) -> None:
    server, peer = pair
    file = server.makefile("rb")
    found = handover.find(environ_of(server, file))
    assert found is not None
    live, ahead = found.take()
    with live:
        assert b"" == ahead
        check(live, peer)


def test_the_dummy_has_a_number_of_its_own_that_is_closed_with_it(pair: tuple[socket.socket, socket.socket]) -> None:
    server, _ = pair
    before = len(os.listdir("/proc/self/fd"))
    found = handover.find(environ_of(server, server.makefile("rb")))
    assert found is not None
    live, _ = found.take()
    assert server.fileno() != live.fileno()
    assert before + 1 == len(os.listdir("/proc/self/fd"))
    live.close()
    found.sock.close()
    del found, server


def test_a_peer_that_has_reset_is_told_of_by_the_next_read(pair: tuple[socket.socket, socket.socket]) -> None:
    server, peer = pair
    file = server.makefile("rb")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    found = handover.find(environ_of(server, file))
    assert found is not None
    live, ahead = found.take()
    with live:
        assert b"" == ahead == live.recv(1)


def test_tls_moves_with_what_was_read_ahead(tls_pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    server, peer = tls_pair
    file = server.makefile("rb")
    peer.sendall(b"head\nbehind")
    assert b"head\n" == file.readline()
    server.settimeout(0.01)
    found = handover.find(environ_of(server, file))
    assert found is not None
    live, ahead = found.take()
    assert isinstance(live, ssl.SSLSocket)
    assert b"behind" == ahead
    misuse(server)
    file.close()
    check(live, peer)
    peer.sendall(b"x" * 100)
    assert b"x" == live.recv(1)
    assert 99 == live.pending()
    assert b"x" * 99 == live.recv(1000)
    assert "TLSv1.3" == live.version()
    # The peer sees an end that is no truncation, whatever the server did meanwhile.
    peer.suppress_ragged_eofs = False
    live.settimeout(0)
    with pytest.raises(ssl.SSLWantReadError):
        live.unwrap()
    live.close()
    assert b"" == peer.recv(1)


def test_a_taken_tls_connection_leaves_no_descriptor(tls_pair: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    server, _ = tls_pair
    before = len(os.listdir("/proc/self/fd"))
    found = handover.find(environ_of(server, None))
    assert found is not None
    live, _ = found.take()
    server.close()  # does nothing: TLS needs the object until ours is closed
    assert before + 1 == len(os.listdir("/proc/self/fd"))
    live.close()
    assert before - 1 == len(os.listdir("/proc/self/fd"))
    server.close()


def test_a_server_may_still_be_at_it_when_a_taken_tls_connection_has_ended(
    tls_pair: tuple[ssl.SSLSocket, ssl.SSLSocket],
) -> None:
    server, _ = tls_pair
    before = len(os.listdir("/proc/self/fd"))
    found = handover.find(environ_of(server, None))
    assert found is not None
    found.take()[0].close()
    assert server.fileno() > 0
    misuse(server)
    assert before - 1 == len(os.listdir("/proc/self/fd"))


class Wrapper:
    """Wrap a file as servers do, under some name."""

    def __init__(self, name: str, file: Any) -> None:
        setattr(self, name, file)


class Reader(io.BytesIO):
    """Be cheroot's reader."""

    def __init__(self, sock: Any, data: bytes) -> None:
        super().__init__(data)
        self.raw = Wrapper("_sock", sock)

    def has_data(self) -> bool:
        return self.tell() < len(self.getbuffer())


def test_a_file_is_found_behind_its_wrappers(pair: tuple[socket.socket, socket.socket]) -> None:
    sock = pair[0]
    plain = sock.makefile("rb")
    limited = Wrapper("_read", plain.read)
    for given in (plain, Wrapper("rfile", plain), Wrapper("stream", Wrapper("_stream", plain)), limited):
        found = handover.find({"wsgi.input": given})
        assert found is not None
        assert ("wsgiref", sock) == (found.host, found.sock)
    cheroot = handover.find({"wsgi.input": Wrapper("rfile", Reader(sock, b"ahead"))})
    assert cheroot is not None
    assert ("cheroot", b"ahead", b"") == (cheroot.host, cheroot.buffered(), cheroot.buffered())
    with pytest.raises(ConnectionAbortedError):
        cheroot.leave()


@pytest.mark.parametrize("modern", [True, False])
def test_gunicorn_of_every_age_gives_what_it_has_read(pair: tuple[socket.socket, socket.socket], modern: bool) -> None:
    class Unreader:
        buf = io.BytesIO(b"ahead")

    if modern:
        Unreader.take_buffered = lambda self: b"taken"  # type: ignore[attr-defined]
    environ = {"gunicorn.socket": pair[0], "wsgi.input": Wrapper("reader", Wrapper("unreader", Unreader()))}
    found = handover.find(environ)
    assert found is not None
    assert (b"taken" if modern else b"ahead") == found.buffered()
    assert found.stopping is not None
    assert not found.stopping()
    with pytest.raises(StopIteration):
        iter(found.leave())
    assert handover.find({**environ, "HTTP_VERSION": "2"}) is None


class NoSocket:
    """Be a TLS connection of pyOpenSSL's, which cannot be moved."""


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"wsgi.input": io.BytesIO()},
        {"wsgi.input": Wrapper("raw", None)},
        {"werkzeug.socket": NoSocket(), "wsgi.input": None},
        {"wsgi.input": Reader(NoSocket(), b"")},
    ],
)
def test_where_there_is_no_socket_nothing_is_found(environ: dict[str, Any]) -> None:
    assert handover.find(environ) is None


def test_a_wrapper_that_wraps_itself_is_given_up() -> None:
    loop = Wrapper("rfile", None)
    loop.rfile = loop  # type: ignore[attr-defined]
    assert handover.find({"wsgi.input": loop}) is None


def test_eventlet_calls_every_request_http_1_0() -> None:
    assert "HTTP/1.1" == handover.protocol_of({"eventlet.input": object(), "SERVER_PROTOCOL": "HTTP/1.0"})
    assert "HTTP/1.0" == handover.protocol_of({"SERVER_PROTOCOL": "HTTP/1.0"})


def test_only_wsgiref_and_strangers_take_no_upgrade_header(pair: tuple[socket.socket, socket.socket]) -> None:
    file = pair[0].makefile("rb")
    assert not handover.takes_hop_by_hop({"wsgi.input": file})
    assert not handover.takes_hop_by_hop({})
    assert handover.takes_hop_by_hop(environ_of(pair[0], file))
    assert handover.takes_hop_by_hop({"ws4py.socket": pair[0], "wsgi.input": file})

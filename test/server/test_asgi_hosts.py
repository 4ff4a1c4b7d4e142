"""`WebSocketApplication` under real ASGI servers, each a process, talked to by `websockets` and by bytes."""

from __future__ import annotations

import http.client
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from test.client.peers import Peer, frame, request
from test.server.asgi_hosts import DOCS, HOSTS, Host, Running, docs_page, missing
from test.server.asgi_site import MOUNTED

SIZES = (0, 1, 125, 126, 65_535, 65_536, 1024 * 1024)
MANY = 200


@pytest.fixture(scope="module", params=HOSTS, ids=str)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    host: Host = request.param
    if missing(host):
        pytest.skip(f"{host} needs {', '.join(missing(host))}")
    with Running(host, "test.server.asgi_site:app") as server:
        yield server


def opened(running: Running, path: str, **options: Any) -> ClientConnection:
    options = {"proxy": None, "max_size": None, "compression": None, "ping_interval": None, **options}
    return connect(f"ws://127.0.0.1:{running.port}{path}", **options)


def get(running: Running, path: str = "/page") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ending(ws: ClientConnection) -> tuple[int, str] | None:
    """Wait for the server's Close; None if there is none."""
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(timeout=30)
    return None if caught.value.rcvd is None else (caught.value.rcvd.code, caught.value.rcvd.reason)


def test_every_size_comes_back(running: Running) -> None:
    with opened(running, "/echo", subprotocols=["other", "chat"]) as ws:
        assert "chat" == ws.subprotocol
        assert ws.response is not None
        assert ws.response.headers.get("X-Served-By") == ("us" if running.host.headers else None)
        for size in SIZES:
            if size or running.host.empties:
                ws.send("x" * size)
                assert "x" * size == ws.recv(timeout=30)
                ws.send(b"\xff" * size)
                assert b"\xff" * size == ws.recv(timeout=30)


def test_hooks_may_be_async(running: Running) -> None:
    with opened(running, "/async") as ws:
        for _ in range(3):
            ws.send("four")
            assert ["one of ", "three", "four"] == [ws.recv(timeout=30) for _ in range(3)]


def test_a_frame_may_come_in_three_pieces(running: Running) -> None:
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.sock.sendall(request(port=running.port, line="GET /echo HTTP/1.1"))
        assert b" 101 " in peer.take_head().split(b"\r\n")[0]
        sent = frame(1, b"in pieces")
        for piece in (sent[:1], sent[1:5], sent[5:]):
            peer.sock.sendall(piece)
        assert (1, b"in pieces") == peer.take_frame()


def test_a_websocket_may_follow_a_plain_request_on_its_connection(running: Running) -> None:
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.sock.sendall(b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200" in peer.take_head().split(b"\r\n")[0]
        assert b"plain" == peer.take(5)
        asked = request(port=running.port, line="GET /echo HTTP/1.1")
        peer.sock.sendall(asked.replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"))
        assert b" 101 " in peer.take_head().split(b"\r\n")[0]
        peer.sock.sendall(frame(1, b"behind it"))
        assert (1, b"behind it") == peer.take_frame()


def test_a_frame_in_the_segment_of_the_request_is_kept_where_the_host_does(running: Running) -> None:
    if not running.host.early:
        return
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.sock.sendall(request(port=running.port, line="GET /echo HTTP/1.1") + frame(1, b"early"))
        assert b" 101 " in peer.take_head().split(b"\r\n")[0]
        assert (1, b"early") == peer.take_frame()


def test_the_server_closes(running: Running) -> None:
    with opened(running, "/closer") as ws:
        ws.send("x")
        assert (4001, "go away" if running.host.reasons_to_peer else "") == ending(ws)
    running.wait_line("^closed Closer (4001|1000|1005)")


def test_the_peer_closes(running: Running) -> None:
    with opened(running, "/echo") as ws:
        ws.close(4321, "bye")
    host = running.host
    line = running.wait_line("^closed Echo (4321|1006)")
    assert ("4321" if host.from_peer else "1006") in line
    assert ("'bye'" in line) == (host.from_peer and host.reasons_from_peer)


def test_an_error_in_a_hook_is_1011(running: Running) -> None:
    with opened(running, "/failing") as ws:
        ws.send("x")
        found = ending(ws)
        assert found is not None
        assert 1011 == found[0]
    running.wait_line("LookupError: on purpose")


def test_a_message_that_is_too_big_is_1009(running: Running) -> None:
    with opened(running, "/echo") as ws:
        ws.send(bytes(1024 * 1024 + 1))
        found = ending(ws)
        assert running.host.too_big == (found and found[0])


@pytest.mark.parametrize(("path", "origin", "status"), [("/nowhere", None, 404), ("/echo", "http://evil.example", 403)])
def test_refusals(running: Running, path: str, origin: Any, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        opened(running, path, origin=origin)
    assert (status if running.host.denies else 403) == caught.value.response.status_code


def test_plain_requests_are_answered_beside_many_connections(running: Running) -> None:
    with ExitStack() as stack:
        many = [stack.enter_context(opened(running, "/echo")) for _ in range(MANY)]
        for number, ws in enumerate(many):
            ws.send(str(number))
            assert (200, b"plain") == get(running)
        for number, ws in enumerate(many):
            assert str(number) == ws.recv(timeout=30)


# The last one, as it ends the server.
def test_sigterm_is_seen_by_the_peer(running: Running) -> None:
    with opened(running, "/echo") as ws:
        ws.send("x")
        assert "x" == ws.recv(timeout=30)
        running.process.send_signal(signal.SIGTERM)
        found = ending(ws)
        assert running.host.ends == (found and found[0])
    assert running.process.wait(30) in (0, -signal.SIGTERM)


# In frameworks, under each kind of host

KINDS = [host for host in HOSTS if host.name in ("uvicorn-sansio", "uvicorn-ours-h11-asyncio", "hypercorn")]
KINDS += [host for host in HOSTS if host.name in ("granian", "daphne")]


@pytest.mark.parametrize("host", KINDS, ids=str)
@pytest.mark.parametrize("framework", MOUNTED)
def test_it_lives_in_a_framework(framework: str, host: Host) -> None:
    pytest.importorskip(framework)
    if missing(host):
        pytest.skip(f"{host} needs {', '.join(missing(host))}")
    below = MOUNTED[framework]
    with Running(host, f"test.server.asgi_site:in_{framework}") as running:
        with opened(running, f"{below}/echo", subprotocols=["other", "chat"]) as ws:
            assert "chat" == ws.subprotocol
            for data in ("grüße", b"\x00\xff", "x" * 70_000):
                ws.send(data)
                assert data == ws.recv(timeout=30)
            assert (200, b"plain") == get(running, "/")
        with opened(running, f"{below}/closer") as ws:
            ws.send("x")
            assert (4001, "go away" if host.reasons_to_peer else "") == ending(ws)
        for path, origin, status in (("/nowhere", None, 404), ("/echo", "http://evil.example", 403)):
            with pytest.raises(InvalidStatus) as caught:
                opened(running, f"{below}{path}", origin=origin)
            assert (status if host.denies else 403) == caught.value.response.status_code


def test_the_docs_say_what_the_tests_expect() -> None:
    assert docs_page() == DOCS.read_text("utf-8"), "run python -m test.server.asgi_hosts"

"""`WSProtocol` in a real uvicorn, before an application of somebody else's; ours is in test_asgi_hosts.py
and in the contract."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from test.client.peers import Peer, close_frame, frame, request
from test.server.asgi_hosts import HOSTS, Host, Running, missing
from ws4py_ng.server.uvicorn import WSProtocol

OURS = [
    replace(host, command=(*host.command[:-1], "--ws-max-size", "100000", "--ws-ping-interval", "0", host.command[-1]))
    for host in HOSTS
    if "ours" in host.name
]


@pytest.fixture(scope="module", params=OURS, ids=str)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    host: Host = request.param
    if missing(host):
        pytest.skip(f"{host} needs {', '.join(missing(host))}")
    with Running(host, "test.server.asgi_site:by_events") as server:
        yield server


def opened(running: Running, path: str = "/", **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{running.port}{path}", **{"proxy": None, "max_size": None, **options})


def ending(ws: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(timeout=30)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_any_application_gets_its_events_from_our_frames(running: Running) -> None:
    with opened(running, subprotocols=["chat"]) as ws:
        assert "chat" == ws.subprotocol
        assert ws.response is not None
        assert "them" == ws.response.headers["X-Served-By"]
        assert "uvicorn" == ws.response.headers["Server"]
        assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
        for size in (0, 1, 70_000):
            ws.send("x" * size)
            assert "x" * size == ws.recv(timeout=30)
            ws.send(b"\xff" * size)
            assert b"\xff" * size == ws.recv(timeout=30)
        ws.ping().wait(30)
        ws.close(4321, "bye")
    assert "disconnected 4321 'bye'" == running.wait_line("^disconnected")


def test_many_messages_of_one_read_wait_for_the_application(running: Running) -> None:
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.send(request(port=running.port))
        peer.take_head()
        peer.send(b"".join(frame(1, b"%d" % number) for number in range(500)))
        assert [(1, b"%d" % number) for number in range(500)] == [peer.take_frame() for _ in range(500)]
        peer.send(close_frame(1000))
        assert 8 == peer.take_frame()[0]
    running.wait_line("^disconnected 1000")


def test_the_application_closes_leaves_or_fails(running: Running) -> None:
    for text, expected in (("close", (4001, "go away")), ("leave", (1000, "")), ("fail", (1011, ""))):
        with opened(running) as ws:
            ws.send(text)
            assert expected == ending(ws)
    running.wait_line("LookupError: on purpose")


@pytest.mark.parametrize(
    ("path", "status", "body"), [("/denied", 418, b"teapot"), ("/refused", 403, None), ("/silent", 500, None)]
)
def test_the_application_refuses(running: Running, path: str, status: int, body: bytes | None) -> None:
    with pytest.raises(InvalidStatus) as caught:
        opened(running, path)
    assert status == caught.value.response.status_code
    assert body in (None, caught.value.response.body)


def test_a_bad_request_never_reaches_the_application(running: Running) -> None:
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.send(request(("Sec-WebSocket-Key", "short"), port=running.port))
        assert b" 400 " in peer.take_head().split(b"\r\n")[0]


def test_a_target_may_be_the_whole_url(running: Running) -> None:
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.send(request(("Host", "a.example"), line="GET http://a.example/denied HTTP/1.1"))
        assert b" 418 " in peer.take_head().split(b"\r\n")[0]


def test_uvicorns_limits_are_ours(running: Running) -> None:
    with opened(running) as ws:
        ws.send(bytes(100_001))
        assert 1009 == ending(ws)[0]
    running.wait_line("^disconnected 1009")


def test_a_peer_that_is_lost_is_a_disconnect(running: Running) -> None:
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.send(request(port=running.port))
        peer.take_head()
        peer.reset()
    running.wait_line("^disconnected 1006")


def test_an_application_that_leaves_much_untaken_is_left_by_the_peer(running: Running) -> None:
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.send(request(port=running.port))
        peer.take_head()
        peer.send(frame(1, b"leave") + frame(1, b"never taken") * 500)
        assert (8, b"\x03\xe8") == peer.take_frame()
        peer.send(close_frame(1000))
        assert b"" == peer.sock.recv(1)


def test_a_refusal_can_be_read_by_a_peer_that_goes_on_sending(running: Running) -> None:
    with Peer(socket.create_connection(("127.0.0.1", running.port))) as peer:
        peer.send(request(port=running.port, line="GET /refused HTTP/1.1"))
        peer.send(frame(2, bytes(40_000)))
        assert b" 403 " in peer.take_head().split(b"\r\n")[0]


# The last one, as it ends the server.
def test_its_end_is_1001(running: Running) -> None:
    with opened(running) as ws:
        ws.send("x")
        assert "x" == ws.recv(timeout=30)
        running.process.send_signal(signal.SIGTERM)
        assert (1001, "Server is shutting down") == ending(ws)
    running.wait_line("^disconnected 1001")


# Without uvicorn: what a loop of theirs cannot be made to do


class Config:
    """Have what WSProtocol asks of uvicorn's Config."""

    loaded = True
    root_path = ""
    asgi_version = "3.0"
    ws_max_size = 1000
    ws_max_queue = 4
    ws_ping_interval = ws_ping_timeout = None
    ws_per_message_deflate = False
    loaded_app: Any = None


class State:
    """Have what WSProtocol asks of uvicorn's ServerState."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.tasks: set[Any] = set()
        self.default_headers: list[tuple[bytes, bytes]] = []


class Wire(asyncio.Transport):
    """Note what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = self.is_paused = False
        self.protocol: Any = None

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.close()

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True


def begun(app: Any) -> tuple[WSProtocol, Wire, State]:
    config, state, wire = Config(), State(), Wire()
    config.loaded_app = app
    protocol = WSProtocol(config=config, server_state=state, app_state={})
    protocol.connection_made(wire)
    wire.protocol = protocol
    assert {protocol} == state.connections
    protocol.data_received(request())
    return protocol, wire, state


def test_a_peer_that_leaves_before_the_accept_is_told_to_the_application() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        seen.append(await receive())
        await send({"type": "websocket.accept"})

    async def main() -> None:
        _, wire, state = begun(app)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        wire.close()
        await asyncio.gather(*state.tasks)
        assert ["websocket.connect", "websocket.disconnect"] == [event["type"] for event in seen]
        assert (b"", set()) == (wire.written, state.connections)

    asyncio.run(main())


def test_what_comes_before_the_accept_is_bounded() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        protocol, wire, state = begun(app)
        protocol.data_received(bytes(60_000))
        assert not wire.is_paused
        protocol.data_received(bytes(60_000))
        assert wire.is_paused
        protocol.shutdown()
        assert wire.written.startswith(b"HTTP/1.1 503 ")
        await asyncio.sleep(0)
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize("event", [{"type": "websocket.send", "text": "x"}, {"type": "novelty"}])
def test_an_event_that_does_not_fit_is_an_error_and_500(
    event: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError, match=r"expected 'websocket\.accept'"):
            await send(event)

    async def main() -> None:
        _, wire, state = begun(app)
        await asyncio.sleep(0)
        await asyncio.gather(*state.tasks)
        assert wire.written.startswith(b"HTTP/1.1 500 ")
        assert wire.is_closed

    asyncio.run(main())

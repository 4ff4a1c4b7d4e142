"""Every kind of server and client records, and every kind of server takes part in a replay."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import make_server

import pytest

from test.capture.recorded import LARGE, Talker, with_threads
from test.client.peers import client_context as trusting_context
from test.client.peers import server_context
from test.recordings.make import HERE
from test.transports.contract import Options, ServerRow, server_rows
from test.transports.diary import Diary
from test.transports.test_contract import run_here
from test.transports.tls import write_certificates
from ws4py_ng.capture import CaptureError, read, replay, replay_to_client, replay_to_server
from ws4py_ng.client import asyncioclient, tornadoclient, trioclient
from ws4py_ng.client.geventclient import WebSocketClient as GeventClient
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.server.geventserver import WSGIServer as GeventServer
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
from ws4py_ng.server.wsgiutils import WebSocketWSGIApplication
from ws4py_ng.websocket import EchoWebSocket

ROWS = server_rows()
# Conversations with a class that only echoes, as the rows have it, which the other side ends.
ECHOES = ["text", "binary", "close_by_browser", "violation_by_client", "violation_utf8", "page_crash", "abrupt_kill"]


@pytest.fixture(scope="module", autouse=True)
def diary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Diary]:
    """Collect what the hooks of the contract note, of which nothing is asked here."""
    write_certificates(tmp_path_factory.mktemp("certificates"))
    found = Diary()
    yield found
    found.close()


def talk(url: str) -> None:
    client = Talker(url, capture=False)
    client.connect()
    client.run_forever()


def check_server(path: Path, carrier: str) -> None:
    """Check that one conversation of `Talker` was recorded, and replays."""
    recording = read(path)
    assert [] == recording.problems
    connection = recording.connection()
    assert ("server", carrier) == (connection.role, connection.about["transport"])
    result = replay(connection, EchoWebSocket).check()
    assert ["hello", "in two", LARGE] == result.messages
    assert ("closed", 1000, b"done") == result.hooks[-1]


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_every_server_records_when_the_environment_says_so(
    row: ServerRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WS4PY_NG_CAPTURE", f"{tmp_path}/")
    run_here(row)
    server = row.start(Options(deflate=row.deflates))
    try:
        talk(f"ws://127.0.0.1:{server.address[1]}/echo?tag=x")
    finally:
        server.stop()
    carrier = read(next(tmp_path.iterdir())).connection().about["transport"]
    check_server(next(tmp_path.iterdir()), carrier)


def test_wsgiref_and_its_manager_record(tmp_path: Path) -> None:
    application = WebSocketWSGIApplication(handler_cls=EchoWebSocket, capture=tmp_path / "trace.wscap")
    server = make_server(
        "127.0.0.1", 0, application, server_class=WSGIServer, handler_class=WebSocketWSGIRequestHandler
    )
    server.initialize_websockets_manager()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        talk(f"ws://127.0.0.1:{server.server_port}/")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    check_server(tmp_path / "trace.wscap", "wsgi")


def test_gevent_records_on_both_sides(tmp_path: Path) -> None:
    import gevent

    application = WebSocketWSGIApplication(handler_cls=EchoWebSocket, capture=tmp_path / "server.wscap")
    server = GeventServer(("127.0.0.1", 0), application, log=None)
    server.start()

    class Green(GeventClient):
        answers = 0
        opened, received_message = Talker.opened, Talker.received_message

    try:
        client = Green(f"ws://127.0.0.1:{server.server_port}/", capture=tmp_path / "client.wscap")
        client.connect()
        with gevent.Timeout(60):
            client.run_forever()
    finally:
        server.stop()
    check_server(tmp_path / "server.wscap", "wsgi")
    replay(tmp_path / "client.wscap", Talker).check()


def with_asyncio_client(url: str, path: Path) -> None:
    class Client(asyncioclient.WebSocketClient):
        answers = 0
        opened, received_message = Talker.opened, Talker.received_message

    async def main() -> None:
        client = Client(url, capture=path)
        await client.connect()
        await client.wait_ended()

    asyncio.run(main())


def with_tornado_client(url: str, path: Path) -> None:
    class Client(tornadoclient.TornadoWebSocketClient):
        answers = 0
        opened, received_message = Talker.opened, Talker.received_message

    async def main() -> None:
        client = Client(url, capture=path)
        await client.connect()
        await client.wait_ended()

    asyncio.run(main())


def with_trio_client(url: str, path: Path) -> None:
    import trio

    class Client(trioclient.WebSocketClient):
        answers = 0
        opened, received_message = Talker.opened, Talker.received_message

    trio.run(Client(url, capture=path).run)


@pytest.mark.parametrize("connect", [with_asyncio_client, with_tornado_client, with_trio_client])
def test_every_client_records(connect, tmp_path: Path) -> None:
    with_threads(False, lambda port: connect(f"ws://127.0.0.1:{port}/", tmp_path / "trace.wscap"))
    assert "client" == read(tmp_path / "trace.wscap").connection().role
    replay(tmp_path / "trace.wscap", Talker).check()


# Live


@pytest.mark.parametrize("splits", ["recorded", "random"])
@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_recorded_clients_talk_to_every_server(row: ServerRow, splits) -> None:
    run_here(row)
    server = row.start(Options())
    try:
        for name in ECHOES:
            connection = read(HERE / f"{name}.wscap.gz").connection()
            if name in row_differs(row):
                continue
            rename_path(connection)
            url = f"ws://127.0.0.1:{server.address[1]}/"
            replay_to_server(connection, url, splits=splits, seed=7).check()
    finally:
        server.stop()


def row_differs(row: ServerRow) -> tuple[str, ...]:
    """Name what a host whose frames are its own answers in its own words."""
    return () if row.deflates else ("violation_by_client", "violation_utf8", "close_by_browser", "binary")


def rename_path(connection) -> None:
    """Let a recorded request ask for the echo of the contract, from the page that it is served at."""
    chunk = connection.chunks[0]
    connection.chunks[0] = chunk._replace(data=chunk.data.replace(b"/chat?room=1", b"/echo?tag=x", 1))
    if b"GET / HTTP" in chunk.data:
        connection.chunks[0] = chunk._replace(data=chunk.data.replace(b"GET / ", b"GET /echo?tag=x ", 1))


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_recorded_server_talks_to_a_client(host: str, shown: str, tmp_path: Path) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("Python was built without IPv6")
    with_threads(tmp_path / "trace.wscap", deflate=PerMessageDeflateFactory())
    threads = []

    def connect(address: tuple[str, int]) -> None:
        threads.append(threading.Thread(target=talk, args=(f"ws://{shown}:{address[1]}/",)))
        threads[-1].start()

    result = replay_to_client(tmp_path / "trace.wscap", host, on_listening=connect, splits="random").check()
    threads[0].join()
    assert 5 == result.frames


def test_the_first_difference_to_a_live_server_is_shown(tmp_path: Path) -> None:
    class Shouts(EchoWebSocket):
        def received_message(self, message):
            return self.send(message.data.upper(), message.is_binary)

    recording = HERE / "text.wscap.gz"
    with serve(Shouts, "127.0.0.1", 0, deflate=None) as server:
        server.start()
        result = replay_to_server(recording, f"ws://127.0.0.1:{server.port}/", timeout=30)
    assert result.difference is not None
    assert "What the server sent differs in frame 1 (text, 5 bytes), which begins at byte 2" == result.difference.what
    assert "|..HELLO|" in result.difference.details
    with serve(EchoWebSocket, "127.0.0.1", 0, protocols=["x"]) as server:
        server.start()
        other = HERE / "subprotocol.wscap.gz"
        result = replay_to_server(other, f"ws://127.0.0.1:{server.port}/")
    assert "Sec-WebSocket-Protocol of the server is [], recorded was ['second']" in str(result.difference)


def test_silence_is_a_difference(tmp_path: Path) -> None:
    class Silent(EchoWebSocket):
        def received_message(self, message):
            return None

    with serve(Silent, "127.0.0.1", 0, deflate=None) as server:
        server.start()
        result = replay_to_server(HERE / "text.wscap.gz", f"ws://127.0.0.1:{server.port}/", timeout=1)
    assert "sent nothing for 1 s in frame 0" in str(result.difference)


def test_a_recording_without_a_websocket_is_not_played(tmp_path: Path) -> None:
    with pytest.raises(CaptureError):
        replay_to_server(HERE / "README.md", "ws://127.0.0.1:1/")
    connection = read(HERE / "text.wscap.gz").connection()

    def play(port: int) -> None:
        with pytest.raises(ValueError, match="splits is 'every'"):
            replay_to_server(connection, f"ws://127.0.0.1:{port}/", splits="every")

    with_threads(False, play)


def test_replays_to_servers_of_tls(tmp_path: Path) -> None:
    with serve(EchoWebSocket, "127.0.0.1", 0, ssl_context=server_context(), deflate=None) as server:
        server.start()
        url = f"wss://localhost:{server.port}/"
        replay_to_server(HERE / "text.wscap.gz", url, ssl_context=trusting_context()).check()

"""What the manual of ws4py says of clients and servers: its tutorials, as they stand."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed
from ws4py.client import WebSocketBaseClient
from ws4py.client.threadedclient import WebSocketClient
from ws4py.exc import HandshakeError
from ws4py.server.wsgiutils import WebSocketWSGIApplication
from ws4py.websocket import EchoWebSocket

from test.client.peers import Peer, RawServer, answer_to, frame, upgrading
from test.programs import Program
from test.shims.manuals.ws4py_kit import PROTOCOLS, WAIT, NotedClient, echoing, pair, program

CERTIFICATES = Path(os.environ["WS4PY_NG_CONTRACT_CERTS"])
TEXT = 1


# The client


def test_the_tutorials_client_gets_all_that_it_has_sent() -> None:
    sizes: list[int] = []
    ends: list[tuple[int, Any]] = []

    class DummyClient(WebSocketClient):
        def opened(self) -> None:
            def data_provider() -> Iterator[str]:
                for i in range(1, 200, 25):
                    yield "#" * i

            self.send(data_provider())
            for i in range(0, 200, 25):
                self.send("*" * i)

        def closed(self, code: int, reason: Any = None) -> None:
            ends.append((code, reason))

        def received_message(self, m: Any) -> None:
            sizes.append(len(m))
            if len(m) == 175:
                self.close(reason="Bye bye")

    with echoing(subprotocols=["chat"]) as port:
        ws = DummyClient(f"ws://localhost:{port}/", protocols=PROTOCOLS)
        ws.daemon = True
        ws.connect()
        ws.run_forever()
    assert [sum(range(1, 200, 25)), *range(0, 200, 25)] == sizes
    assert [(1000, b"Bye bye")] == ends
    assert (True, [b"chat"]) == (ws.daemon, ws.protocols)


@pytest.mark.parametrize(
    ("url", "bind", "resource"),
    [
        ("ws://localhost/ws", ("localhost", 80), "/ws"),
        ("wss://localhost/ws?a=b", ("localhost", 443), "/ws?a=b"),
        ("ws://localhost:9000/", ("localhost", 9000), "/"),
        ("ws+unix:///tmp/my.sock", "/tmp/my.sock", "/"),
    ],
)
def test_the_url_says_where_to_go(url: str, bind: Any, resource: str) -> None:
    ws = WebSocketBaseClient(url)
    assert (bind, resource) == (ws.bind_addr, ws.resource)
    if isinstance(bind, tuple):
        assert bind == (ws.host, ws.port)
        assert ws.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    else:
        assert bind == ws.unix_socket_path
    ws.sock.close()


@pytest.mark.parametrize("url", ["http://localhost/", "ws:///path"])
def test_any_other_url_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each library has its own words
        WebSocketBaseClient(url)


def test_the_request_has_the_key_and_the_headers_that_were_given() -> None:
    ws = WebSocketBaseClient(
        "ws://localhost:9000/chat", PROTOCOLS, headers=[("X-One", "1")], exclude_headers=["Origin"]
    )
    ws.key = b"dGhlIHNhbXBsZSBub25jZQ=="
    headers = dict(ws.handshake_headers)
    assert ("1", "localhost:9000", "13") == tuple(
        str(headers[name]) for name in ("X-One", "Host", "Sec-WebSocket-Version")
    )
    assert "Origin" not in headers
    lines = ws.handshake_request.split(b"\r\n")
    assert b"GET /chat HTTP/1.1" == lines[0]
    assert {b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Protocol: http-only,chat"} <= {
        line.replace(b", ", b",") for line in lines
    }
    ws.sock.close()


def test_a_unix_socket_has_a_resource(tmp_path: Path) -> None:
    asked: list[str] = []

    def note(_: Any, request: Any) -> None:
        asked.append(request.path)

    path = str(tmp_path / "s")
    with echoing(path=path, process_request=note):
        ws = NotedClient(f"ws+unix://{path}")
        ws.resource = "/ws"
        ws.connect()
        ws.send("hi")
        assert [("opened",), ("TextMessage", b"hi")] == [ws.next(), ws.next()]
        ws.close()
        ws.run_forever()
    assert ["/ws"] == asked


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    return context


def test_tls_is_spoken_with_the_options_of_ssl(tls: ssl.SSLContext) -> None:
    options = {"ca_certs": str(CERTIFICATES / "authority.pem"), "cert_reqs": ssl.CERT_REQUIRED}
    with echoing(ssl=tls) as port:
        ws = NotedClient(f"wss://localhost:{port}/", ssl_options=options)
        ws.connect()
        ws.send("x" * 100_000)
        assert [("opened",), ("TextMessage", b"x" * 100_000)] == [ws.next(), ws.next()]
        ws.close()
        ws.run_forever()


def test_tls_verifies_the_server_without_options(tls: ssl.SSLContext) -> None:
    with echoing(ssl=tls) as port:
        ws = WebSocketBaseClient(f"wss://localhost:{port}/")
        try:
            with pytest.raises(ssl.SSLError):
                ws.connect()
        finally:
            ws.close_connection()


@pytest.mark.parametrize(
    "changes",
    [
        (("Sec-WebSocket-Accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),),
        (("Sec-WebSocket-Accept", None),),
        (("Upgrade", None),),
        (("Connection", None),),
        (("Sec-WebSocket-Protocol", "never-offered"),),
    ],
)
def test_an_answer_that_is_not_as_rfc_6455_writes_it_is_a_handshake_error(changes: Any) -> None:
    with RawServer(upgrading(Peer.take_rest, *changes)) as server:
        ws = NotedClient(server.url, PROTOCOLS)
        try:
            with pytest.raises(HandshakeError):
                ws.connect()
        finally:
            ws.close_connection()


def test_a_refusal_is_a_handshake_error() -> None:
    def refuse(peer: Peer) -> None:
        peer.take_head()
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with RawServer(refuse) as server, pytest.raises(HandshakeError, match="403"):
        WebSocketBaseClient(server.url).connect()


def test_what_comes_with_the_answer_is_not_lost() -> None:
    def greet(peer: Peer) -> None:
        head = peer.take_head()
        peer.send(answer_to(head) + b"".join(frame(TEXT, each, mask=False) for each in (b"one", b"two", b"three")))
        peer.take_rest()

    with RawServer(greet) as server:
        ws = NotedClient(server.url)
        ws.connect()
        try:
            assert [("opened",), *(("TextMessage", each) for each in (b"one", b"two", b"three"))] == [
                ws.next() for _ in range(4)
            ]
        finally:
            ws.close_connection()


def test_the_tutorials_greenlets_receive_and_send() -> None:
    code = """
from gevent import monkey; monkey.patch_all()
import gevent
from gevent.queue import Empty
from ws4py.client.geventclient import WebSocketClient

ws = WebSocketClient('ws://127.0.0.1:%s/echo' % sys.argv[1], protocols=['http-only', 'chat'])
ws.connect()
try:
    ws.receive(block=False)
except Empty:
    print('empty')

def incoming():
    while True:
        m = ws.receive()
        if m is not None:
            print(len(str(m)))
            if len(m) == 35:
                ws.close()
        else:
            break
    print('end')

def send_a_bunch():
    for i in range(0, 40, 5):
        ws.send("*" * i)

gevent.joinall([gevent.spawn(incoming), gevent.spawn(send_a_bunch)])
"""
    with echoing() as port, program(code, port) as ran:
        assert ["empty", *map(str, range(0, 40, 5)), "end"] == [ran.line() for _ in range(10)]
        assert 0 == ran.status()


def test_the_tutorials_tornado_client_runs_in_its_loop() -> None:
    code = """
from tornado import ioloop
from ws4py.client.tornadoclient import TornadoWebSocketClient

class MyClient(TornadoWebSocketClient):
    def opened(self):
        for i in range(0, 200, 25):
            self.send("*" * i)

    def received_message(self, m):
        print(len(m))
        if len(m) == 175:
            self.close(reason='Bye bye')

    def closed(self, code, reason=None):
        print('closed', code)
        ioloop.IOLoop.instance().stop()

ws = MyClient('ws://127.0.0.1:%s/echo' % sys.argv[1], protocols=['http-only', 'chat'])
ws.connect()
ioloop.IOLoop.instance().call_later(int(sys.argv[2]), ioloop.IOLoop.instance().stop)
ioloop.IOLoop.instance().start()
"""
    with echoing() as port, program(code, port, WAIT) as ran:
        assert [*map(str, range(0, 200, 25)), "closed 1000"] == [ran.line() for _ in range(9)]


# Servers, as the tutorial starts them

GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent, signal
from ws4py.websocket import EchoWebSocket
from ws4py.server.geventserver import WSGIServer
from ws4py.server.wsgiutils import WebSocketWSGIApplication

server = WSGIServer(('localhost', 0), WebSocketWSGIApplication(handler_cls=EchoWebSocket), log=None, error_log=None)
server.start()
gevent.signal_handler(signal.SIGINT, server.stop)
print(server.server_port)
server.serve_forever()
"""

WSGIREF = """
from wsgiref.simple_server import make_server
from ws4py.websocket import EchoWebSocket
from ws4py.server.wsgirefserver import WSGIServer, WebSocketWSGIRequestHandler
from ws4py.server.wsgiutils import WebSocketWSGIApplication

server = make_server('', 0, server_class=WSGIServer,
                     handler_class=WebSocketWSGIRequestHandler,
                     app=WebSocketWSGIApplication(handler_cls=EchoWebSocket))
server.initialize_websockets_manager()
print(server.server_port)
try:
    server.serve_forever()
except KeyboardInterrupt:
    server.server_close()
"""

CHERRYPY = """
import cherrypy
from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py.websocket import EchoWebSocket

cherrypy.config.update({'server.socket_port': 0, 'log.screen': False, 'engine.autoreload.on': False})
WebSocketPlugin(cherrypy.engine).subscribe()
cherrypy.tools.websocket = WebSocketTool()

class Root(object):
    @cherrypy.expose
    def index(self):
        cherrypy.engine.publish('websocket-broadcast', 'news')
        return 'some HTML with a websocket javascript connection'

    @cherrypy.expose
    def ws(self):
        # you can access the class instance through
        handler = cherrypy.request.ws_handler
        assert isinstance(handler, EchoWebSocket)

cherrypy.engine.subscribe('start', lambda: print(cherrypy.server.httpserver.bind_addr[1]), priority=90)
tool = {'tools.websocket.on': True, 'tools.websocket.handler_cls': EchoWebSocket}
cherrypy.quickstart(Root(), '/', config={
    '/ws': tool, '/chat': {**tool, 'tools.websocket.protocols': ['chat']}})
"""
SERVERS = {"gevent": GEVENT, "wsgiref": WSGIREF, "cherrypy": CHERRYPY}


@contextmanager
def serving(name: str) -> Iterator[tuple[int, Program]]:
    with program(SERVERS[name]) as started:
        yield int(started.line()), started


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[int, Program]]:
    with serving(request.param) as started:
        yield started


def join(port: int, **options: Any) -> Any:
    return websockets.sync.client.connect(f"ws://localhost:{port}/ws", ping_interval=None, **options)


def test_the_tutorials_server_echoes(server: tuple[int, Program]) -> None:
    with join(server[0]) as ws:
        for message in ("text", b"\x00\xff", "x" * 100_000):
            ws.send(message)
            assert message == ws.recv(WAIT)


def test_a_plain_request_is_told_to_upgrade(server: tuple[int, Program]) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://localhost:{server[0]}/ws", timeout=WAIT)
    caught.value.close()
    assert 426 == caught.value.code


def test_a_server_that_stops_says_1001(server: tuple[int, Program]) -> None:
    with join(server[0]) as ws:
        ws.send("in")
        assert "in" == ws.recv(WAIT)
        server[1].send_signal(signal.SIGINT)
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(2 * WAIT)
    assert caught.value.rcvd is not None
    assert (1001, "Server is shutting down") == (caught.value.rcvd.code, caught.value.rcvd.reason)


def test_cherrypy_serves_pages_beside_and_broadcasts() -> None:
    with serving("cherrypy") as (port, _), join(port) as ws:
        ws.send("in")
        assert "in" == ws.recv(WAIT)
        with urllib.request.urlopen(f"http://localhost:{port}/", timeout=WAIT) as answer:
            assert b"some HTML with a websocket javascript connection" == answer.read()
        assert "news" == ws.recv(WAIT)


def test_an_application_makes_the_class_that_it_is_given() -> None:
    class Mine(EchoWebSocket):
        pass

    application = WebSocketWSGIApplication(protocols=["chat"], handler_cls=Mine)
    sock, peer = pair()
    environ = {"REMOTE_ADDR": "127.0.0.1"}
    with peer:
        ws = application.make_websocket(sock, ["chat"], [], environ)
        assert [Mine, ["chat"]] == [type(ws), ws.protocols]
        assert ws in environ.values()
        assert "127.0.0.1" == ws.environ["REMOTE_ADDR"]
        assert ws.environ is not environ
        ws.close_connection()

"""What gevent-websocket's README promises."""

from __future__ import annotations

import json
import socket
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.pywsgi import WSGIServer
from geventwebsocket import Resource, WebSocketApplication, WebSocketError, WebSocketServer
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.protocols.wamp import WampProtocol, export_rpc

from ws4py_ng.client.geventclient import connect
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import MIB, Limits

WAIT = 5
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
LARGE = Limits(max_message_size=8 * MIB)


@contextmanager
def serving(application: Any, make: Callable[..., Any] = WebSocketServer, **options: Any) -> Iterator[Any]:
    server = make(("127.0.0.1", 0), application, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop(timeout=1)


def url(server: Any, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.server_port}{path}"


def ask(server: Any, *lines: str, method: str = "GET", version: str = "1.1") -> str:
    with gevent.Timeout(WAIT), gevent.socket.create_connection(("127.0.0.1", server.server_port)) as sock:
        head = [f"{method} / HTTP/{version}", "Host: localhost", *lines, "", ""]
        sock.sendall("\r\n".join(head).encode())
        return bytes(sock.recv(4096)).decode("latin-1")


def close_code(ws: Any) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        ws.receive(WAIT)
    return int(caught.value.code or 0)


class Diary(WebSocketApplication):
    """Write down its hooks, and send back what comes."""

    lines: list[tuple[str, Any]]
    done: Any

    def on_open(self) -> None:
        self.lines.append(("open", None))

    def on_message(self, message: Any) -> None:
        self.lines.append(("message", message))
        if message is not None:
            self.ws.send(message)

    def on_close(self, reason: Any) -> None:
        self.lines.append(("close", reason))
        self.done.set()


def diary() -> Any:
    return type("Noted", (Diary,), {"lines": [], "done": gevent.event.Event()})


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    ws = environ["wsgi.websocket"]
    while True:
        message = ws.receive()
        if message is None:
            return []
        ws.send(message)


def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"page"]


def test_hooks_are_called_in_order() -> None:
    kind = diary()
    with serving(Resource([("/", kind)])) as server:
        with connect(url(server)) as ws:
            ws.send("hello")
            assert "hello" == str(ws.receive(WAIT))
        assert kind.done.wait(WAIT)
    assert [("open", None), ("message", "hello"), ("message", None)] == kind.lines[:3]


def test_on_close_is_called_once() -> None:
    kind = diary()
    with serving(Resource([("/", kind)])) as server:
        with connect(url(server)):
            pass
        assert kind.done.wait(WAIT)
        gevent.sleep(0)
    assert [("open", None), ("message", None), ("close", None)] == kind.lines


class Parrot(Diary):
    """Send back whatever comes, the None of the end as well; write down what serving it raises."""

    def handle(self) -> None:
        try:
            super().handle()
        except Exception as error:  # noqa: BLE001 - the server would log it
            self.lines.append(("raised", type(error)))
        self.done.set()

    def on_message(self, message: Any) -> None:
        self.ws.send(message)

    def on_close(self, reason: Any) -> None:
        self.lines.append(("close", reason))


class Failing(Parrot):
    """Fail of a message."""

    def on_message(self, message: Any) -> None:
        raise LookupError(message)


@pytest.mark.parametrize(("kind", "raised"), [(Parrot, []), (Failing, [("raised", LookupError)])])
def test_on_close_is_called_whatever_on_message_raises(kind: type[Diary], raised: list[Any]) -> None:
    application: Any = type("Noted", (kind,), {"lines": [], "done": gevent.event.Event()})
    with serving(Resource([("/", application)])) as server:
        with connect(url(server)) as ws:
            ws.send("hello")
            if not raised:
                assert "hello" == str(ws.receive(WAIT))
        assert application.done.wait(WAIT)
    assert [("open", None), ("close", None), *raised] == application.lines


def test_paths_are_patterns_and_plain_requests_get_plain_applications() -> None:
    kind = diary()
    with serving(Resource([("^/chat", kind), ("/", page)])) as server:
        with connect(url(server, "/chat?room=1")) as ws:
            ws.send("x")
            assert "x" == str(ws.receive(WAIT))
        assert "200 OK" in ask(server)


def test_a_low_level_application_receives_and_sends() -> None:
    with serving(echo, WSGIServer, handler_class=WebSocketHandler, log=None) as server, connect(url(server)) as ws:
        ws.send("text")
        assert (False, "text") == ((m := ws.receive(WAIT)).is_binary, str(m))
        ws.send(b"\x00\xff", binary=True)
        assert (True, b"\x00\xff") == ((m := ws.receive(WAIT)).is_binary, m.data)


def test_an_array_is_sent_as_the_bytes_that_it_is() -> None:
    def send(environ: Any, start_response: Any) -> list[bytes]:
        for binary in (None, True):
            environ["wsgi.websocket"].send(array("B", b"\x00\xff"), binary=binary)
        return []

    with serving(send, WSGIServer, handler_class=WebSocketHandler, log=None) as server, connect(url(server)) as ws:
        for _ in range(2):
            assert (True, b"\x00\xff") == ((m := ws.receive(WAIT)).is_binary, m.data)


def test_the_environ_says_what_was_asked() -> None:
    seen = {}

    def look(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        ws = environ["wsgi.websocket"]
        seen.update(path=ws.path, origin=ws.origin, version=ws.version, wsgi=environ["wsgi.websocket_version"])
        seen.update(same=ws.environ is environ, protocol=ws.protocol, closed=ws.closed)
        ws.send("seen")
        return []

    with serving(look) as server, connect(url(server, "/x"), ["a", "b"], origin="http://elsewhere") as ws:
        assert "seen" == str(ws.receive(WAIT))
        assert 1000 == close_code(ws)
    assert {"path": "/x", "origin": "http://elsewhere", "version": "13", "wsgi": "13"} == {
        name: seen[name] for name in ("path", "origin", "version", "wsgi")
    }
    assert seen["same"]
    assert not seen["closed"]
    assert ["a", "b"] == seen["protocol"].replace(" ", "").split(",")


def test_receive_gives_none_at_the_end_and_then_raises() -> None:
    ends: list[Any] = []
    done = gevent.event.Event()

    def listen(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        ws = environ["wsgi.websocket"]
        ends.append(ws.receive())
        for use in (ws.receive, lambda: ws.send("late")):
            try:
                use()
            except WebSocketError as error:
                ends.append(isinstance(error, socket.error))
        ends.append(ws.closed)
        done.set()
        return []

    with serving(listen) as server:
        with connect(url(server)):
            pass
        assert done.wait(WAIT)
    assert [None, True, True, True] == ends


def test_an_empty_message_is_a_message() -> None:
    with serving(echo) as server, connect(url(server)) as ws:
        ws.send("")
        ws.send("more")
        assert ["", "more"] == [str(ws.receive(WAIT)), str(ws.receive(WAIT))]


def test_the_application_closes_with_a_code() -> None:
    def leave(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.websocket"].close(4001, b"bye")
        return []

    with serving(leave) as server, connect(url(server)) as ws:
        assert 4001 == close_code(ws)


def test_returning_closes_with_1000() -> None:
    with serving(lambda environ, start_response: []) as server, connect(url(server)) as ws:
        assert 1000 == close_code(ws)


@pytest.mark.parametrize("size", [65536, 5 * MIB])
def test_large_messages_come_back_whole(size: int) -> None:
    with serving(echo) as server, connect(url(server), limits=LARGE) as ws:
        ws.send(b"x" * size, binary=True)
        assert size == len(ws.receive(WAIT).data)


def test_a_subprotocol_is_that_of_the_application() -> None:
    class Wamp(WebSocketApplication):
        protocol_class = WampProtocol

    with serving(Resource([("/", Wamp)])) as server, connect(url(server), ["soap", "wamp"]) as ws:
        assert [b"wamp"] == ws.protocols


class Calculator:
    @export_rpc
    def add(self, one: int, two: int) -> int:
        return one + two


def test_wamp_calls_and_publishes() -> None:
    class Wamp(WebSocketApplication):
        protocol_class = WampProtocol

        def on_open(self) -> None:
            self.protocol.register_object("http://example.com/calc#", Calculator())
            self.protocol.register_procedure("http://example.com/fail", lambda: 1 // 0)
            self.protocol.register_pubsub("http://example.com/news")

    with serving(Resource([("/", Wamp)])) as server, connect(url(server), ["wamp"]) as ws:
        assert [0, 1] == [json.loads(str(ws.receive(WAIT)))[index] for index in (0,)] + [1]
        ws.send(json.dumps([1, "calc", "http://example.com/calc#"]))
        ws.send(json.dumps([2, "a", "calc:add", 1, 2]))
        assert [3, "a", 3] == json.loads(str(ws.receive(WAIT)))
        ws.send(json.dumps([2, "b", "http://example.com/fail"]))
        assert [4, "b"] == json.loads(str(ws.receive(WAIT)))[:2]
        ws.send(json.dumps([5, "http://example.com/news"]))
        ws.send(json.dumps([7, "http://example.com/news", {"x": 1}]))
        assert [8, "http://example.com/news", {"x": 1}] == json.loads(str(ws.receive(WAIT)))
        ws.send("no wamp")
        assert 1002 == close_code(ws)


def test_a_pre_start_hook_keeps_a_request_plain() -> None:
    with serving(page, pre_start_hook=lambda handler: True) as server:
        upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", KEY)
        assert "200 OK" in ask(server, *upgrade)


def test_clients_are_listed() -> None:
    kind = diary()
    with serving(Resource([("/", kind)])) as server, connect(url(server)) as ws:
        ws.send("x")
        ws.receive(WAIT)
        [client] = server.clients.values()
        client.ws.send("to you")
        assert "to you" == str(ws.receive(WAIT))


def test_greenlets_may_send_at_the_same_time() -> None:
    def chatter(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        ws = environ["wsgi.websocket"]
        gevent.joinall([gevent.spawn(ws.send, str(number) * 300_000) for number in range(8)], raise_error=True)
        return []

    with serving(chatter) as server, connect(url(server)) as ws:
        messages = {str(ws.receive(WAIT)) for _ in range(8)}
    assert {str(number) * 300_000 for number in range(8)} == messages


def test_a_version_that_is_not_spoken_is_refused_with_the_one_that_is() -> None:
    with serving(echo) as server:
        answer = ask(server, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 99", KEY)
    assert answer.split()[1] in ("400", "426")
    assert "13" in answer[answer.index("Sec-WebSocket-Version") :]


def test_no_version_is_426() -> None:
    with serving(echo) as server:
        assert "426" == ask(server, "Upgrade: websocket", "Connection: Upgrade", KEY).split()[1]


def test_a_bad_key_is_400() -> None:
    with serving(echo) as server:
        answer = ask(server, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    assert "400" == answer.split()[1]


def test_bad_utf8_closes_with_1007() -> None:
    with serving(echo) as server, connect(url(server)) as ws:
        ws.sock.sendall(b"\x81\x82\x00\x00\x00\x00\xc3\x28")
        assert 1007 == close_code(ws)


def test_a_frame_without_a_mask_closes_with_1002() -> None:
    with serving(echo) as server, connect(url(server)) as ws:
        ws.sock.sendall(b"\x81\x02hi")
        assert 1002 == close_code(ws)


def test_a_server_that_stops_says_1001() -> None:
    with serving(echo) as server, connect(url(server)) as ws:
        ws.send("x")
        ws.receive(WAIT)
        server.stop(timeout=1)
        assert 1001 == close_code(ws)
